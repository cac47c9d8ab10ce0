"""A cause is a value: made once where a log is read, the same at the death, in JSON and from `why`."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.deaths import ECHO, LINES, LOGS, REAL, death

from stoker.advise.why import why
from stoker.advise.why.rule import SHOWN, shown
from stoker.catalog import rules
from stoker.engine.last_error import last_error
from stoker.findings import Finding
from stoker.fleet.process import Process
from stoker.fleet.state import FleetState, Replica, Service, from_json, to_json
from stoker.targets.kubernetes.pods import LWS, replicas
from stoker.targets.kubernetes.stages import cause, copy
from stoker.targets.local.child import Child
from stoker.targets.local.restarts import cause_of

NOW = 1000.0
DEATHS = {
    **{name: (LOGS / f"vllm-0.32.0-cpu-{name}.log").read_text(encoding="utf-8") for name, *_ in REAL},
    **{f"{rule}-{n}": death(line) for n, (rule, _, line) in enumerate(LINES)},
    "unknown": f"Traceback (most recent call last):\nValueError: the moon is full\n{ECHO}\n",
}
# Of each rule one: what becomes of a cause does not depend on the line that it was found in.
ONE_EACH = [
    *(name for name, *_ in REAL),
    *{rule: f"{rule}-{n}" for n, (rule, *_) in enumerate(LINES)}.values(),
]
COPIES = {
    "why-copy-hub": "403 Client Error: Cannot access gated repo for url https://huggingface.co/org/m",
    "why-copy-denied": "googleapi: Error 403: shop@p.iam does not have storage.objects.list access",
    "why-bucket-missing": "googleapi: Error 404: The specified bucket does not exist., notFound",
    "why-copy-folder": "open /models/m/.partial: permission denied",
    "why-copy-full": "write /models/m/model-1.safetensors: no space left on device",
    "copy-failed": "the moon is full",
}


def engine(tmp_path: Path, text: str) -> Child:
    process = Process("engine", "1", ("vllm",), routed=True)
    child = Child(process, 1, "stamp", tmp_path)
    child.log.write_text(text, encoding="utf-8")
    return child


def here(child: Child, code: int) -> tuple[Finding, FleetState]:
    """The cause at the death, and the fleet's state as it is read back from its file."""
    found = cause_of(child, code)
    one = Replica(
        "1", "Failed", NOW, detail="given up", last_error=found.what, log=str(child.log), cause=found
    )
    state = FleetState("shop", "local", NOW, wanted=1, replicas=(one,))
    return found, from_json(json.loads(json.dumps(to_json(state))))


def broken(reason: str, message: str = "", **last: Any) -> dict[str, Any]:
    waiting = {"reason": reason, "message": message}
    status = {"name": "engine", "state": {"waiting": waiting}, "lastState": last, "restartCount": 3}
    return {
        "metadata": {"name": "shop-1", "labels": {}, "creationTimestamp": "2026-11-02T10:00:00Z"},
        "spec": {"nodeName": "n", "containers": [{"name": "engine"}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


@pytest.mark.parametrize("name", DEATHS)
def test_a_recorded_death_has_one_cause(name: str, tmp_path: Path) -> None:
    at_death, state = here(engine(tmp_path, DEATHS[name]), 1)
    (told,) = why(state, NOW)
    assert (told.rule, told.fix, told.severity) == (at_death.rule, at_death.fix, at_death.severity)
    assert told.what.endswith(at_death.what)
    assert at_death.why in told.why
    assert state.replicas[0].cause == at_death


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_same_death_in_a_pod(name: str, tmp_path: Path) -> None:
    at_death, _ = here(engine(tmp_path, DEATHS[name]), 1)
    pods = replicas(
        [broken("CrashLoopBackOff", "back-off 5m0s restarting")], lambda _: DEATHS[name].splitlines()
    )
    (told,) = why(FleetState("shop", "kubernetes/ml", NOW, wanted=1, replicas=pods), NOW)
    assert (told.rule, told.fix) == (at_death.rule, at_death.fix)
    assert pods[0].cause is not None
    assert pods[0].last_error == pods[0].cause.what


GONE = "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting."
FRAMES = [line for n in range(400) for line in (f'  File "/x/{n}.py", line 1, in f{n}', f"    g{n}()")]
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
TRACE = "Traceback (most recent call last):"
LONG = [f"(Worker_TP1 pid=1) {one}" for one in (TRACE, *FRAMES, OOM)]
LONG += [f"(Worker_TP0 pid=2) {one}" for one in (TRACE, *FRAMES, GONE)]


def test_however_long_the_tracebacks_are(tmp_path: Path) -> None:
    at_death, _ = here(engine(tmp_path, "\n".join(LONG)), 1)
    assert at_death.rule == "engine-gpu-memory"


def test_more_of_a_pods_log_is_read_where_its_end_only_follows() -> None:
    asked: list[str] = []

    def whole(name: str) -> list[str]:
        asked.append(name)
        return LONG

    (one,) = replicas([broken("CrashLoopBackOff")], lambda _: LONG[-400:], None, whole)
    assert (one.cause.rule if one.cause else "", asked) == ("engine-gpu-memory", ["shop-1"])
    (one,) = replicas([broken("CrashLoopBackOff")], lambda _: LONG[:810], None, whole)
    assert (one.cause.rule if one.cause else "", asked) == ("engine-gpu-memory", ["shop-1"])


def test_of_a_group_the_rank_with_the_cause_is_told() -> None:
    def rank(number: int) -> dict[str, Any]:
        pod = broken("CrashLoopBackOff")
        labels = {f"{LWS}/group-index": "0", f"{LWS}/worker-index": str(number)}
        return {**pod, "metadata": {**pod["metadata"], "name": f"shop-0-{number}", "labels": labels}}

    logs = {"shop-0-0": [GONE], "shop-0-1": [OOM]}
    (one,) = replicas([rank(0), rank(1)], lambda name: logs[name])
    assert one.cause is not None
    assert (one.cause.rule, one.cause.at) == ("engine-gpu-memory", "Pod/shop-0-1")


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_death_is_no_other_scopes(name: str, tmp_path: Path) -> None:
    """An engine's words are of its own scope, whatever a rule about copies or pods would make of them."""
    _, state = here(engine(tmp_path, DEATHS[name]), 1)
    assert {rules.variants(one.rule)[0].scope for one in why(state, NOW)} == {"engine log"}


@pytest.mark.parametrize(
    ("code", "rule", "what"),
    [
        (-9, "engine-killed", "killed by SIGKILL"),
        (-11, "engine-crash", "killed by SIGSEGV"),
        (-4, "engine-cpu", "killed by SIGILL"),
        (-7, "engine-shm", "killed by SIGBUS"),
        (-15, "engine-signal", "killed by SIGTERM"),
    ],
)
def test_a_signal_says_what_it_means(code: int, rule: str, what: str, tmp_path: Path) -> None:
    at_death, state = here(engine(tmp_path, ""), code)
    (told,) = why(state, NOW)
    assert (at_death.rule, at_death.what) == (rule, what)
    assert (told.rule, told.fix) == (rule, at_death.fix)


def test_what_hung_says_so(tmp_path: Path) -> None:
    child = engine(tmp_path, "")
    child.killed_for = "/health has not answered for 20 s"
    found, _ = here(child, -9)
    assert (found.rule, found.what) == ("engine-hung", child.killed_for)


def test_a_process_beside_the_engines(tmp_path: Path) -> None:
    process = Process("gateway", "gateway", ("gateway",))
    child = Child(process, 1, "stamp", tmp_path)
    child.log.write_text("Traceback\nerror: CUDA out of memory, not that it has a GPU\n", encoding="utf-8")
    assert cause_of(child, 1).rule == "process-ended", "a rule about engines never matches a gateway's words"


@pytest.mark.parametrize(("rule", "said"), COPIES.items())
def test_the_copys_words_are_its_own_scopes(rule: str, said: str) -> None:
    assert cause(said).rule == rule
    job = {
        "metadata": {"creationTimestamp": "2026-11-02T10:00:00Z"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": said}]},
    }
    (stage,) = copy([job], [], lambda *_: ())
    (told,) = why(FleetState("shop", "kubernetes/ml", NOW, services=(stage,)), NOW)
    assert (told.rule, told.fix) == (rule, cast(Finding, stage.cause).fix)


def test_one_line_in_two_logs_has_two_causes() -> None:
    full = "OSError: [Errno 28] No space left on device: '/models/m'"
    assert (last_error([full]).rule, cause(full).rule) == ("engine-disk", "why-copy-full")
    folder = "PermissionError: [Errno 13] Permission denied: '/.triton'"
    assert (last_error([folder]).rule, cause(folder).rule) == ("engine-cache", "why-copy-folder")
    denied = "403 Client Error: Forbidden for url"
    assert (last_error([denied]).rule, cause(denied).rule) == ("engine-gated", "why-copy-denied")


def test_a_port_is_no_status() -> None:
    assert cause("dial tcp 10.1.2.3:40344: i/o timeout").rule == "copy-failed"


@pytest.mark.parametrize(
    ("reason", "message", "rule"),
    [
        ("ImagePullBackOff", 'Back-off pulling image "x"', "why-image-missing"),
        ("InvalidImageName", "couldn't parse image name", "why-image-name"),
        ("CreateContainerConfigError", 'secret "shop-keys" not found', "why-secret-missing"),
    ],
)
def test_what_a_node_says_of_a_container(reason: str, message: str, rule: str) -> None:
    (one,) = replicas([broken(reason, message)], lambda _: ())
    assert one.cause == shown("Pod/shop-1", reason, message)
    (told,) = why(FleetState("shop", "kubernetes/ml", NOW, wanted=1, replicas=(one,)), NOW)
    assert told.rule == rule


def test_a_container_whose_memory_ran_out() -> None:
    pod = broken("CrashLoopBackOff", terminated={"reason": "OOMKilled"})
    (one,) = replicas([pod], lambda _: ("CUDA out of memory",))
    (told,) = why(FleetState("shop", "kubernetes/ml", NOW, wanted=1, replicas=(one,)), NOW)
    assert told.rule == "why-host-memory"


def test_rules_of_what_is_shown_and_of_what_is_said_are_apart() -> None:
    said = {one.scope for one in rules.of(*rules.ENGINE, "process", "copy")}
    assert said == {"engine log", "engine process", "weights copy log"}
    assert not said & {one.scope for one in rules.of(*SHOWN)}
    assert not [one.id for one in rules.of(*rules.ENGINE, "copy") if one.reason], (
        "they are never held against an event"
    )


def test_a_cause_is_read_back_as_it_was_written() -> None:
    found = Finding("no", "since", "yes", "here:1", "error", "engine-of-tomorrow")
    stage = Service("weights", "Failed", NOW, cause=found)
    state = FleetState("shop", "local", NOW, services=(stage,))
    assert from_json(to_json(state)) == state
    assert why(state, NOW)[0].rule == "engine-of-tomorrow", "a rule that this release does not know"
