"""`stoker bench` against running engines: what it sends, what it finds, and what becomes of bad days."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.conftest import Ran, Stoker, free_port
from tests.support.engine import Start, starter
from tests.support.known_server import MODEL, KnownServer
from tests.support.known_stream import Timing

BUSY = {"bench-lag", "bench-client-busy"}
SHORT = ("--input-len", "40", "--output-len", "8", "--duration", "2s", "--warmup", "0s")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as begin:
        yield begin


def bench(stoker: Stoker, url: str, *words: str, code: int = 0, **env: Any) -> dict[str, Any]:
    """What a test found. On a busy machine the load generator may be late, which it says itself."""
    ran = stoker("bench", "--url", url, *words, "-o", "json", "--results", "run", **env)
    assert ran.out, ran.err
    found: dict[str, Any] = ran.json()
    spoiled = {one["rule"] for one in found["findings"] if one["severity"] == "error"}
    assert ran.code == code or (ran.code == 1 and spoiled), ran.err
    assert spoiled <= BUSY, spoiled
    return found


def records(stoker: Stoker) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stoker.home / "run" / "records.jsonl").read_text().splitlines()]


def url(engine: Any) -> str:
    return f"http://127.0.0.1:{engine.port}"


def rules(found: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in found["findings"]}


def test_an_open_loop_is_measured_as_it_was_asked_for(stoker: Stoker, start: Start) -> None:
    engine = start(ttft=0.05, itl=0.01)
    found = bench(stoker, url(engine), "--rate", "20", "--arrivals", "constant", *SHORT)
    summary = found["summary"]
    assert (summary["requests"], summary["failed"], summary["mismatched"]) == (40, 0, 0)
    assert (summary["input"]["least"], summary["input"]["most"]) == (40, 40)
    assert (summary["output"]["least"], summary["output"]["most"]) == (8, 8)
    assert 0.045 < summary["ttft_sent"]["p50"] < 0.2
    assert 0.005 < summary["itl"]["p50"] < 0.05
    assert "</html>" in (stoker.home / "run" / "report.html").read_text()
    kept = records(stoker)
    assert sorted(one["index"] for one in kept) == list(range(40))
    assert all(len(one["tokens_us"]) == 8 for one in kept)
    # the engine agrees on how many there were; the probe before the test asked for one token each time
    assert engine.metric("generation_tokens_total") >= 40 * 8


def test_a_closed_loop_never_has_more_in_flight_than_users(stoker: Stoker, start: Start) -> None:
    found = bench(stoker, url(start(ttft=0.05, itl=0.005)), "--users", "4", *SHORT)
    assert found["summary"]["peak_concurrency"] == 4
    assert found["summary"]["concurrency"] == pytest.approx(4, abs=0.7)


def test_the_same_seed_sends_the_same_prompts_by_any_number_of_workers(stoker: Stoker, start: Start) -> None:
    engine = start()
    words = (
        "--rate",
        "30",
        "--input-len",
        "10..50",
        "--output-len",
        "1..9",
        "--duration",
        "2s",
        "--seed",
        "5",
    )
    seen = []
    for workers in ("1", "3"):
        where = f"run{workers}"
        ran = stoker("bench", "--url", url(engine), *words, "--workers", workers, "--results", where)
        assert ran.code in (0, 1), ran.err  # three workers on a busy machine may be late
        lines = (stoker.home / where / "records.jsonl").read_text().splitlines()
        kept = sorted(map(json.loads, lines), key=lambda one: one["index"])
        seen.append([(one["index"], one["scheduled"], one["input"], one["output"]) for one in kept])
    assert seen[0] == seen[1]


def test_turns_carry_the_answers_before(stoker: Stoker, start: Start) -> None:
    engine = start()
    bench(stoker, url(engine), "--users", "1", "--requests", "2", "--turns", "3", *SHORT[:4])
    kept = sorted(records(stoker), key=lambda one: (one["session"], one["turn"]))
    assert [(one["session"], one["turn"]) for one in kept] == [(s, t) for s in range(2) for t in range(3)]
    first, second, third = (one["input"] for one in kept[:3])
    assert second >= first + 8 + 39  # the answer of 8 tokens, and what the user adds
    assert third >= second + 8 + 39


def test_shared_beginnings_hit_the_prefix_cache(stoker: Stoker, start: Start) -> None:
    engine = start()
    words = ("--users", "2", "--requests", "20", "--prefix", "1x64", "--input-len", "80", "--output-len", "2")
    bench(stoker, url(engine), *words)
    assert engine.metric("prefix_cache_hits_total") >= 19 * 48


def test_a_workload_file_says_the_same_as_options(stoker: Stoker, start: Start) -> None:
    (stoker.home / "load.yaml").write_text("users: 2\nrequests: 4\ninput_len: 20\noutput_len: 3\n")
    found = bench(stoker, url(start()), "load.yaml", "--output-len", "5")
    assert found["workload"] == {"users": 2, "requests": 4, "input_len": 20, "output_len": "5"}
    assert {one["output"] for one in records(stoker)} == {5}


def test_prompts_of_a_file_and_the_completions_api(stoker: Stoker, start: Start) -> None:
    (stoker.home / "p.jsonl").write_text('{"prompt": "one two", "max_tokens": 4}\n{"prompt": "three"}\n')
    bench(
        stoker,
        url(start()),
        "--prompts",
        "p.jsonl",
        "--requests",
        "4",
        "--users",
        "1",
        "--api",
        "completions",
    )
    assert sorted(one["input"] for one in records(stoker)) == [1, 1, 2, 2]


def test_a_key_is_sent_and_never_told(stoker: Stoker, tmp_path: Path) -> None:
    with starter(tmp_path) as begin:
        engine = begin(key="sesame-open")
        words = ("--users", "1", "--requests", "2", *SHORT[:4])
        bench(stoker, url(engine), *words, "--key", "env:MY_KEY", MY_KEY="sesame-open")
        told = "".join(path.read_text() for path in (stoker.home / "run").iterdir())
        assert "sesame" not in told
        refused = stoker("bench", "--url", url(engine), "--model", "demo", *words, "--results", "other")
        assert (refused.code, "another key" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        ({"error_rate": 0.25, "error_status": 429}, "status 429"),
        ({"error_rate": 0.25, "error_status": 500}, "status 500"),
    ],
)
def test_refusals_are_failures_of_their_kind(
    stoker: Stoker, start: Start, faults: dict[str, Any], kind: str
) -> None:
    control = stoker.home / "control"
    control.write_text("{}")
    engine = start("--simulate-file", str(control))
    control.write_text(json.dumps({"faults": faults}))
    time.sleep(0.5)
    found = bench(stoker, url(engine), "--rate", "20", *SHORT)
    assert found["summary"]["errors"].keys() == {kind}
    assert 0.15 < found["summary"]["failed"] / found["summary"]["requests"] < 0.35
    assert "bench-failed" in rules(found)


def test_a_core_that_dies_is_no_success_though_each_stream_ends_well(stoker: Stoker, start: Start) -> None:
    engine = start(faults={"core_dies_mid_stream_after_tokens": 3}, itl=0.01)
    found = bench(stoker, url(engine), "--model", "demo", "--users", "4", *SHORT, code=1)
    assert found["summary"]["failed"] == found["summary"]["requests"]
    assert any(kind.startswith(("stream-error", "status 500")) for kind in found["summary"]["errors"])


def test_a_server_that_dies_in_the_middle_cuts_what_was_open(stoker: Stoker, start: Start) -> None:
    engine = start(faults={"die_after_requests": 30}, ttft=0.2, itl=0.05)
    words = ("--rate", "10", "--input-len", "40", "--output-len", "20", "--duration", "6s", "--warmup", "0s")
    found = bench(stoker, url(engine), "--model", "demo", *words, code=0)
    assert {"cut", "refused"} <= found["summary"]["errors"].keys()
    assert found["summary"]["failed"] < found["summary"]["requests"]


def test_a_server_that_hangs_ends_in_timeouts_and_in_time(stoker: Stoker, start: Start) -> None:
    engine = start(faults={"stall_after_requests": 20})
    begun = time.monotonic()
    found = bench(stoker, url(engine), "--model", "demo", "--rate", "20", *SHORT, "--grace", "1s", code=0)
    assert found["summary"]["errors"].keys() == {"timeout"}
    assert time.monotonic() - begun < 30


def test_nobody_there(stoker: Stoker) -> None:
    ran = stoker("bench", "--url", f"http://127.0.0.1:{free_port()}", "--model", "m", *SHORT)
    assert (ran.code, "does not answer" in ran.err) == (1, True)


def test_a_wrong_model_is_named_before_anything_is_sent(stoker: Stoker, start: Start) -> None:
    ran = stoker("bench", "--url", url(start()), "--model", "nope", *SHORT)
    assert (ran.code, "nope" in ran.err) == (2, True)
    assert not (stoker.home / "stoker-runs").exists()


@pytest.mark.parametrize("load", [("--rate", "20"), ("--users", "3")])
def test_ctrl_c_ends_with_what_was_measured(
    stoker: Stoker, start: Start, wait_until: Any, load: tuple[str, str]
) -> None:
    engine = start(ttft=0.01, itl=0.01)
    words = (*load, "--input-len", "40", "--output-len", "8", "--duration", "60s", "--warmup", "0s")
    running = stoker.popen("bench", "--url", url(engine), *words, "--results", "run")
    file = stoker.home / "run" / "records.jsonl"
    wait_until(lambda: " done, " in stoker.said)
    time.sleep(2)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(30) == 130
    assert "interrupted" in stoker.said
    assert "ttft" in stoker.said
    found = json.loads((stoker.home / "run" / "run.json").read_text())
    assert found["interrupted"] is True
    assert 20 <= found["summary"]["requests"] <= len(file.read_text().splitlines())


def test_a_rate_that_no_client_reaches_spoils_the_test_and_says_so(stoker: Stoker, start: Start) -> None:
    found = bench(
        stoker, url(start()), "--rate", "60000", "--requests", "30000", *SHORT[:4], "--timeout", "20s", code=1
    )
    assert "bench-lag" in rules(found)
    assert found["holds"] is False


def test_results_are_never_written_over(stoker: Stoker, start: Start) -> None:
    engine = start()
    words = ("--users", "1", "--requests", "1", *SHORT[:4])
    bench(stoker, url(engine), *words)
    again = stoker("bench", "--url", url(engine), *words, "--results", "run")
    assert (again.code, "holds a run already" in again.err) == (2, True)


def test_a_disk_that_fills_ends_the_writing_and_not_the_test(stoker: Stoker, start: Start) -> None:
    engine = start()
    code = (
        "import resource,sys;resource.setrlimit(resource.RLIMIT_FSIZE,(4096,4096));"
        "import signal;signal.signal(signal.SIGXFSZ,signal.SIG_IGN);"
        "from stoker.cli.main import main;main(sys.argv[1:])"
    )
    words = ("bench", "--url", url(engine), "--rate", "30", *SHORT, "--results", "run")
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=stoker.env, cwd=stoker.home
    )
    assert done.returncode == 1, done.stderr
    assert "could not be written" in done.stdout
    assert "ttft" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_fleet_is_measured_by_its_name_with_its_own_objectives(stoker: Stoker) -> None:
    spec = stoker.spec(replicas=2, slo={"ttft": "5s", "itl": "1s"}, simulate={"ttft": 0.01, "itl": 0.005})
    assert stoker("up", "-d", "-f", spec).code == 0
    ran = stoker("bench", "--rate", "15", *SHORT, "-o", "json", "--results", "run")
    assert ran.out, ran.err
    found = ran.json()
    assert (found["name"], found["objectives"]["ttft"]) == ("sim", 5.0)
    assert found["summary"]["attainment"] == 1.0
    assert found["environment"]["spec"]["replicas"] == "2"
    moments = [json.loads(line) for line in (stoker.home / "run" / "timeline.jsonl").read_text().splitlines()]
    assert {one["replica"] for one in moments[-1]["replicas"]} == {"1", "2"}


def test_quick_answers_in_words(stoker: Stoker, start: Start) -> None:
    engine = start("--max-num-seqs", "8", ttft=0.05, itl=0.01)
    words = ("--input-len", "40", "--output-len", "20", "--slo", "ttft=300ms,itl=1s")
    begun = time.monotonic()
    ran: Ran = stoker("bench", "--url", url(engine), "--quick", *words)
    assert ran.code == 0, ran.err
    assert "One user: first token in" in ran.out
    assert "users at once" in ran.out
    assert "the time to the first token grew too long" in ran.out
    assert time.monotonic() - begun < 75


def test_a_sweep_finds_the_capacity_of_an_engine_of_known_capacity(stoker: Stoker, start: Start) -> None:
    # four seats, each for 0.1 + 20 x 0.01 s or so: 13 requests a second
    engine = start("--max-num-seqs", "4", ttft=0.1, itl=0.01)
    words = ("--arrivals", "constant", "--input-len", "40", "--output-len", "21", "--duration", "4s")
    ran = stoker(
        "bench",
        "--url",
        url(engine),
        "--sweep",
        *words,
        "--slo",
        "ttft=500ms",
        "--attainment",
        "90%",
        "-o",
        "json",
        "--results",
        "run",
        timeout=240,
    )
    assert ran.code == 0, ran.err
    found = ran.json()
    assert 9.0 < found["capacity"]["level"] < 15.0
    assert found["capacity"]["low"] <= found["capacity"]["level"] <= found["capacity"]["high"]
    assert 1 <= found["scaling"]["batch-size"] <= 4  # of four seats, a little beneath what ran
    assert (stoker.home / "run" / "sweep.json").exists()
    assert "</html>" in (stoker.home / "run" / "report.html").read_text()
    assert all((stoker.home / "run" / one["folder"] / "run.json").exists() for one in found["steps"])


def test_an_engine_with_a_profile_is_found_to_have_it(stoker: Stoker, start: Start) -> None:
    true = {"base": 0.02, "prefill_token": 0.0001, "sequence": 0.0005}
    engine = start("--max-num-seqs", "64", profile=true, kv_blocks=20_000)
    words = ("--rate", "6", "--input-len", "50..400", "--output-len", "30..60", "--duration", "12s")
    found = bench(stoker, url(engine), *words)["profile"]
    assert found["base"] == pytest.approx(true["base"], rel=0.3)
    assert found["prefill_token"] == pytest.approx(true["prefill_token"], rel=0.4)
    assert found["error"] < 0.3


def test_replicas_behind_one_endpoint_are_found_to_have_it_too(stoker: Stoker) -> None:
    true = {"base": 0.02, "prefill_token": 0.0001, "sequence": 0.0005}
    spec = stoker.spec(replicas=2, simulate={"profile": true, "kv_blocks": 20_000})
    assert stoker("up", "-d", "-f", spec).code == 0
    words = ("--rate", "10", "--input-len", "50..400", "--output-len", "30..60", "--duration", "12s")
    ran = stoker("bench", *words, "-o", "json", "--results", "run")
    assert ran.out, ran.err
    assert {one["replica"].partition(".")[0] for one in records(stoker)} == {"1", "2"}  # and its life
    found = ran.json()["profile"]
    assert found["base"] == pytest.approx(true["base"], rel=0.3)
    assert found["error"] < 0.3


def test_an_engine_with_a_profile_batches_as_vllm_does(stoker: Stoker, start: Start) -> None:
    """Its KV cache holds two requests at their end: a third one is begun, and has to give way."""
    profile = {"base": 0.005}
    engine = start("--max-model-len", "400", profile=profile, kv_blocks=24)
    words = ("--users", "3", "--requests", "6", "--input-len", "100", "--output-len", "90")
    found = bench(stoker, url(engine), *words)
    assert found["summary"]["failed"] == 0
    assert engine.metric("num_preemptions_total") > 0
    assert {one["output"] for one in records(stoker)} == {90}


def test_over_tls_with_a_certificate_that_is_trusted(stoker: Stoker, start: Start, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="it comes with the engine")
    from tests.support.tls import certificate, front

    cert, key = certificate(tmp_path)
    with front(start(itl=0.005).port, cert, key) as port:
        words = ("--users", "2", "--requests", "4", *SHORT[:4])
        found = bench(stoker, f"https://127.0.0.1:{port}", "--model", "demo", *words, SSL_CERT_FILE=str(cert))
        assert (found["summary"]["requests"], found["summary"]["failed"]) == (4, 0)
        ran = stoker(
            "bench", "--url", f"https://127.0.0.1:{port}", "--model", "demo", *words, "--results", "no"
        )
        assert (ran.code, "certificate" in ran.err) == (1, True)


def test_figures_are_those_of_a_server_that_keeps_its_own_log(stoker: Stoker) -> None:
    """A role 100 ms before the first token, every fifth event of two tokens, every fourth stream broken."""
    timing = Timing(role=0.05, first=0.15, gap=0.02, several_every=5, separate_end=True, broken_every=4)
    with KnownServer() as server:
        server.begin(timing)
        words = ("--rate", "20", "--arrivals", "constant", "--input-len", "32", "--output-len", "17")
        until = ("--requests", "60", "--warmup", "0s")
        found = bench(stoker, server.url, "--model", MODEL, *words, *until)
        told = [one for one in server.log() if one.tokens == 17]  # not what was asked before the test
    summary = found["summary"]
    broken = [one for one in told if one.broken]
    assert (len(told), summary["requests"], summary["failed"]) == (60, 60, len(broken))
    whole = [one for one in told if not one.broken]
    firsts = [one.first_token for one in whole if one.first_token is not None]
    assert summary["ttft_sent"]["p50"] == pytest.approx(median(firsts), abs=0.02)  # a busy machine reads late
    assert summary["itl"]["count"] == 16 * len(whole)
    true = [(one.contents[-1][0] - one.contents[0][0]) / 16 for one in whole]
    assert summary["tpot"]["p50"] == pytest.approx(median(true), abs=0.004)
    kept = [one for one in records(stoker) if "error" not in one]
    assert all(sum(one["counts"]) == 17 for one in kept)
