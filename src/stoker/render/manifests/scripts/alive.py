"""Liveness by progress: `alive.py PORT SECONDS` fails once requests run and no token came for so long.

The engine's /health answers 200 while the engine hangs, so the counters of /metrics are compared with those of the
last call, which are kept in /tmp.
"""

import json
import sys
import time
import urllib.request

STATE = "/tmp/stoker-alive.json"
TOKENS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:iteration_tokens_total_count")


def total(page: str, names: tuple[str, ...]) -> float:
    """The sum of the series of these names."""
    found = 0.0
    for line in page.splitlines():
        if line.startswith(names) and line[0] != "#":
            name = line.split("{")[0].split(" ")[0]
            if name in names:
                found += float(line.rsplit(" ", 1)[1])
    return found


def main(port: int, seconds: float) -> int:
    """0 where it lives."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    running, tokens, now = total(page, ("vllm:num_requests_running",)), total(page, TOKENS), time.monotonic()
    try:
        with open(STATE) as file:
            last = json.load(file)
    except (OSError, ValueError):
        last = {"tokens": None, "at": now}
    if running == 0 or tokens != last["tokens"] or now < last["at"]:
        with open(STATE, "w") as file:
            json.dump({"tokens": tokens, "at": now}, file)
        return 0
    if now - last["at"] < seconds:
        return 0
    print(f"{running:.0f} requests run, and no token came for {now - last['at']:.0f} s")
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
