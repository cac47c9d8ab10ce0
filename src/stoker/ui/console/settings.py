"""What the web app is told on its command line."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stoker.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """The endpoint it speaks to, where it listens, and the key, which came from a private file.

    `endpoint` is a base URL without `/v1`; `wait_for` answers 200 when the chat may be loaded.
    """

    endpoint: str
    model: str
    host: str = "127.0.0.1"
    port: int = 8001
    key: str | None = field(default=None, repr=False)
    wait_for: str = ""
    unlocked: bool = False
    fleet: str = ""
    target: str = "local"
    namespace: str = "default"
    context: str | None = None
    inside: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK


_OPTIONS: Mapping[str, dict[str, Any]] = {
    "--endpoint": {"required": True, "metavar": "URL", "help": "base URL of the endpoint, without /v1"},
    "--model": {"required": True, "metavar": "NAME", "help": "the name that clients ask for"},
    "--host": {"default": "127.0.0.1"},
    "--port": {"type": int, "default": 8001},
    "--key-file": {"type": Path, "metavar": "PATH", "help": "the endpoint's key; it locks this page too"},
    "--wait-for": {"metavar": "URL", "help": "load the chat when this answers 200 (ENDPOINT/health)"},
    "--unlocked": {
        "action": "store_true",
        "help": "serve without a key beyond this machine: the network lets nobody in",
    },
    "--fleet": {
        "default": "",
        "metavar": "NAME",
        "help": "the fleet to watch; without it, the endpoint alone",
    },
    "--target": {"choices": ["local", "kubernetes"], "default": "local", "help": "where the fleet runs"},
    "--namespace": {"default": "default"},
    "--context": {"help": "of the kubeconfig"},
    "--inside": {"action": "store_true", "help": "this runs in the fleet's own cluster"},
}


def read(argv: Sequence[str] | None = None) -> Settings:
    """Parses the command line and reads the key's file. Raises: UsageError."""
    parser = argparse.ArgumentParser(
        "python -m stoker.ui.console", description="The web page beside a fleet."
    )
    for name, option in _OPTIONS.items():
        parser.add_argument(name, **option)
    given = vars(parser.parse_args(argv))
    endpoint = given["endpoint"].rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(
            f"--endpoint {endpoint} is no URL",
            why="it begins with no http:// or https://",
            fix="--endpoint http://HOST:PORT",
        )
    key = _read_key(given.pop("key_file"))
    wait_for = given["wait_for"] or f"{endpoint}/health"
    return Settings(**given | {"endpoint": endpoint, "wait_for": wait_for, "key": key})


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--key-file {path} cannot be read", why=str(error), fix="a file with the key alone"
        ) from None
    if not key:
        raise UsageError(
            f"--key-file {path} is empty", why="an empty key locks nothing", fix="a file with the key alone"
        )
    return key
