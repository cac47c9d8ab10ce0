"""An API server that is away for a moment, or starts: what looks goes on when it is back."""

import subprocess
import sys
import time
from collections.abc import Callable

from tests.support.user import SPEC, User

POD_LOG = {"annotations": {"fake/log": "one\ntwo"}}


def started(user: User, *argv: str) -> "subprocess.Popen[str]":
    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    return subprocess.Popen(
        [sys.executable, "-m", "stoker", *argv],
        env=env,
        cwd=user.stoker.home,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(found: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_logs_are_followed_through_a_restart_of_the_api_server(user: User) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], **POD_LOG})
    user.ok("up")
    process = started(user, "logs", "-f")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(2)]
    user.cluster.away = True
    time.sleep(2)  # as long as somebody looks at the pods
    for pod in user.cluster.store.list("Pod"):
        notes = pod["metadata"]["annotations"] | {"fake/log": "one\ntwo\nthree"}
        key = ("Pod", "default", pod["metadata"]["name"])
        user.cluster.store.put(key, {**pod, "metadata": {**pod["metadata"], "annotations": notes}})
    user.cluster.away = False
    seen.append(process.stdout.readline())
    user.ok("down")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = [line.partition(" | ")[2].strip() for line in [*seen, *out.splitlines()]]
    assert lines == ["one", "two", "three"], "each once, and what came meanwhile"
    assert err.count("does not answer") <= 1
    assert "Traceback" not in err


def test_a_status_that_is_followed_says_once_that_the_cluster_is_away(user: User) -> None:
    user.ok("up")
    process = started(user, "status", "-w")
    assert process.stdout is not None
    while not process.stdout.readline().startswith("shop"):
        pass
    user.cluster.away = True
    count = len(user.cluster.requests)
    time.sleep(4)  # several looks, none of which is answered
    assert process.poll() is None
    assert len(user.cluster.requests) == count
    user.cluster.away = False
    until(lambda: len(user.cluster.requests) > count)
    while not process.stdout.readline().startswith("shop"):
        pass
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert err.count("does not answer, tried again") == 1


def test_a_storage_that_initializes_is_asked_again(user: User) -> None:
    user.ok("up")
    for argv in (["status"], ["why"], ["logs"], ["up"]):
        user.cluster.busy = 2
        user.ok(*argv)
        assert user.cluster.busy == 0
