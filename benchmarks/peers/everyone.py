"""All load generators by name, and one run of one of them: its own figures beside the server's log."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.known_server import MODEL, KnownServer
from tests.support.known_stream import Timing, Told

from benchmarks.peers import aiperf, guidellm, locust, stoker, vllm_bench
from benchmarks.peers.load import Load, Result
from benchmarks.peers.stoker import NotYet
from benchmarks.peers.tree import PeerFailed, between
from stoker.spec.nouns import Demo
from stoker.system import paths
from stoker.weights import fetch

Run = Callable[[str, str, Load, str, int | None, float], Result]
EVERYONE: dict[str, Run] = {
    "stoker": stoker.run,
    "vllm": vllm_bench.run,
    "guidellm": guidellm.run,
    "aiperf": aiperf.run,
    "locust": locust.run,
}
START_SECONDS = 90.0  # that a peer is given to start and to sum up, beside its load


@dataclass(frozen=True, slots=True)
class Seen:
    """A run from both sides: what the generator says, and what the server saw; its own share of a core."""

    load: Load
    timing: Timing
    said: Result
    told: list[Told]
    server_share: float

    @property
    def lags(self) -> list[float]:
        """Seconds by which each stream came after its moment of an even rate, the most punctual one being on
        time."""
        arrived = sorted(one.arrived for one in self.told)
        late = [at - place / self.load.rate for place, at in enumerate(arrived)]
        return [one - min(late) for one in late]

    @property
    def rate(self) -> float:
        """Streams a second that came, from the first to the last of them."""
        arrived = sorted(one.arrived for one in self.told)
        return (len(arrived) - 1) / (arrived[-1] - arrived[0]) if len(arrived) > 1 else 0.0

    @property
    def cost(self) -> float:
        """The generator's CPU seconds a stream while it sent and read, its start and its summing up left
        out."""
        times = [at for one in self.told for at, _, _ in one.events]
        if not times or not self.said.looks:
            return 0.0
        return between(self.said.looks, min(one.arrived for one in self.told), max(times)) / len(self.told)

    @property
    def server_late(self) -> list[float]:
        """Seconds by which the server's own events were late."""
        return [late for one in self.told for late in one.late(self.timing)]


def words() -> str:
    """The folder of a tokenizer, the demo model's: nothing is asked of a hub."""
    return str(fetch(Demo("smollm2-135m-instruct"), cache=paths.weights()))


def once(
    name: str, server: KnownServer, timing: Timing, load: Load, tokenizer: str, core: int | None
) -> Seen | None:
    """One run of one of them; None where it failed, or there is none: why is printed."""
    server.begin(timing)
    before = server.cpu()
    try:
        limit = load.seconds * 3 + START_SECONDS
        said = EVERYONE[name](server.url, MODEL, load, tokenizer, core, limit)
    except (PeerFailed, NotYet) as failed:
        print(f"{name:<9} {failed}", flush=True)
        return None
    told = [one for one in server.log() if one.tokens == load.output]  # what is shorter was a probe
    busy = server.cpu() - before
    times = [at for one in told for at, _, _ in one.events] or [0.0, 1.0]
    return Seen(load, timing, said, told, busy / max(max(times) - min(times), 1e-9))
