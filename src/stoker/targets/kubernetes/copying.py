"""The copy of the weights into a volume, as it goes: its stages, its last error, and another try where it had
failed."""

from dataclasses import replace

from stoker.advise.why import why
from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.changes import Step
from stoker.fleet.state import FleetState, Service
from stoker.system import clock
from stoker.targets.kubernetes import stages, volumes
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.pods import moment

LOG_LINES = 20
DISK_SECONDS = 60.0  # for which `up` waits for a disk that nobody makes
UNMOUNT_SECONDS = 60.0  # given to a node where nobody may see whether it has let go


class Copying:
    """What one target has seen of its copy. A Job that gives up loses its pods, and their words with them."""

    def __init__(self, api: Api, fleet: str, namespace: str, selector: str) -> None:
        self._api, self._fleet, self._namespace, self._selector = api, fleet, namespace, selector
        self._going: set[str] = set()
        self._said: Service | None = None
        self._waits_since = 0.0

    def stages(self) -> tuple[Service, ...]:
        """The copy and the snapshot, where there are any."""
        own = f"{self._selector},app.kubernetes.io/component=copy"
        jobs = self._api.visible("Job", self._namespace, own)
        if not jobs:
            return ()
        pods = self._api.list("Pod", self._namespace, own)
        copied = stages.copy(jobs, pods, self._log)
        if copied and stages.STUCK in copied[0].detail:  # between two tries it only says that it copies
            self._said = copied[0]
        elif copied and copied[0].phase == "Failed" and self._said and not pods:
            copied = (replace(copied[0], last_error=self._said.detail, cause=self._said.cause),)
        taken = self._api.visible("VolumeSnapshot", self._namespace, self._selector)
        return (*copied, *stages.snapshots(taken))

    def unwritten(self, job: Object) -> str:
        """Why no snapshot can be taken of a finished copy yet; empty where one can.

        Until its node has let go of the disk, the last of what was written may be in that node's memory
        alone: a reader that mounts the snapshot read-only would not find it.
        """
        claim = self._api.get("PersistentVolumeClaim", self._namespace, job["metadata"]["name"])
        volume = (claim or {}).get("spec", {}).get("volumeName")
        if volume is None:
            return ""
        try:
            found = self._api.list("VolumeAttachment", None)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            done = moment(job.get("status", {}).get("completionTime"))
            return "the copy's disk is being unmounted" if clock.now() - done < UNMOUNT_SECONDS else ""
        holders = [
            one["spec"]["nodeName"]
            for one in found
            if one["spec"]["source"].get("persistentVolumeName") == volume
            and one.get("status", {}).get("attached")
        ]
        return f"the copy's disk is still attached to {holders[0]}" if holders else ""

    def again(self, job: Object, subject: str) -> Step | None:
        """The end of a copy that had failed before: it is made anew. Raises: EnvironmentFailed, for one that
        fails while it is waited for."""
        uid = job["metadata"]["uid"]
        if not stages.failed(job):
            self._going.add(uid)
            if not stages.finished(job):
                self._unmade(job)
            return None
        if uid not in self._going:
            return Step("delete", subject, "it failed before, and is tried again")
        stage, now = self.stages()[0], clock.now()
        found = why(FleetState(self._fleet, f"kubernetes/{self._namespace}", now, services=(stage,)), now)
        raise EnvironmentFailed(found[0] if found else stages.cause(stage.last_error or ""))

    def _unmade(self, job: Object) -> None:
        """Raises: EnvironmentFailed, where nobody has made the copy's disk for as long as this target waits
        for it."""
        claim = self._api.get("PersistentVolumeClaim", self._namespace, job["metadata"]["name"])
        now = clock.now()
        evidence = volumes.unmade(self._api, [claim] if claim else (), (), now)
        if not evidence:
            self._waits_since = 0.0
            return
        self._waits_since = self._waits_since or clock.monotonic()
        if clock.monotonic() - self._waits_since > DISK_SECONDS:
            found = why(FleetState(self._fleet, f"kubernetes/{self._namespace}", now, evidence=evidence), now)
            raise EnvironmentFailed(found[0])

    def _log(self, pod: str, container: str) -> tuple[str, ...]:
        return self._api.log(self._namespace, pod, LOG_LINES, container)
