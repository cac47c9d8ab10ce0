"""The same load on real vLLM, measured by Stoker and by `vllm bench serve`: do they agree?

`python -m benchmarks.agreement [--rounds N] [--rate R]`: each in turn on one engine, an even rate, streamed
chats of equal length by the server's count. Target: throughput and median time to first token and per output
token within 5 %. Defined alike here: the first event with a role comes with the first token, and every event is
one token. Stoker's time to first token is the one from when a request was sent, as the other's.
"""

import argparse
from statistics import median

from benchmarks.peers import stoker, vllm_bench
from benchmarks.peers.everyone import words
from benchmarks.peers.load import Load, Result
from benchmarks.serve import folder, stokers_engine
from stoker.bench.probe import Probe
from stoker.fleet.target import Endpoint

NAMES = {
    "streams_per_second": "requests/s",
    "tokens_per_second": "tokens/s",
    "ttft_p50": "median ttft",
    "tpot_p50": "median tpot",
}
LIMIT = 600.0


def main() -> None:
    """Prints the rounds, and how far the medians are apart."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--rate", type=float, default=1.0)
    options.add_argument("--seconds", type=float, default=40.0)
    given = options.parse_args()
    tokenizer = words()
    found: dict[str, list[Result]] = {"stoker": [], "vllm": []}
    with stokers_engine(folder()) as port:
        url = f"http://127.0.0.1:{port}"
        with Probe(Endpoint(url, "m"), "chat", {}) as asked:
            template = asked.all().vocabulary.overhead - 1  # which `vllm bench serve` does not count
        for number in range(given.rounds):
            seed = 11 + number
            plain = Load(given.rate, given.seconds, prompt=100, output=32, seed=seed)
            whole = Load(given.rate, given.seconds, prompt=100 + template, output=32, seed=seed)
            found["vllm"].append(vllm_bench.run(url, "m", plain, tokenizer, None, LIMIT))
            found["stoker"].append(stoker.run(url, "m", whole, tokenizer, None, LIMIT))
            for name, results in found.items():
                told = "  ".join(f"{label} {_value(results[-1], key):.4g}" for key, label in NAMES.items())
                print(f"{name:<7} {told}  failed {results[-1].failed}", flush=True)
    for key, label in NAMES.items():
        mine, theirs = (median(_value(one, key) for one in found[name]) for name in ("stoker", "vllm"))
        print(f"{label:<12} stoker {mine:.4g}  vllm bench {theirs:.4g}  apart {mine / theirs - 1:+.1%}")


def _value(result: Result, key: str) -> float:
    value = getattr(result, key)
    return float(value) if value is not None else float("nan")


if __name__ == "__main__":
    main()
