"""Reading what a remote model says of itself: config.json, headers and chat template, by ranges of its
files."""

import json
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stoker.bounds import read_json
from stoker.errors import UsageError, WeightsFailed
from stoker.model.files import ModelFiles, TensorInfo
from stoker.weights.headers import MAX_HEADER, parse_header, tensors_of
from stoker.weights.local import QUANTIZATION, check_count, quantization_of
from stoker.weights.reading import MOST, TEMPLATE, VALUES
from stoker.weights.remote import Interrupted, Listing, Remote, RemoteFile

AT_ONCE = 8


def peek_remote(remote: Remote) -> ModelFiles:
    """What a hub repository or a bucket's folder holds. Raises: UsageError, WeightsFailed."""
    try:
        listing = remote.listing()
        config = _json(remote, listing, "config.json")
        if config is None:
            raise UsageError(
                f"{listing.label} has no config.json",
                why="so it is no Hugging Face model folder",
                fix="name the folder or repository that holds config.json",
            )
        extra = _json(remote, listing, QUANTIZATION)
        if extra and "quantization_config" not in config:
            config |= {"quantization_config": quantization_of(extra)}
        sizes = {file.path: file.size for file in listing.files}
        return ModelFiles(config, sizes, _tensors(remote, listing), _template(remote, listing))
    finally:
        remote.close()


def peek_object(remote: Remote, name: str) -> dict[str, Any]:
    """A JSON file of a source. Raises: WeightsFailed, where it has none of that name."""
    try:
        listing = remote.listing()
        found = _json(remote, listing, name)
    finally:
        remote.close()
    if found is None:
        raise WeightsFailed(f"{listing.label} has no {name}", fix="is it a LoRA adapter's folder?")
    return found


def _tensors(remote: Remote, listing: Listing) -> dict[str, TensorInfo]:
    files = [file for file in listing.files if file.path.endswith(".safetensors")]
    out: dict[str, TensorInfo] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda file: _header(remote, file), files):
            out |= found
            check_count(len(out), listing.label)
    return out


def _header(remote: Remote, file: RemoteFile) -> dict[str, TensorInfo]:
    prefix = _read(remote, file, 0, 8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    body = _read(remote, file, 8, 8 + length) if 2 <= length <= MAX_HEADER else b""
    return tensors_of(parse_header(body, length, file.path, file.path))


def _template(remote: Remote, listing: Listing) -> str | None:
    jinja = next((file for file in listing.files if file.path == "chat_template.jinja"), None)
    if jinja is not None:
        return _text(remote, listing, jinja, TEMPLATE)
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = (_json(remote, listing, name) or {}).get("chat_template")
        if found:
            return found if isinstance(found, str) else json.dumps(found)
    return None


def _json(remote: Remote, listing: Listing, name: str) -> dict[str, Any] | None:
    file = next((file for file in listing.files if file.path == name), None)
    if file is None:
        return None
    try:
        value = read_json(_text(remote, listing, file, MOST), most=MOST, nodes=VALUES)
    except (ValueError, RecursionError) as error:
        raise _unread(listing, name, str(error)) from None
    if not isinstance(value, dict):
        raise WeightsFailed(f"{name} of {listing.label} holds no object", fix="is it whole at its source?")
    return value


def _text(remote: Remote, listing: Listing, file: RemoteFile, most: int) -> str:
    """A whole text file. Raises: WeightsFailed, for a longer one, and for what is no text."""
    if file.size > most:
        raise _unread(listing, file.path, f"it has {file.size:,} bytes, {most:,} at most are read")
    try:
        return _read(remote, file, 0, file.size).decode()
    except UnicodeDecodeError:
        raise _unread(listing, file.path, "it is no UTF-8 text") from None


def _unread(listing: Listing, name: str, why: str) -> WeightsFailed:
    return WeightsFailed(
        f"{name} of {listing.label} cannot be read",
        why=why,
        fix="is it whole at its source?",
        rule="weights-broken",
    )


def _read(remote: Remote, file: RemoteFile, start: int, end: int) -> bytes:
    for last in (False, False, True):
        try:
            return _taken(remote.read(file, start, end), end - start)
        except Interrupted as error:
            if last:
                raise WeightsFailed(
                    f"{file.path} cannot be read", why=str(error), fix="try again later"
                ) from None
    raise AssertionError


def _taken(pieces: Iterator[bytes], size: int) -> bytes:
    """So many bytes and no more: a server that ignores ranges would send the whole file."""
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) >= size:
            break
    return bytes(out[:size])
