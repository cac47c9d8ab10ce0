"""`stoker render`: the manifests of a fleet."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.common import SpecOptions, read_spec, spec_options
from stoker.errors import UsageError
from stoker.spec.nouns import ServeSpec

if TYPE_CHECKING:
    from stoker.traffic.workload import Workload


@click.command("render")
@click.argument("model", required=False)
@click.option(
    "-O",
    "--output-dir",
    "folder",
    type=click.Path(path_type=Path),
    help="A folder to write; without it, they are printed.",
)
@click.option("--only", type=click.Choice(["locust"]), help="A load test for Locust in place of the fleet.")
@click.option(
    "--workload",
    "words",
    multiple=True,
    metavar="FILE|WORD=VALUE",
    help="What Locust sends: a workload file, and words over it. Default: the guide's two prompts, 8 users.",
)
@spec_options
def command(
    model: str | None,
    folder: Path | None,
    only: str | None,
    words: tuple[str, ...],
    asked: SpecOptions,
) -> None:
    """Writes the Kubernetes manifests of a fleet: one file an object and a kustomization.yaml, as `up`
    applies them.

    Beside them a dashboard for Grafana, and for Cloud Monitoring. With --target local: what a Prometheus on
    this machine needs to watch the fleet, and the dashboard. Nothing is reached but the model's config.json.
    Secrets are not written: `up` makes them.

    With --only locust: a locustfile of the workload, and for a fleet in a cluster the Jobs, the Service and
    the policies that run it there.
    """
    if words and only != "locust":
        raise UsageError(
            "--workload says what Locust sends", why="there is no --only locust", fix="--only locust"
        )
    made = _locust(read_spec(model, asked), words) if only == "locust" else _fleet(model, asked)
    if folder is None:
        shown = [text for name, text in made.items() if not _beside(name)] or list(made.values())
        click.echo("---\n".join(shown), nl=False)
    else:
        _write(made, folder)


def _fleet(model: str | None, asked: SpecOptions) -> dict[str, str]:
    from stoker.operate.render import beside_local, rendered

    if asked.target == "local":
        return beside_local(read_spec(model, asked))
    plan, made = rendered(read_spec(model, replace(asked, target=asked.target or "kubernetes")))
    for warning in plan.warnings:
        click.echo(f"note: {warning}", err=True)
    return made


def _locust(spec: ServeSpec, words: tuple[str, ...]) -> dict[str, str]:
    from stoker.operate.render import locust

    return locust(spec, _workload(words))


def _write(made: dict[str, str], folder: Path) -> None:
    from stoker.operate.render import CLOUD, write

    gone = write(made, folder)
    for name in made:
        click.echo(f"{folder / name}")
    for name in gone:
        click.echo(f"removed {folder / name}")
    if CLOUD in made:
        click.echo(
            f"dashboard: gcloud monitoring dashboards create --config-from-file={folder / CLOUD}", err=True
        )


def _beside(name: str) -> bool:
    """Files that are no objects."""
    from stoker.operate.render import CLOUD, GRAFANA, KUSTOMIZATION
    from stoker.render.locust.locustfile import NAME
    from stoker.render.manifests.scaling import VALUES

    return name in (VALUES, KUSTOMIZATION, GRAFANA, CLOUD, NAME)


def _workload(given: tuple[str, ...]) -> "Workload":
    """The workload of a file and of words; the guide's two prompts, where there are neither. Raises:
    UsageError."""
    from stoker.bench import files
    from stoker.traffic.asked import WORDS, Asked, read

    words: dict[str, Asked] = {} if given else {"prompts": Asked("guide")}
    base = None
    for one in given:
        name, equals, value = one.partition("=")
        name = name.replace("-", "_")
        if equals and name in WORDS:
            words[name] = Asked(value if name != "shuffle" else value == "true", f"--workload {name}")
        else:
            words, base = {**files.read_file(one), **words}, Path(one).parent
    return read(words, files.files(base))
