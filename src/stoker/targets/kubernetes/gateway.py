"""The endpoint as a pod: `python -m stoker.targets.kubernetes.gateway SETTINGS`. Its routes are the fleet's
pods, watched.

The pod's own account may get, list and watch pods of its namespace. SETTINGS is the gateway's file with
fields
more: namespace, selector (labels of the pods that answer), engine_port, linger (seconds in which Services
learn that this pod leaves) and drain (seconds for answers in progress).
"""

import asyncio
import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2
from lightkube.config.client_adapter import AsyncClient, ConnectionParams

from stoker.targets.gateway.app import App
from stoker.targets.gateway.config import Route, Routes, Settings
from stoker.targets.gateway.process import Ending, run
from stoker.targets.gateway.replicas import Replicas
from stoker.targets.kubernetes.connection import connection

WATCH_SECONDS = 300
RETRY_SECONDS = 1.0
Object = dict[str, Any]

log = logging.getLogger("stoker.gateway")


class Watch:
    """The fleet's pods as routes, kept up to date. A watch that breaks is begun again; routes stay
    meanwhile."""

    def __init__(self, http: httpx2.AsyncClient, namespace: str, selector: str, port: int) -> None:
        self._http, self._selector, self._port = http, selector, port
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._pods: dict[str, Object] = {}
        self._revision = 0

    async def keep(self, replicas: Replicas) -> None:
        """Follows for ever."""
        while True:
            try:
                version = await self._list()
                replicas.follow(self.routes())
                async for event in self._events(version):
                    self._take(event)
                    replicas.follow(self.routes())
            except (httpx2.HTTPError, OSError, ValueError, KeyError) as error:
                log.warning("the pods cannot be watched: %s", str(error) or type(error).__name__)
                if not self._pods:
                    replicas.follow(Routes(reason=f"the pods cannot be watched: {error}"))
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self) -> str:
        answer = await self._http.get(self._path, params={"labelSelector": self._selector})
        answer.raise_for_status()
        found = answer.json()
        self._pods = {pod["metadata"]["name"]: pod for pod in found.get("items", ())}
        return str(found["metadata"]["resourceVersion"])

    async def _events(self, version: str) -> Any:
        query = {
            "labelSelector": self._selector,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = httpx2.Timeout(10.0, read=WATCH_SECONDS + 30.0)
        async with self._http.stream("GET", self._path, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":  # the version is too old: list again
                    return
                yield event

    def _take(self, event: Object) -> None:
        name = event["object"]["metadata"].get("name", "")
        if event["type"] == "DELETED":
            self._pods.pop(name, None)
        elif event["type"] in ("ADDED", "MODIFIED"):
            self._pods[name] = event["object"]

    def routes(self) -> Routes:
        """Every pod that has an address; those that are on their way out get nothing new."""
        self._revision += 1
        return Routes(
            self._revision, tuple(routes(self._pods.values(), self._port)), reason(self._pods.values())
        )


def routes(pods: Iterable[Object], port: int) -> list[Route]:
    """The pods that have an address and have not ended, by name."""
    out = []
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        status = pod.get("status", {})
        if status.get("podIP") and status.get("phase") not in ("Succeeded", "Failed"):
            leaving = bool(pod["metadata"].get("deletionTimestamp"))
            out.append(Route(pod["metadata"]["name"], status["podIP"], port, leaving))
    return out


def reason(pods: Iterable[Object]) -> str:
    """Why none is ready, in words."""
    phases = [str(pod.get("status", {}).get("phase", "Pending")) for pod in pods]
    if not phases:
        return "the fleet has no engine pod"
    counted = ", ".join(f"{phases.count(phase)} {phase}" for phase in dict.fromkeys(phases))
    return f"engine pods: {counted}"


def main() -> int:
    """Runs the gateway until SIGTERM."""
    path = Path(sys.argv[1])
    raw = json.loads(path.read_text())
    config = connection(None)

    async def follow(_: Settings, replicas: Replicas, __: App) -> None:
        params = ConnectionParams(timeout=httpx2.Timeout(10.0))
        async with AsyncClient(config, params) as http:
            await Watch(http, raw["namespace"], raw["selector"], raw["engine_port"]).keep(replicas)

    ending = Ending(linger=float(raw["linger"]), drain=float(raw["drain"]))
    return run(Settings.read(path), follow, ending)


if __name__ == "__main__":
    sys.exit(main())
