"""`render`: the manifests of a fleet as files, the same that `up` applies."""

from itertools import takewhile
from pathlib import Path

from stoker.errors import EnvironmentFailed, UsageError
from stoker.operate.plan import plan_cluster
from stoker.planner.plan import Plan
from stoker.render.dashboards import cloud, grafana
from stoker.render.locust.locustfile import NAME as LOCUSTFILE
from stoker.render.locust.locustfile import locustfile
from stoker.render.locust.objects import locust_objects
from stoker.render.manifests import CpuLimits, choose, limited, manifests
from stoker.render.manifests.adapter import adapter_rules
from stoker.render.manifests.manifest import kustomization
from stoker.render.manifests.monitoring import scope
from stoker.render.manifests.scaling import VALUES
from stoker.render.panels import Scope
from stoker.render.rules import AlertObjectives, objectives
from stoker.render.scraping import RULES, prometheus, rules
from stoker.spec.nouns import ServeSpec
from stoker.system import paths
from stoker.traffic.workload import Workload

KUSTOMIZATION = "kustomization.yaml"
GRAFANA, CLOUD = "grafana-dashboard.json", "cloud-dashboard.json"
CONFIG = "prometheus.yaml"
INDEXES = (
    KUSTOMIZATION,
    CONFIG,
    LOCUSTFILE,
)  # the file of a folder that begins with the names of all that were written
MARK = "# Written by `stoker render`, which removes what of this the fleet needs no more:"


def rendered(spec: ServeSpec) -> tuple[Plan, dict[str, str]]:
    """The plan, and the text of each file by its name, in the order in which they are applied.

    Raises: UsageError, DoesNotFit, WeightsFailed.
    """
    plan = plan_cluster(spec)
    return plan, files_of(plan)


def files_of(plan: Plan) -> dict[str, str]:
    """The text of each file of a plan, by its name: the objects, their kustomization, and the dashboards."""
    objects = manifests(plan)
    files = {one.file: one.text() for one in objects}
    later = [one.file for one in objects if one.waits]
    files[KUSTOMIZATION] = kustomization([name for name in files if name not in later], later)
    cluster = choose(plan)
    if values := adapter_rules(cluster):
        files[VALUES] = values
    if cluster.metrics != "none":
        files[GRAFANA] = grafana(scope(cluster))
    if cluster.metrics == "stackdriver":
        files[CLOUD] = cloud(scope(cluster))
    return files


def beside_local(spec: ServeSpec) -> dict[str, str]:
    """For a fleet of this machine: a Prometheus' configuration, its rules, and the dashboard."""
    mine, targets = Scope(spec.name), str(paths.fleet(spec.name) / "prometheus-targets.json")
    promised = AlertObjectives(objectives(spec.slo))
    return {CONFIG: prometheus(mine, targets), RULES: rules(mine, promised), GRAFANA: grafana(mine)}


def locust(spec: ServeSpec, workload: Workload) -> dict[str, str]:
    """A load test for Locust: its locustfile, and beside it, for a cluster, what runs it there.

    Raises: UsageError, DoesNotFit, WeightsFailed.
    """
    local, model = spec.target == "local", spec.model.served_name
    host = "127.0.0.1" if local else spec.name
    text = locustfile(workload, f"http://{host}:{spec.endpoint.port}", model)
    if local:
        return {LOCUSTFILE: text}
    objects = locust_objects(choose(plan_cluster(spec)), text, workload)
    files = {one.file: one.text() for one in limited(objects, CpuLimits(always=spec.kubernetes.cpu_limit))}
    return {**files, KUSTOMIZATION: kustomization(list(files), []), LOCUSTFILE: text}


def write(files: dict[str, str], folder: Path) -> tuple[str, ...]:
    """Writes them into a folder, and removes what an earlier render left there. Returns the names removed.

    Raises: UsageError, for a folder that holds something else.
    """
    before = _before(folder)
    index = next(name for name in INDEXES if name in files)
    names = "".join(f"#   {name}\n" for name in sorted(files))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone = tuple(sorted(before - set(files)))
        for name, text in files.items():
            head = f"{MARK}\n{names}" if name == index else ""
            (folder / name).write_text(head + text, encoding="utf-8")
        for name in gone:
            (folder / name).unlink()
    except OSError as error:
        raise EnvironmentFailed(
            f"{folder} cannot be written", why=str(error), fix="another folder: -O DIR"
        ) from error
    return gone


def _before(folder: Path) -> set[str]:
    """The files of an earlier render. Raises: UsageError, where the folder has files that none wrote."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", why="a file stands there", fix="another folder: -O DIR")
    here = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not here:
        return set()
    for index in INDEXES:
        lines = (folder / index).read_text(encoding="utf-8").splitlines() if index in here else []
        if lines and lines[0] == MARK:
            names = takewhile(lambda line: line.startswith("#   "), lines[1:])
            return {line.removeprefix("#   ") for line in names} & here
    raise UsageError(
        f"{folder} holds something else",
        why=f"no {' or '.join(INDEXES)} there says that `stoker render` wrote it",
        fix="an empty folder: -O DIR",
        rule="render-folder",
    )
