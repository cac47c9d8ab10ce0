"""`stoker suggest --measure`: what was simulated beside what real processes here did."""

import json

from tests.conftest import Stoker

SPEC = """\
name: shop
model: demo:smollm2-135m-instruct
engine:
  kind: simulated
  max-num-seqs: 4
  simulate: {profile: {base: 0.05, prefill_token: 0.0002}}
replicas: 1..3
scaling: {metrics: {queue-depth: 10}}
slo: {ttft: 1s, itl: 100ms}
"""
LOAD = ("--rate", "3", "--duration", "12s", "--input-len", "64", "--output-len", "32", "--warmup", "0")


def test_the_best_two_are_tried_and_fare_as_foreseen(stoker: Stoker) -> None:
    (stoker.home / "stoker.yaml").write_text(f"{SPEC}endpoint: {{port: {stoker.port}}}\n")
    ran = stoker("suggest", *LOAD, "--seeds", "2", "--no-options", "--measure", "-o", "json", timeout=200)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert len(found["measured"]) == 2
    foreseen, run = found["best"]["figures"], found["measured"][0]
    assert run["kind"] == "measured"
    assert run["summary"]["attainment"] >= 0.9
    for name in ("itl", "e2e"):  # shares of a busy machine
        assert abs(run["summary"][name]["p50"] / foreseen[f"{name}_p50"]["mean"] - 1) < 0.25
    assert "no fleet" in stoker("status", "-A").out + stoker("status", "-A").err
