"""Reading the metrics of many replicas at once: bounded in time, and no oftener than this machine can do."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from stoker.engine.samples import NARROW, MetricSample, read
from stoker.errors import StokerError
from stoker.system.pool import Pool, fetch

ANSWER_SECONDS = 0.9  # a replica that hangs is shown as such before two seconds are over
SLOWEST = 15.0
BUSY, IDLE = 0.5, 0.15  # shares of a core at which the interval is doubled, or halved again
LARGEST = 8 << 20
SIGN = b"\nvllm:"  # of a page that has something to read

Page = Callable[[], Awaitable[bytes]]


def page(url: str, key: str | None = None) -> Page:
    """The metrics page of an engine or endpoint at `http(s)://HOST:PORT`, over a connection that is kept."""
    parts = urlsplit(url)
    headers = [(b"authorization", b"Bearer " + key.encode())] if key else []
    if parts.scheme == "https":
        return _over_tls(url, key)
    pool = Pool(parts.hostname or "127.0.0.1", parts.port or 80)
    root = parts.path.rstrip("/")
    return Narrowed(lambda path: fetch(pool, f"{root}{path}".encode(), headers, ANSWER_SECONDS)).page


def _over_tls(url: str, key: str | None) -> Page:
    import httpx2

    client = httpx2.AsyncClient(
        timeout=ANSWER_SECONDS, headers={"Authorization": f"Bearer {key}"} if key else {}
    )

    async def get(path: str) -> tuple[int, bytes]:
        try:
            answer = await client.get(f"{url.rstrip('/')}{path}")
        except httpx2.HTTPError as error:
            raise OSError(str(error) or type(error).__name__) from None
        return answer.status_code, answer.content

    return Narrowed(get).page


class Narrowed:
    """An engine's page, with the families that are read alone where it can do that: its whole page costs it
    four times as much.

    get: a path's status and body.
    """

    def __init__(self, get: Callable[[str], Awaitable[tuple[int, bytes]]]) -> None:
        self._get = get
        self._can = True

    async def __call__(self) -> tuple[int, bytes]:
        """Status and body. Raises: what `get` does."""
        if self._can:
            status, body = await self._get(NARROW)
            if status == 200 and SIGN in body:
                return status, body
        try:
            status, body = await self._get("/metrics")
        except ConnectionError:  # closed behind the answer before, as some servers do
            status, body = await self._get("/metrics")
        if status == 200 and SIGN in body:
            self._can = False
        return status, body

    async def page(self) -> bytes:
        """The body. Raises: OSError, for another status than 200, and what `get` does."""
        status, body = await self()
        if status != 200:
            raise OSError(f"/metrics answers {status}")
        return body


class Scraper:
    """Samples of all replicas, a round an interval. `why` says of each that gave none what was wrong."""

    def __init__(self, interval: float = 1.0) -> None:
        self.asked = self.interval = interval
        self.why: dict[str, str] = {}
        self._used = time.thread_time()
        self._began = time.monotonic()

    async def round(self, pages: Mapping[str, Page]) -> dict[str, MetricSample | None]:
        """One sample a replica; None for one that does not answer, or answers something else. Never
        raises."""
        self.why = {}
        samples = await asyncio.gather(*(self._one(name, get) for name, get in pages.items()))
        return dict(zip(pages, samples, strict=True))

    async def _one(self, name: str, get: Page) -> MetricSample | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await get()
        except TimeoutError:
            self.why[name] = f"/metrics does not answer within {ANSWER_SECONDS:g} s"
            return None
        except (OSError, StokerError) as error:
            self.why[name] = f"/metrics cannot be read: {str(error) or type(error).__name__}"
            return None
        if len(body) > LARGEST:
            self.why[name] = f"/metrics has {len(body) >> 20} MiB"
            return None
        try:
            sample = read(body, time.monotonic())
        except Exception as error:  # whatever a page holds, it is that page's own matter
            self.why[name] = f"/metrics cannot be read: {type(error).__name__}: {error}"
            return None
        if sample is None:
            self.why[name] = "/metrics has none of vLLM's families"
        return sample

    def pace(self) -> float:
        """Seconds until the next round. The interval is widened while this thread is too busy for it."""
        used, now = time.thread_time(), time.monotonic()
        share = (used - self._used) / max(1e-6, now - self._began)
        self._used, self._began = used, now
        if share > BUSY:
            self.interval = min(SLOWEST, 2 * self.interval)
        elif share < IDLE:
            self.interval = max(self.asked, self.interval / 2)
        return self.interval
