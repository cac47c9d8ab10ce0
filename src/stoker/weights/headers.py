"""Headers of safetensors files: read within limits, and checked as the format's own library would."""

import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from stoker.bounds import read_json, shown
from stoker.errors import WeightsFailed
from stoker.model.files import TensorInfo
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.units import Bytes
from stoker.weights.reading import POINTER, VALUES, check_pointer, refused

MAX_HEADER = 16 * 1024 * 1024  # the format allows 100 MB; a model of 100,000 tensors needs 12
_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "C64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


def check_safetensors(file: Path) -> None:
    """Whether the file is as long as its own header says. Raises: WeightsFailed, UsageError."""
    header, start = header_of(file)
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    expected, real = start + max(ends, default=0), file.stat().st_size
    if expected != real:
        word = "truncated" if real < expected else "too long"
        raise WeightsFailed(
            f"{file.name} is {word}",
            at=str(file),
            why=f"its header says {expected:,} bytes, it has {real:,}",
            fix="copy the file again",
            rule="weights-truncated",
        )


def header_of(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's header, and where its data starts. Raises: WeightsFailed, UsageError."""
    try:
        reading.check(file)
        with file.open("rb") as opened:
            prefix = opened.read(8)
            if POINTER.startswith(prefix) and prefix:
                check_pointer(file, prefix + opened.read(len(POINTER)))
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            body = opened.read(length) if 2 <= length <= MAX_HEADER else b""
    except Unreadable as error:
        raise refused(file, error) from None
    except OSError as error:
        raise refused(file, reading.unreadable(error)) from None
    return parse_header(body, length, file.name, str(file)), 8 + length


def parse_header(body: bytes, length: int, name: str, at: str) -> dict[str, Any]:
    """The header, checked. Raises: WeightsFailed."""
    try:
        if length > MAX_HEADER:
            raise ValueError(f"its header would have {length:,} bytes, {MAX_HEADER:,} at most are read")
        if len(body) != length or not body:
            raise ValueError("it ends within its header")
        header = read_json(body.decode("utf-8"), most=MAX_HEADER, nodes=VALUES)
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        _check_tensors(header)
    except (ValueError, RecursionError) as error:
        why = "its header is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise WeightsFailed(
            f"{name} is no whole safetensors file",
            at=at,
            why=why,
            fix="copy the file again",
            rule="weights-truncated",
        ) from None
    return header


def _check_tensors(header: Mapping[str, Any]) -> None:
    """Raises: ValueError, naming the tensor that is not described as the format wants it."""
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if why := _wrong(entry):
            raise ValueError(f"tensor {shown(name)} {why}")
        spans.append((*entry["data_offsets"], name))
    spans.sort()
    if spans and spans[0][0] != 0:
        raise ValueError(
            f"tensor {shown(spans[0][2])} begins at {spans[0][0]:,}, and nothing stands before it"
        )
    for (_, end, one), (begin, _, other) in pairwise(spans):
        if begin != end:
            how = "overlap" if begin < end else "leave a hole between them"
            raise ValueError(f"tensors {shown(one)} and {shown(other)} {how}")


def _wrong(entry: Any) -> str | None:
    """What is wrong with one tensor's entry, in words."""
    if not isinstance(entry, dict):
        return "is no table"
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or len(dtype) > 32:
        return f"has the dtype {shown(dtype)}"
    if not isinstance(shape, list) or len(shape) > 32 or not all(_whole(size) for size in shape):
        return f"has the shape {shown(shape)}"
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_whole(at) for at in offsets):
        return f"has the offsets {shown(offsets)}"
    begin, end = offsets
    if end < begin:
        return f"ends before it begins: {shown(offsets)}"
    bits = _BITS.get(dtype)
    return (
        None if bits is None or _bits(shape, bits) == (end - begin) * 8 else _sized(dtype, shape, end - begin)
    )


def _sized(dtype: str, shape: list[int], size: int) -> str:
    return f"of {dtype} and shape {shown(shape)} does not take {size:,} bytes"


def _bits(shape: list[int], each: int) -> int:
    for size in shape:
        each *= size
    return each


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def tensors_of(header: dict[str, Any]) -> dict[str, TensorInfo]:
    """The tensors that a checked header lists."""
    return {
        name: TensorInfo(
            entry["dtype"], tuple(entry["shape"]), Bytes(entry["data_offsets"][1] - entry["data_offsets"][0])
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
