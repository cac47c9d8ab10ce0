"""What the web app is told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The endpoint it speaks to, where it binds, and the key, which came from a private file."""

    endpoint: str
    model: str
    host: str
    port: int
    key: str | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def headers(self) -> dict[str, str]:
        """What it sends to the endpoint."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def read(argv: Sequence[str] | None = None) -> Settings:
    """Parses the command line and reads the key's file."""
    parser = argparse.ArgumentParser(prog="stoker.ui.console", description="The web page beside a fleet.")
    parser.add_argument("--endpoint", required=True, help="base URL of the endpoint, without /v1")
    parser.add_argument("--model", required=True, help="the name that clients ask for")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--key-file", type=Path, help="a private file with the endpoint's key; the page asks for it too")
    given = parser.parse_args(argv)
    key = given.key_file.read_text().strip() if given.key_file else None
    return Settings(given.endpoint.rstrip("/"), given.model, given.host, given.port, key)
