"""A channel between two agents: JSON lines over TCP, each signed with a key of the session.

Both sides prove that they know the group's secret before anything else is read: the server sends a nonce, the
client answers with one of its own and an HMAC over both, the server answers with its HMAC. What follows
carries a counter and an HMAC, so that nothing can be added, left out or sent again. Nothing is encrypted: no
secret is sent.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
from typing import Any

HANDSHAKE_SECONDS = 5.0
LIMIT = 64 * 1024


class Refused(Exception):
    """The other side does not know the secret, or does not speak this protocol."""


class Channel:
    """One authenticated connection. Both directions have counters of their own."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: bytes, side: str
    ) -> None:
        self._reader, self._writer, self._session = reader, writer, session
        self._mine, self._theirs = side, "server" if side == "client" else "client"
        self._sent = self._received = 0

    async def send(self, body: dict[str, Any]) -> None:
        """Sends one message. Raises: OSError, where the connection is gone."""
        text = json.dumps(body, sort_keys=True)
        line = {"body": text, "mac": self._mac(self._mine, self._sent, text)}
        self._sent += 1
        self._writer.write(json.dumps(line).encode() + b"\n")
        await self._writer.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end. Raises: Refused, for one that is not the other side's;
        OSError."""
        line = await _line(self._reader)
        if line is None:
            return None
        text, mac = str(line.get("body")), str(line.get("mac"))
        if not _same(mac, self._mac(self._theirs, self._received, text)):
            raise Refused("a message is not the other side's")
        self._received += 1
        body: dict[str, Any] = json.loads(text)
        return body

    def _mac(self, side: str, counter: int, text: str) -> str:
        return hmac.new(self._session, f"{side}:{counter}:{text}".encode(), hashlib.sha256).hexdigest()

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: str) -> Channel:
    """The server's side of the handshake. Raises: Refused, OSError, TimeoutError."""
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        mine = secrets.token_hex(32)
        _write(writer, {"nonce": mine})
        answer = await _line(reader) or {}
        theirs = str(answer.get("nonce"))
        if not _same(str(answer.get("mac")), _proof(secret, "client", mine, theirs)):
            raise Refused("the other side does not know the group's key")
        _write(writer, {"mac": _proof(secret, "server", mine, theirs)})
        await writer.drain()
    return Channel(reader, writer, _session(secret, mine, theirs), "server")


async def connect(host: str, port: int, secret: str) -> Channel:
    """The client's side. Raises: Refused, OSError, TimeoutError."""
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        reader, writer = await asyncio.open_connection(host, port, limit=LIMIT)
        try:
            theirs, mine = str((await _line(reader) or {}).get("nonce")), secrets.token_hex(32)
            _write(writer, {"nonce": mine, "mac": _proof(secret, "client", theirs, mine)})
            answer = await _line(reader) or {}
            if not _same(str(answer.get("mac")), _proof(secret, "server", theirs, mine)):
                raise Refused("the master does not know the group's key, or refused this node's")
        except BaseException:
            writer.close()
            raise
    return Channel(reader, writer, _session(secret, theirs, mine), "client")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _proof(secret: str, side: str, server: str, client: str) -> str:
    return hmac.new(
        secret.encode(), f"stoker-group:{side}:{server}:{client}".encode(), hashlib.sha256
    ).hexdigest()


def _session(secret: str, server: str, client: str) -> bytes:
    return hmac.new(
        secret.encode(), f"stoker-group:session:{server}:{client}".encode(), hashlib.sha256
    ).digest()


def _write(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    writer.write(json.dumps(value).encode() + b"\n")


async def _line(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """One line as an object; None at the end of the stream. Raises: Refused."""
    try:
        line = await reader.readuntil(b"\n")
        value = json.loads(line)
    except asyncio.IncompleteReadError:
        return None
    except (asyncio.LimitOverrunError, ValueError, RecursionError):
        raise Refused("what came is no message of a group") from None
    if not isinstance(value, dict):
        raise Refused("what came is no message of a group")
    return value
