"""The locustfile that `stoker render --only locust` writes, run by Locust itself against a fleet."""

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Stoker
from tests.support.locust import Swarm, program, swarm

pytestmark = pytest.mark.timeout(600)  # the first of them installs Locust


def loaded(stoker: Stoker, *words: str, workers: int = 0, **simulate: Any) -> Swarm:
    """A fleet of simulated engines with a key, under the load of these words."""
    program()
    stoker.env["SHOP_KEY"] = "sk-shop"
    spec = stoker.spec(
        simulate={"ttft": 0.05, "itl": 0.01, **simulate},
        endpoint={"port": stoker.port, "page": False, "api_key": "env:SHOP_KEY"},
    )
    ran = stoker("up", "-d", "-f", spec)
    assert ran.code == 0, ran.err
    asked = [part for word in words for part in ("--workload", word)]
    ran = stoker("render", "--only", "locust", "-f", spec, "-O", "load", *asked)
    assert ran.code == 0, ran.err
    file = Path(stoker.home) / "load" / "locustfile.py"
    assert "sk-shop" not in file.read_text()
    return swarm(file, "sk-shop", workers)


def counts(found: Swarm) -> dict[str, tuple[int, int]]:
    return {kind: (row["num_requests"], row["num_failures"]) for kind, row in found.table.items()}


def test_users_in_a_closed_loop(stoker: Stoker) -> None:
    found = loaded(stoker, "prompts=guide", "users=3", "requests=7", "output_len=20", "think_time=0.2")
    assert found.code == 0, found.said
    assert counts(found) == {
        "POST": (7, 0),
        "TTFT": (7, 0),
        "TPOT": (7, 0),
        "ITL": (7 * 19, 0),
        "LAG": (7, 0),
    }
    assert found.table["TTFT"]["min_response_time"] >= 50
    assert found.table["POST"]["min_response_time"] >= 50 + 19 * 10
    assert found.table["POST"]["total_response_time"] / 7 > found.table["TTFT"]["total_response_time"] / 7


def test_a_rate_is_an_open_loop_that_does_not_wait_for_answers(stoker: Stoker) -> None:
    """Answers of a second at twenty requests a second: a closed loop of one user would take 40 s for them."""
    words = ("rate=20", "requests=40", "input_len=32", "output_len=50")
    found = loaded(stoker, *words, itl=0.02)
    assert found.code == 0, found.said
    assert counts(found)["POST"] == counts(found)["TTFT"] == (40, 0)
    row = found.table["POST"]
    assert row["last_request_timestamp"] - row["start_time"] < 15


def test_two_workers_send_each_conversation_once(stoker: Stoker) -> None:
    words = ("rate=10", "requests=21", "turns=2", "input_len=32", "output_len=10")
    found = loaded(stoker, *words, workers=2)
    assert found.code == 0, found.said
    assert counts(found)["POST"] == counts(found)["TTFT"] == (42, 0)
    assert counts(found)["ITL"] == (42 * 9, 0)


def test_two_workers_share_the_users(stoker: Stoker) -> None:
    found = loaded(stoker, "prompts=guide", "users=3", "requests=8", "output_len=10", workers=2)
    assert found.code == 0, found.said
    assert counts(found)["POST"] == (8, 0)


def test_a_stream_that_breaks_is_a_failure_whatever_its_status(stoker: Stoker) -> None:
    words = ("rate=5", "requests=5", "input_len=32", "output_len=30")
    found = loaded(stoker, *words, faults={"core_dies_mid_stream_after_tokens": 5})
    assert found.code == 1
    assert counts(found)["POST"][1] >= 1, found.said
    assert "status 200" not in found.said
