"""`stoker lint`: is the spec valid, and what would hurt in manifests that others wrote? Nothing is run."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from stoker.advise.lint import lint
from stoker.advise.lint.dashboards import fixed, is_dashboard, lint_dashboard
from stoker.advise.lint.forms import form, named
from stoker.advise.lint.kustomize import is_kustomization
from stoker.advise.lint.scaling.spec import lint_spec
from stoker.bounds import shown
from stoker.catalog import releases, vllm
from stoker.cli.common import SpecOptions, output_option, parse_spec, read_file, spec_options
from stoker.cli.printing import print_findings
from stoker.errors import EnvironmentFailed, SpecError, UsageError
from stoker.findings import Finding
from stoker.spec import load
from stoker.system.reading import is_file
from stoker.ui.findings import ruled

# Files beside the manifests of a folder: not worth a word each.
_ASIDE = ("other", "workflow", "chart", "values", "compose", "model config", "template", "helm")
SUFFIXES = (".yaml", ".yml", ".json")


@click.command("lint")
@click.argument("files", nargs=-1)
@spec_options
@click.option(
    "--release",
    metavar="VERSION",
    help="vLLM's, for dashboards. Default: the spec's here, or the newest known.",
)
@click.option(
    "--fix", "mend", is_flag=True, help="In dashboards: write today's name of each metric that has one."
)
@output_option("text", "json", "sarif")
def command(
    files: tuple[str, ...],
    asked: SpecOptions,
    release: str | None,
    mend: bool,
    output: str,
) -> None:
    """Checks spec files (stoker.yaml, if none is named), Kubernetes manifests and dashboards, whoever wrote
    them.

    A folder means every manifest in it, - what stands on standard input; a kustomization is read with its
    base and patches as one. Dashboards, Grafana's and Cloud Monitoring's, are searched for
    metrics that a release of vLLM has no more. Manifests are read together, so that a Service, an HPA or a
    claim is checked against the pods it is for, and the names of an HPA's metrics against a metrics adapter's
    rules. Exit 2 where there is an error; warnings and notes leave it
    0.
    """
    read = _Read(asked, _known(release), mend)
    named: list[str | None] = [inner for one in files for inner in _inside(one)]
    read.asked_for = frozenset({*files, "/dev/stdin"})
    for name in named or [asked.file]:
        read.file(name)
    found = [*read.found, *lint(read.manifests)]
    if output == "text":
        for line in read.good:
            click.echo(line)
    print_findings(found, output, ruled, err=True)
    if output == "text" and read.passed:
        click.echo(f"{read.passed} files of the folders hold nothing that lint reads")
    if output == "text":
        _sum(found, [*read.manifests, *read.dashboards])
    if any(one.severity == "error" for one in found):
        raise SystemExit(UsageError.exit_code)


def _known(release: str | None) -> str | None:
    """The release that dashboards are held against; one that the catalog has not is said to be taken for
    another. Raises: UsageError, for what is no release."""
    if release is None or release.removeprefix("v") in vllm.KNOWN:
        return release and release.removeprefix("v")
    if not releases.is_release(release.removeprefix("v")):
        raise UsageError(
            f"--release {shown(release)[1:-1]} is no release of vLLM",
            why=f"known: {vllm.KNOWN[0]} to {vllm.KNOWN[-1]}",
            fix=f"--release {vllm.DEFAULT}",
        )
    near = releases.nearest(release.removeprefix("v"))
    click.echo(f"note: vLLM {release} is not known to this Stoker; it is taken for {near}", err=True)
    return near


@dataclass
class _Read:
    """Files as they are read: what was found in them, the lines of specs that are good, the manifests, which
    are looked at together, and the names of the dashboards. passed: files of a folder that hold nothing for
    lint."""

    asked: SpecOptions
    release: str | None
    mend: bool
    found: list[Finding] = field(default_factory=list)
    good: list[str] = field(default_factory=list)
    manifests: dict[str, str] = field(default_factory=dict)
    dashboards: list[str] = field(default_factory=list)
    asked_for: frozenset[str] = frozenset()
    passed: int = 0

    def file(self, name: str | None) -> None:
        """Reads one, as what its text shows it to be."""
        text = _text(name)
        if text is not None and is_dashboard(text):
            self.dashboards.append(str(name))
            self.found += _dashboard(str(name), text, self.release or _release(self.asked), self.mend)
        elif text is None or (kind := form(str(name), text, name in self.asked_for)) == "spec":
            self._spec(name, text)
        elif kind in ("manifest", "rules", "patch") or is_kustomization(str(name)):
            self.manifests[str(name)] = text
        elif kind in _ASIDE and name not in self.asked_for and "vllm" not in text.lower():
            self.passed += 1
        else:
            self.found.append(named(kind, str(name)))

    def _spec(self, name: str | None, text: str | None) -> None:
        try:
            if text is None:
                spec = parse_spec(None, replace(self.asked, file=name))
            else:  # a pipe is read once
                spec = load(text, str(name), self.asked.overrides)
        except UsageError as error:
            self.found.append(error.finding)
            return
        self.found += [*spec.notes, *lint_spec(spec)]
        self.good.append(f"{name or 'stoker.yaml, or the demo'}: ok, fleet {spec.name}")


def _sum(found: list[Finding], manifests: list[str]) -> None:
    """Files without a word about them, and how many findings there are."""
    for name in manifests:
        if not any(one.at.startswith(f"{name}:") for one in found):
            click.echo(f"{name}: ok")
    if found:
        counts = [
            f"{sum(one.severity == kind for one in found)} {kind}s" for kind in ("error", "warning", "note")
        ]
        click.echo(", ".join(counts), err=True)


def _dashboard(name: str, text: str, release: str, mend: bool) -> tuple[Finding, ...]:
    """What is wrong with a dashboard, after what can be mended was, where that is asked. Raises:
    EnvironmentFailed."""
    if mend:
        text, count = fixed(text, release)
        try:
            if count:
                Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise EnvironmentFailed(
                f"{name} cannot be written", why=str(error), fix="its permissions"
            ) from error
        click.echo(f"{name}: {count} names written anew", err=True)
    return lint_dashboard(name, text, release)


def _release(asked: SpecOptions) -> str:
    """The release of the spec here, where there is one that can be read."""
    try:
        return parse_spec(None, SpecOptions(asked.file, asked.sets)).engine.version
    except UsageError:
        return vllm.DEFAULT


def _inside(name: str) -> list[str]:
    """The file, or every manifest of a folder. Raises: UsageError, for a folder that holds none."""
    if name == "-":
        return ["/dev/stdin"]
    path = Path(name)
    if not os.path.isdir(name):
        return [name]
    out = sorted(
        str(one)
        for one in path.rglob("*")
        if one.suffix in SUFFIXES and is_file(one) and not _hidden(one, path)
    )
    if not out:
        raise UsageError(
            f"{name} holds no manifest", why=f"no file ends in {', '.join(SUFFIXES)}", fix="another folder"
        )
    return out


def _hidden(one: Path, folder: Path) -> bool:
    """Whether a file stands in a folder of tools: `.git`, `node_modules`."""
    inner = one.relative_to(folder).parts[:-1]
    return any(part.startswith(".") or part == "node_modules" for part in inner)


def _text(name: str | None) -> str | None:
    """The text of a file; None where it cannot be read, which the spec's reader says better."""
    try:
        return read_file(Path(name)) if name else None
    except SpecError:
        return None
