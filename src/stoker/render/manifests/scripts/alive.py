"""Liveness by progress: `alive.py PORT SECONDS` fails once requests wait and nothing came from the engine for
so long.

The engine's /health answers 200 while the engine hangs, and its gauges stand still in a long step as in a
hang. What waits is what the pod's own witness counts, a canary of an idle engine included. Progress is an
event to any client, or any move of the engine's counters since the last call (an answer that is not streamed,
a long prompt in chunks).
"""

import json
import sys
import time
import urllib.request

from stoker_ask import FOLDER, ask

STATE = FOLDER / "alive.json"
MOVING = (
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:iteration_tokens_total_count",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:num_preemptions_total",
)


def moving(page: str) -> list[str]:
    """The samples of a metrics page that each step of the engine may change."""
    return [line for line in page.splitlines() if line.startswith(MOVING)]


def still_since(seen: list[str], now: float) -> float:
    """When these samples were first seen as they are."""
    try:
        last = json.loads(STATE.read_text())
    except (OSError, ValueError):
        last = {}
    same = last.get("seen") == seen and last.get("at", now) <= now
    return float(last["at"]) if same else now


def main(port: int, seconds: float) -> int:
    """0 where it lives."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        seen = moving(answer.read().decode())
    now, facts = time.monotonic(), ask("requests")
    at = still_since(seen, now)
    waiting = sum(one["waiting"] for one in facts)
    # without counters (--disable-log-stats) a long answer that is not streamed looks like a hang: the canary
    # alone tells
    quiet = max(
        (min(one["silent_for"] if seen else one["canary_for"], now - at) for one in facts), default=0.0
    )
    hung = waiting > 0 and quiet >= seconds
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    STATE.write_text(json.dumps({"seen": seen, "at": at, "hung": hung}))
    if hung:
        print(f"{waiting} requests wait, and nothing came from the engine for {quiet:.0f} s")
    return int(hung)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
