"""Where the console looks: a fleet of this machine, or of a cluster. Reading is for all; acting, for who
holds the key."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

import httpx2

from stoker.errors import StokerError, UsageError
from stoker.fleet.state import FleetState, Phase, Replica
from stoker.observe import Narrowed, Page, page
from stoker.observe.store import File
from stoker.spec import dump
from stoker.system import clock
from stoker.system.files import tail

if TYPE_CHECKING:
    from stoker.operate.cluster import ClusterFleet
    from stoker.operate.fleet import Fleet

SERVING = ("Ready", "Draining")
LINES = 400
AT_ONCE = 32  # pods whose pages are read together
HEALTH_SECONDS = 2.0


class Source(Protocol):
    """One fleet, as the console sees it."""

    interval: float
    state_every: float

    def state(self) -> FleetState: ...
    def spec(self) -> dict[str, Any] | None: ...
    def stamp(self) -> object: ...
    def pages(self, state: FleetState) -> Mapping[str, Page]: ...
    def log(self, name: str) -> list[str]: ...
    def scale(self, count: int) -> None: ...
    def restart(self) -> None: ...
    def file(self) -> File | None: ...


class Pages:
    """One page a replica, by its URL, with its connection kept from round to round."""

    def __init__(self, make: Callable[[str], Page]) -> None:
        self._make = make
        self._known: dict[str, tuple[str, Page]] = {}

    def __call__(self, addresses: Mapping[str, str]) -> dict[str, Page]:
        """The pages of these replicas."""
        for name, url in addresses.items():
            if name not in self._known or self._known[name][0] != url:
                self._known[name] = url, self._make(url)
        self._known = {name: self._known[name] for name in addresses}
        return {name: get for name, (_, get) in self._known.items()}


class Local:
    """A fleet of this machine. Its history is kept in its own folder."""

    interval = state_every = 1.0

    def __init__(self, name: str) -> None:
        from stoker.operate.local_fleet import LocalFleet

        self._fleet = LocalFleet(name)
        self._pages = Pages(page)

    def state(self) -> FleetState:
        """What the supervisor says."""
        return self._fleet.target.observe()

    def spec(self) -> dict[str, Any]:
        """As it is kept. Raises: StokerError."""
        return dump(self._fleet.spec)

    def stamp(self) -> object:
        """When something happened last."""
        try:
            return self._fleet.target.folder.moved_file.stat().st_mtime_ns
        except OSError:
            return None

    def pages(self, state: FleetState) -> Mapping[str, Page]:
        """Those that serve."""
        return self._pages({one.name: one.url for one in state.replicas if one.url and one.phase in SERVING})

    def log(self, name: str) -> list[str]:
        """The last lines of a replica, or of a service by its role. Raises: UsageError."""
        from stoker.targets.local.logs import files

        found = files(self._fleet.target.folder, name).get(name)
        if not found:
            raise UsageError(
                f"there is no log of {name}", why="no such replica or service", fix="one of the table's"
            )
        return tail(found[-1], LINES)

    def scale(self, count: int) -> None:
        """Runs so many replicas. Raises: StokerError."""
        self._fleet.scale(count)

    def restart(self) -> None:
        """Replaces every replica. Raises: StokerError."""
        self._fleet.restart()

    def file(self) -> File | None:
        """The day's history."""
        return File(self._fleet.target.folder.history)


class Endpoint:
    """Any endpoint by its URL: what its own /metrics tells, as one replica."""

    interval = state_every = 1.0

    def __init__(self, url: str, model: str, key: str | None) -> None:
        self._url, self._model = url, model
        self._page = page(url, key)
        self._begun = clock.now()
        self._client = httpx2.Client(timeout=HEALTH_SECONDS)

    def state(self) -> FleetState:
        """One replica, ready while `/health` says so."""
        why = self._unhealthy()
        phase: Phase = "Starting" if why else "Ready"
        one = Replica("1", phase, self._begun, self._url, detail=why, started=self._begun)
        return FleetState(
            self._model,
            self._url,
            clock.now(),
            endpoint=self._url,
            model=self._model,
            wanted=1,
            replicas=(one,),
        )

    def spec(self) -> None:
        """None is known."""
        return

    def _unhealthy(self) -> str:
        try:
            answer = self._client.get(f"{self._url}/health")
        except httpx2.HTTPError as error:
            return f"it does not answer: {str(error) or type(error).__name__}"
        if answer.status_code == 200:
            return ""
        try:
            return str(answer.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return f"/health answers {answer.status_code}"

    def stamp(self) -> object:
        """Only asking tells."""
        return None

    def pages(self, state: FleetState) -> Mapping[str, Page]:
        """The endpoint's own."""
        return {"1": self._page} if state.ready else {}

    def log(self, name: str) -> list[str]:
        """None is known. Raises: UsageError."""
        raise UsageError("an endpoint shows no log", why="only its URL is known", fix="look where it runs")

    def scale(self, count: int) -> None:
        """Raises: UsageError."""
        raise UsageError(
            "an endpoint cannot be scaled from here", why="only its URL is known", fix="where it runs"
        )

    def restart(self) -> None:
        """Raises: UsageError."""
        self.scale(1)

    def file(self) -> File | None:
        """Nothing is kept."""
        return None


class Cluster:
    """A fleet of a cluster, through the API server: its pods' pages by the server's proxy, or straight from
    inside.

    connect: makes the handle on it, when something is first asked, and again until that succeeds: a pod of
    the console's may begin before its rights do, or while the API server is away.
    """

    interval = 1.0
    state_every = 3.0

    def __init__(self, connect: "Callable[[], ClusterFleet]", name: str, *, inside: bool = False) -> None:
        self._connect, self._name, self._inside = connect, name, inside
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._asked: set[str] = set()
        self._pages = Pages(page if inside else self._proxied)

    @cached_property
    def _fleet(self) -> "ClusterFleet":
        fleet = self._connect()
        if self._inside:
            fleet.target.stay_inside()
        return fleet

    def _proxied(self, url: str) -> Page:
        name, _, port = url.removeprefix("proxy:").partition(":")
        target = self._fleet.target

        async def get(path: str) -> tuple[int, bytes]:
            if name in self._asked:  # a pod that hangs holds one thread, not one a round
                raise OSError("the look before has not come back")
            self._asked.add(name)
            asked = self._threads.submit(target.api.pod_page, target.namespace, name, int(port), path)
            asked.add_done_callback(lambda _: self._asked.discard(name))
            found = await asyncio.wrap_future(asked)
            return (200 if found else 404), found.encode()

        return Narrowed(get).page

    def state(self) -> FleetState:
        """What the cluster says."""
        return self._fleet.target.observe()

    def spec(self) -> dict[str, Any]:
        """As the cluster keeps it. Raises: StokerError."""
        return dump(self._fleet.spec)

    def stamp(self) -> object:
        """Only asking tells."""
        return None

    def pages(self, state: FleetState) -> Mapping[str, Page]:
        """Those that serve; a group's leader speaks for it."""
        serving = [one for one in state.replicas if one.phase in SERVING]
        if self._inside:
            return self._pages({one.name: one.url for one in serving if one.url})
        ports = {one.name: urlsplit(one.url or "").port or 8000 for one in serving}
        return self._pages({name: f"proxy:{name}:{port}" for name, port in ports.items()})

    def log(self, name: str) -> list[str]:
        """The last lines of a pod, or of the first one of a service. Raises: UsageError."""
        target = self._fleet.target
        role = {"weights": "copy"}.get(name, name)
        pods = (
            target.api.list("Pod", target.namespace, f"{target.selector},app.kubernetes.io/component={role}")
            if role.isalpha()
            else ()
        )
        if role.isalpha() and pods:
            name = pods[0]["metadata"]["name"]
        return [line.text for line in target.logs(name)][-LINES:]

    def scale(self, count: int) -> None:
        """Runs so many replicas. Raises: StokerError."""
        self._fleet.scale(count)

    def restart(self) -> None:
        """Replaces every replica. Raises: StokerError."""
        self._fleet.restart()

    def file(self) -> File | None:
        """The day's history, on the machine that looks; none where the cluster cannot be asked whose it
        is."""
        from stoker.system import paths

        if self._inside:  # the pod's own folder, which outlives its containers
            return File(Path(tempfile.gettempdir()) / f"{self._name}.sqlite")
        try:
            target = self._fleet.target
        except StokerError:
            return None
        path = paths.watched(f"{target.api.context}.{target.namespace}.{target.name}")
        paths.private(path.parent)
        return File(path)


def source_of(fleet: "Fleet") -> Cluster | Local:
    """Where a look at this fleet comes from."""
    from stoker.operate.local_fleet import LocalFleet

    if isinstance(fleet, LocalFleet):
        return Local(fleet.name)
    return Cluster(lambda: cast("ClusterFleet", fleet), fleet.name)
