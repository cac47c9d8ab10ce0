"""gcloud, called: what of a fleet's calls is still to be done, and doing it. Nothing is called that no step
showed."""

import shlex

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.changes import Step
from stoker.render.gcloud import NUMBER, Call, calls
from stoker.render.manifests.choices import Cluster
from stoker.system.run import Ran, run

SECONDS = 60.0
LINE = 160


def project_of(cluster: Cluster, context: str) -> str | None:
    """As the file says, else out of a context's name that gcloud wrote: `gke_PROJECT_LOCATION_CLUSTER`."""
    if cluster.ask.project:
        return cluster.ask.project
    parts = context.split("_")
    return parts[1] if parts[0] == "gke" and len(parts) >= 4 else None


def place_of(context: str) -> tuple[str, str] | None:
    """Location and name of the cluster, out of a context's name that gcloud wrote."""
    parts = context.split("_")
    return (parts[2], "_".join(parts[3:])) if parts[0] == "gke" and len(parts) >= 4 else None


class Cloud:
    """The calls that one plan needs. `missing` says why they can only be printed, where that is so."""

    def __init__(self, cluster: Cluster, context: str) -> None:
        self.missing = ""
        project = project_of(cluster, context)
        self.all = calls(cluster, project or "PROJECT_ID", NUMBER)
        if not self.all:
            return
        if project is None:
            self.missing = f"the context {context} does not name its project: kubernetes.project"
            return
        ran = run(("gcloud", "projects", "describe", project, "--format=value(projectNumber)"), SECONDS)
        if ran is None:
            self.missing = "gcloud is not here, or did not answer"
        elif ran.code or not ran.out.strip().isdigit():
            self.missing = f"gcloud cannot see the project {project}: {said(ran)}"
        else:
            self.all = calls(cluster, project, ran.out.strip())

    def pending(self) -> tuple[Call, ...]:
        """Those that are not done yet; all of them where nobody can tell."""
        if self.missing:
            return self.all
        return tuple(call for call in self.all if not _done(call))


def _done(call: Call) -> bool:
    ran = run(call.look, SECONDS)
    return ran is not None and ran.code == 0 and call.done(ran.out)


def said(ran: Ran) -> str:
    """The last line of what a program complained of."""
    lines = [line for line in ran.err.splitlines() if line.strip()]
    return lines[-1][:LINE] if lines else f"exit code {ran.code}"


def step(call: Call) -> Step:
    """A call as a step of Changes."""
    return Step("run", shlex.join(call.argv), call.why, body=call)


def make(call: Call) -> None:
    """Runs it. Raises: EnvironmentFailed, UsageError, with gcloud's own words."""
    ran = run(call.argv, SECONDS)
    if ran is None:
        raise EnvironmentFailed(
            "gcloud did not answer",
            why=f"{shlex.join(call.argv)}: no end after {SECONDS:.0f} s",
            fix="try again, or --no-gcloud",
            rule="gcloud",
        )
    if ran.code:
        raise UsageError(
            "gcloud refused a step",
            why=f"{said(ran)}\n{shlex.join(call.argv)}",
            fix="let somebody with the right run it, then `stoker up --no-gcloud`",
            rule="gcloud",
        )
