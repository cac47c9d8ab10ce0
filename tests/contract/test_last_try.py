"""A fleet that did not come up: why, and what it said, can be asked for until `down` or the next `up`."""

import json
import socket

from tests.conftest import Stoker

FAULT = {"faults": {"fail_start": "ValueError: No available memory for the cache blocks."}}


def failed(stoker: Stoker) -> str:
    spec = stoker.spec(simulate=FAULT)
    ran = stoker("up", "-d", "-f", spec)
    assert ran.code == 1
    assert stoker.processes() == []
    return ran.err


def test_its_cause_and_its_logs_are_there_after_it_is_gone(stoker: Stoker) -> None:
    at_death = failed(stoker)
    for which in (("--name", "sim"), ()):
        ran = stoker("why", *which, "-o", "json")
        assert ran.code == 0
        (found,) = ran.json()
        assert found["rule"] == "engine-kv"
        assert found["fix"] in at_death
        assert "the last try of sim failed at" in ran.err
        assert "No available memory" in stoker("logs", *which).out
    assert "the last try of sim failed at" in stoker("why").out
    gone = stoker("status")
    assert gone.code == 2
    assert "stoker why --name sim" in gone.err
    kept = json.loads((stoker.home / "state/fleets/sim/last_try.json").read_text())
    assert kept["fleet"]["replicas"][0]["cause"]["rule"] == "engine-kv"


def test_down_forgets_it(stoker: Stoker) -> None:
    failed(stoker)
    assert stoker("down", "--name", "sim").code == 0
    assert stoker("why", "--name", "sim").code == 2
    assert stoker("down", "--name", "sim").code == 2, "there is nothing any more"


def test_the_next_up_forgets_it(stoker: Stoker) -> None:
    failed(stoker)
    assert stoker("up", "-d", "-f", stoker.spec()).code == 0
    assert "nothing is wrong" in stoker("why").out
    assert stoker("down").code == 0
    assert stoker("why", "--name", "sim").code == 2


def test_what_never_began_leaves_no_try(stoker: Stoker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stoker.port))
        taken.listen()
        assert stoker("up", "-d", "-f", stoker.spec()).code == 2
    assert stoker("why").code == 2
