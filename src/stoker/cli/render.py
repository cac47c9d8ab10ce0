"""`stoker render`: the manifests of a fleet."""

from dataclasses import replace
from pathlib import Path

import click

from stoker.cli.common import SpecOptions, read_spec, spec_options


@click.command("render")
@click.argument("model", required=False)
@click.option(
    "-O",
    "--output-dir",
    "folder",
    type=click.Path(path_type=Path),
    help="A folder to write; without it, they are printed.",
)
@spec_options
def command(
    model: str | None,
    folder: Path | None,
    asked: SpecOptions,
) -> None:
    """Writes the Kubernetes manifests of a fleet: one file an object and a kustomization.yaml, as `up`
    applies them.

    Beside them a dashboard for Grafana, and for Cloud Monitoring. With --target local: what a Prometheus on
    this machine needs to watch the fleet, and the dashboard. Nothing is reached but the model's config.json.
    Secrets are not
    written: `up` makes them.
    """
    from stoker.operate.render import CLOUD, beside_local, rendered, write

    if asked.target == "local":
        files = beside_local(read_spec(model, asked))
    else:
        plan, files = rendered(read_spec(model, replace(asked, target=asked.target or "kubernetes")))
        for warning in plan.warnings:
            click.echo(f"note: {warning}", err=True)
    if folder is None:
        click.echo("---\n".join(text for name, text in files.items() if not _beside(name)), nl=False)
        return
    gone = write(files, folder)
    for name in files:
        click.echo(f"{folder / name}")
    for name in gone:
        click.echo(f"removed {folder / name}")
    if CLOUD in files:
        click.echo(
            f"dashboard: gcloud monitoring dashboards create --config-from-file={folder / CLOUD}", err=True
        )


def _beside(name: str) -> bool:
    """Files that are no objects."""
    from stoker.operate.render import CLOUD, GRAFANA, KUSTOMIZATION
    from stoker.render.manifests.scaling import VALUES

    return name in (VALUES, KUSTOMIZATION, GRAFANA, CLOUD)
