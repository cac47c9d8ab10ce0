"""The endpoint's own rules: who may ask, what is passed on, and what the gateway answers itself."""

import asyncio
import hmac
import re

from stoker.engine import metrics
from stoker.system.http1 import Exchange, Request, Terms
from stoker.system.pool import fetch
from stoker.system.upstream import Headers
from stoker.targets.gateway import answers
from stoker.targets.gateway.attempt import Counts
from stoker.targets.gateway.config import Settings
from stoker.targets.gateway.relay import Relay
from stoker.targets.gateway.replicas import Replicas

METRICS_SECONDS = 2.0
BODIES_AT_ONCE = 4  # of the largest size: what all bodies together may take
METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
_PROMETHEUS = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]


class App:
    """The handler of every request to the endpoint."""

    def __init__(self, settings: Settings, replicas: Replicas) -> None:
        self.answers = False  # whether it is this gateway's turn
        self._settings = settings
        self._replicas = replicas
        self._relay = Relay(replicas, settings.engine_key, settings.queue_timeout)
        self.terms = Terms(
            max_body=settings.max_body,
            most_held=BODIES_AT_ONCE * settings.max_body,
            half_closed=True,
            files_each=2,
            form=answers.error,
        )
        self._key = settings.key.encode() if settings.key else None
        self._cors = frozenset(origin.encode() for origin in settings.cors)
        self._hosts = frozenset(host.lower().encode() for host in settings.hosts)
        templates = [
            re.escape(route).replace(r"\{", "{").replace(r"\}", "}") for route in settings.inference_routes
        ]
        self._routes = re.compile("|".join(re.sub(r"{[^}]*}", "[^/]+", route) for route in sorted(templates)))

    def opened(self) -> None:
        """It is this gateway that answers now."""
        self.answers = True

    @property
    def held(self) -> int:
        """Requests that it holds: with a replica, or waiting for one."""
        return held(self._relay.counts, self._replicas)

    @property
    def asked(self) -> tuple[str, ...]:
        """What clients have asked for, of what a new replica should be warm for."""
        return tuple(sorted(self._relay.asked))

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request that `refusal` has let in."""
        request = exchange.request
        extra = self._cors_headers(request)
        if request.method == "OPTIONS" and extra:
            return exchange.reply(204, b"", extra)
        if request.path == "*":
            return exchange.reply(204, b"", [_allow(METHODS)])
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            return self._health(exchange)
        if request.path == "/metrics" and request.method in ("GET", "HEAD"):
            return await self._metrics(exchange)
        if request.path in ("/health", "/metrics"):
            return self._error(
                exchange, 405, f"{request.path} answers GET and HEAD", [*extra, _allow("GET, HEAD")]
            )
        if (request.header(b"upgrade") or b"").lower() == b"websocket" and not request.old:
            return self._error(exchange, 501, "this endpoint does not relay WebSockets", extra)
        if request.method == "HEAD":
            message = "HEAD is answered at /health and /metrics alone"
            return self._error(exchange, 405, message, [*extra, _allow(METHODS.replace(", HEAD", ""))])
        if self._routes.fullmatch(request.path):
            return await self._relay.relay(exchange, extra)
        return self._error(
            exchange, 404, f"{request.method} {request.path} is not served by this endpoint", extra
        )

    def refusal(self, request: Request) -> tuple[int, bytes, Headers] | None:
        """The answer to who may not ask, known before a body is read: status, body, headers; None where one
        may."""
        if (why := self._forbidden(request)) is not None:
            return 403, answers.error(403, why, request.path), [*answers.JSON]
        extra = self._cors_headers(request)
        asked = (request.method == "OPTIONS" and bool(extra)) or (
            request.path == "/health" and request.method in ("GET", "HEAD")
        )
        if asked or self._allowed(request):
            return None
        message = "this endpoint needs its API key: Authorization: Bearer KEY"
        www = (b"www-authenticate", b"Bearer")
        return 401, answers.error(401, message, request.path), [*answers.JSON, www, *extra]

    def _error(self, exchange: Exchange, status: int, message: str, extra: Headers | None = None) -> None:
        body = answers.error(status, message, exchange.request.path)
        exchange.reply(status, body, [*answers.JSON, *(extra or [])])

    def _allowed(self, request: Request) -> bool:
        if self._key is None:
            return True
        bearer = request.header(b"authorization") or b""
        given = bearer[7:] if bearer[:7].lower() == b"bearer " else request.header(b"x-api-key") or b""
        return hmac.compare_digest(given, self._key)

    def _forbidden(self, request: Request) -> str | None:
        """Why a browser's request is refused: another site's page asks, or this address under a foreign
        name."""
        host = (request.header(b"host") or b"").lower()
        name = host.rpartition(b":")[0] if not host.endswith(b"]") and b":" in host else host
        if self._hosts and host and name not in self._hosts:  # HTTP/1.0 may have none; a browser never
            return f"the host name {name.decode('latin-1')!r} is not one of this endpoint's"
        origin = request.header(b"origin")
        if (
            origin is None
            or b"*" in self._cors
            or origin in self._cors
            or origin.split(b"//")[-1].lower() == host
        ):
            return None
        return f"pages of {origin.decode('latin-1')!r} may not ask here: list the origin in endpoint.cors"

    def _cors_headers(self, request: Request) -> Headers:
        origin = request.header(b"origin")
        if origin is None or not (b"*" in self._cors or origin in self._cors):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", request.header(b"access-control-request-headers") or b"*"),
            (b"vary", b"Origin"),
        ]

    def _health(self, exchange: Exchange) -> None:
        if self._replicas.ready():
            return exchange.reply(200, b"")
        return self._error(exchange, 503, f"no replica is ready: {self._replicas.reason}")

    async def _metrics(self, exchange: Exchange) -> None:
        ready = [replica for replica in self._replicas if replica.healthy]
        pages = await asyncio.gather(
            *(fetch(replica.pool, b"/metrics", [], METRICS_SECONDS) for replica in ready),
            return_exceptions=True,
        )
        labels = labels_of([replica.id for replica in ready])
        good = {
            labels[r.id]: page[1]
            for r, page in zip(ready, pages, strict=True)
            if not isinstance(page, BaseException)
        }
        exchange.reply(200, metrics.merge(good) + own_page(self._relay.counts, self._replicas), _PROMETHEUS)


def labels_of(ids: list[str]) -> dict[str, str]:
    """Each replica's name out of its id (`NAME.GENERATION`); the older of two lives that overlap keeps its
    id."""
    newest = {one.rsplit(".", 1)[0]: one for one in sorted(ids, key=_generation)}
    return {one: name if newest[name := one.rsplit(".", 1)[0]] == one else one for one in ids}


def _generation(replica: str) -> int:
    number = replica.rpartition(".")[2]
    return int(number) if number.isdigit() else 0


def _allow(methods: str) -> tuple[bytes, bytes]:
    """What a 405 has to say: the methods that are served there."""
    return b"allow", methods.encode()


def held(counts: Counts, replicas: Replicas) -> int:
    """Requests that the gateway holds: with a replica, or waiting for one."""
    return counts.waiting + sum(len(replica.running) for replica in replicas)


def own_page(counts: Counts, replicas: Replicas) -> bytes:
    """The gateway's own families, in Prometheus' text format."""
    lines: list[str] = []
    for name, kind, text, value in (
        ("resent_total", "counter", "Requests sent again, to a replica after another.", counts.resent),
        (
            "streams_cut_total",
            "counter",
            "Streams that ended with an error event: their replica was lost.",
            counts.cut,
        ),
        ("held_total", "counter", "Times a request waited for a replica to become ready.", counts.held),
        ("clients_gone_total", "counter", "Requests whose client left before the end.", counts.gone),
        (
            "requests",
            "gauge",
            "Requests that the gateway holds: with a replica, or waiting for one.",
            held(counts, replicas),
        ),
        ("replicas_ready", "gauge", "Replicas in rotation.", len(replicas.ready())),
    ):
        full = f"stoker_gateway_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full} {value}"]
    full = "stoker_gateway_requests_in_flight"
    lines += [f"# HELP {full} Requests in flight by replica.", f"# TYPE {full} gauge"]
    labels = labels_of([replica.id for replica in replicas])
    lines += [f'{full}{{replica="{labels[replica.id]}"}} {len(replica.running)}' for replica in replicas]
    return ("\n".join(lines) + "\n").encode()
