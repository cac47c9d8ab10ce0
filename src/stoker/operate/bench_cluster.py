"""`stoker bench --in-cluster`: a load test as a Job beside its fleet, watched from here until its result is
here."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stoker.bench import folder
from stoker.bench.parcel import Parcel
from stoker.errors import EnvironmentFailed, StokerError, UsageError
from stoker.events import Event, Report
from stoker.operate.cluster import ClusterFleet
from stoker.operate.plan import plan_cluster
from stoker.render.manifests import Manifest, choose, limited
from stoker.render.manifests.bench_job import WORKLOAD, bench_objects
from stoker.render.manifests.choices import Cluster
from stoker.system import reading
from stoker.system.files import write_json
from stoker.system.reading import Unreadable
from stoker.targets.kubernetes import limits
from stoker.targets.kubernetes.client import Api
from stoker.targets.kubernetes.job_pod import JobPod
from stoker.traffic import run
from stoker.traffic.asked import Asked
from stoker.traffic.run import Environment, Run, ServerSide
from stoker.traffic.workload import Workload
from stoker.units import Bytes

LARGEST = Bytes(900 * 1024)  # of the files of a workload: a ConfigMap takes 1 MiB
MARGIN, DAY = 900, 24 * 3600  # seconds for image and answers; for a test that has no end of its own
LEAVING = 25.0  # seconds in which a pod that is taken away tells its result: less than its grace period
FILES = ("prompts", "trace")  # words that name one
_LAST = 12  # lines that are told of a test without a result


@dataclass(frozen=True, slots=True)
class Sent:
    """What a pod is to measure. words: as asked, files beside `base`; options: more of `stoker bench`;
    known: what the run is to say of its fleet."""

    words: Mapping[str, Asked]
    base: Path | None
    workload: Workload
    options: Sequence[str] = ()
    workers: int = 1
    known: Environment = Environment()


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended: the exit code of the pod's own `stoker bench`, and the run, where that was a single
    test."""

    code: int
    run: Run | None


def in_cluster(
    fleet: ClusterFleet, sent: Sent, path: Path, report: Report, say: Callable[[str], None]
) -> Result:
    """Starts the Job, relays what it says, and writes its result to `path`.

    Ctrl-C takes the Job away; what it had measured by then is a result as well. Raises: NoSuchFleet,
    UsageError, EnvironmentFailed, TimedOut, with the cause.
    """
    _check_free(path)
    fleet.status()  # a fleet that is not there is told at once
    api, cluster = fleet.target.api, choose(plan_cluster(fleet.spec))
    objects = _objects(api, cluster, sent)
    name = objects[-1].name
    _start(api, objects)
    report(Event("bench", f"Job/{name} in {cluster.namespace}", "..."))
    heard = _Heard(JobPod(api, cluster.name, cluster.namespace, name, report), say)
    try:
        heard.all()
    except KeyboardInterrupt:
        _end(api, cluster.namespace, name, report, "interrupted: ")
        heard.rest()
        if heard.parcel.code is None:
            raise
    except BaseException:
        _end(api, cluster.namespace, name, report, "")
        raise
    parcel = heard.parcel
    if parcel.code is None:
        raise EnvironmentFailed(
            "the load test ended without a result",
            why="\n".join(heard.last) or "its pod said nothing",
            fix=f"kubectl -n {cluster.namespace} describe job {name}; is kubernetes.image a Stoker that has "
            "`bench`?",
            rule="bench-pod",
        )
    parcel.unpack(path)
    if parcel.left:
        report(Event("bench", f"{', '.join(parcel.left)} stayed behind: too large for a log", "warn"))
    return Result(parcel.code, _kept(fleet, cluster, sent, path))


class _Heard:
    """What the pod has said: its result, and the last lines beside it."""

    def __init__(self, pod: JobPod, say: Callable[[str], None]) -> None:
        self.parcel, self.last = Parcel(), list[str]()
        self._pod, self._say = pod, say

    def all(self) -> None:
        """Hears it to its end."""
        self._take(self._pod.lines())

    def rest(self) -> None:
        """Hears what a pod that is taken away still has to say."""
        self._take(self._pod.rest(LEAVING))

    def _take(self, lines: Iterator[str]) -> None:
        for line in lines:
            if not self.parcel.feed(line):
                self.last = [*self.last[1 - _LAST :], line]
                self._say(line)


def _check_free(path: Path) -> None:
    if any((path / name).exists() for name in (folder.RUN, folder.SWEEP)):
        why = "a test is kept there already"
        raise UsageError(f"{path} holds a run already", at=str(path), why=why, fix="another --results")


def _objects(api: Api, cluster: Cluster, sent: Sent) -> tuple[Manifest, ...]:
    name = f"{cluster.name}-bench-{time.strftime('%m%d-%H%M%S')}"
    seconds = MARGIN + (math.ceil(sent.workload.duration) if sent.workload.duration < math.inf else DAY)
    if "--sweep" in sent.options:
        seconds = DAY
    made = bench_objects(cluster, name, files(sent), sent.options, seconds=seconds, workers=sent.workers)
    asked = limits.asked(api, cluster.namespace)
    return limited(made, replace(asked, always=asked.always or cluster.ask.cpu_limit))


def files(sent: Sent) -> dict[str, str]:
    """The workload as a pod reads it: its words, and the files that they name, beside them. Raises:
    UsageError, for files that are too large for that."""
    words: dict[str, Any] = {
        name: asked.value for name, asked in sent.words.items() if asked.value is not None
    }
    out: dict[str, str] = {}
    for name in FILES:
        if name in words and words[name] != "guide":
            path = (sent.base or Path()) / str(words[name])
            words[name] = f"{name}{path.suffix}"
            out[words[name]] = _read(path)
    size = Bytes(sum(len(text.encode()) for text in out.values()))
    if size > LARGEST:
        raise _too_large(", ".join(out), f"{size} together")
    return {WORKLOAD: json.dumps(words, indent=2) + "\n", **out}


def _read(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise _too_large(str(path), str(Bytes(path.stat().st_size)))
        return reading.read_text(path, LARGEST, handed=True)
    except Unreadable as error:
        raise UsageError(f"{path} cannot be read", at=str(path), why=error.why, fix=error.fix) from None


def _too_large(name: str, size: str) -> UsageError:
    return UsageError(
        f"{name} is too large to go along into the cluster",
        why=f"it has {size}; a ConfigMap carries it, which takes {LARGEST}",
        fix="fewer rows, or `stoker bench` without --in-cluster",
        rule="bench-files",
    )


def _start(api: Api, objects: tuple[Manifest, ...]) -> None:
    """Makes them, and has the Job own all others: they go with it. Nothing stays where one is refused."""
    try:
        made = [api.apply(one.body) for one in objects][-1]
        _own(api, objects, made["metadata"]["uid"])
    except BaseException:
        for one in objects:
            with suppress(StokerError):
                api.delete(one.kind, one.namespace, one.name)
        raise


def _own(api: Api, objects: tuple[Manifest, ...], uid: str) -> None:
    *needed, job = objects
    owner = {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "name": job.name,
        "uid": uid,
    }
    for one in needed:
        api.apply({**one.body, "metadata": {**one.body["metadata"], "ownerReferences": [owner]}})


def _end(api: Api, namespace: str, name: str, report: Report, why: str) -> None:
    with suppress(StokerError):
        api.delete("Job", namespace, name)
        report(Event("bench", f"{why}Job/{name} is deleted", "warn"))


def _kept(fleet: ClusterFleet, cluster: Cluster, sent: Sent, path: Path) -> Run | None:
    """The run with what only this machine knows of its fleet; None where it is no single test."""
    if not (path / folder.RUN).exists():
        return None
    found, known = folder.load(path), sent.known
    here = replace(
        found.environment,
        engine=known.engine or found.environment.engine,
        spec=known.spec,
        plan=known.plan,
        price=known.price,
    )
    found = replace(found, name=fleet.name, environment=here)
    if cluster.ask.routing != "gateway" and cluster.spec.replicas.high != 1:
        found = _apart(found)
    write_json(path / folder.RUN, run.to_json(found), mode=0o644)
    return found


def _apart(found: Run) -> Run:
    """Without what the engines told: behind a Service each look was at another of them."""
    said = tuple(one for one in found.findings if one.rule != "bench-disagreement")
    return replace(found, server=ServerSide(), timeline=(), findings=said)
