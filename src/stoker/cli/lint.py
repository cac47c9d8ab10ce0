"""`stoker lint`: is the spec valid, and what would hurt in manifests that others wrote? Nothing is run."""

from pathlib import Path

import click

from stoker.advise.lint import is_manifest, lint
from stoker.cli.common import output_option, print_findings, read_spec, spec_options
from stoker.errors import Mistake
from stoker.findings import Finding
from stoker.ui.findings import ruled

SUFFIXES = (".yaml", ".yml", ".json")


@click.command("lint")
@click.argument("files", nargs=-1)
@spec_options
@output_option("text", "json", "sarif")
def command(
    files: tuple[str, ...],
    file: str | None,
    sets: tuple[str, ...],
    target: str | None,
    namespace: str | None,
    output: str,
) -> None:
    """Checks spec files (stoker.yaml, if none is named) and Kubernetes manifests, whoever wrote them.

    A folder means every manifest in it. Manifests are read together, so that a Service, an HPA or a claim is checked
    against the pods it is for. Exit 2 where there is an error; warnings and notes leave it 0.
    """
    found: list[Finding] = []
    manifests: dict[str, str] = {}
    good: list[str] = []
    named: list[str | None] = [inner for one in files for inner in _inside(one)]
    for name in named or [file]:
        text = _text(name)
        if text is not None and is_manifest(text):
            manifests[str(name)] = text
            continue
        try:
            good.append(
                f"{name or 'stoker.yaml, or the demo'}: ok, fleet {read_spec(None, name, sets, target, namespace).name}"
            )
        except Mistake as error:
            found.append(error.finding)
    found += lint(manifests)
    for line in good if output == "text" else ():
        click.echo(line)
    print_findings(found, output, ruled, err=True)
    if output == "text":
        _sum(found, manifests)
    if any(one.severity == "error" for one in found):
        raise SystemExit(Mistake.exit_code)


def _sum(found: list[Finding], manifests: dict[str, str]) -> None:
    """Files without a word about them, and how many findings there are."""
    for name in manifests:
        if not any(one.at.startswith(f"{name}:") for one in found):
            click.echo(f"{name}: ok")
    if found:
        counts = [
            f"{sum(one.severity == kind for one in found)} {kind}s" for kind in ("error", "warning", "note")
        ]
        click.echo(", ".join(counts), err=True)


def _inside(name: str) -> list[str]:
    """The file, or every manifest of a folder. Raises: Mistake, for a folder that holds none."""
    path = Path(name)
    if not path.is_dir():
        return [name]
    out = sorted(
        str(one) for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file() and not _beside(one)
    )
    if not out:
        raise Mistake(
            f"{name} holds no manifest", why=f"no file ends in {', '.join(SUFFIXES)}", fix="another folder"
        )
    return out


def _beside(path: Path) -> bool:
    """A kustomization, or a chart's values: no objects."""
    return path.stem in ("kustomization", "values", "Chart")


def _text(name: str | None) -> str | None:
    """The text of a file; None where it cannot be read, which the spec's reader says better."""
    try:
        return Path(name).read_text(encoding="utf-8") if name else None
    except (OSError, UnicodeDecodeError):
        return None
