"""The field types of the file: strings with units become quantities, and print their JSON Schema."""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from stoker.bounds import shown
from stoker.spec.nouns import Bucket, Demo, Hub, KeyRef, LocalDir, Source
from stoker.units import Bytes, Range, Seconds

KEY_FIX = "env:NAME, file:PATH or secret:NAME/KEY"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{0,221}")
_REPO_PART = re.compile(r"[A-Za-z0-9_]([\w.-]{0,94}[A-Za-z0-9_])?", re.A)
# hosts that a source may be pasted from, as people do
_WEB = re.compile(r"https?://(?:www\.)?huggingface\.co/([^/]+/[^/]+)/?")


def read_source(text: Any) -> Source:
    """`demo:NAME`, `hf://ORG/REPO[@REV]`, `gs://…`, `s3://…`, or a folder. Raises: ValueError."""
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > 4096:
        raise ValueError("expected a folder, hf://org/repo, gs://bucket/path, s3://bucket/path or demo:name")
    if web := _WEB.fullmatch(text):
        text = f"hf://{web[1]}"
    scheme, _, rest = text.partition("://")
    if text.startswith("demo:"):
        return _demo(text.removeprefix("demo:"))
    if scheme == "hf" and rest:
        return _hub(rest)
    if scheme in ("gs", "s3") and rest:
        bucket, _, prefix = rest.partition("/")
        if not _BUCKET.fullmatch(bucket) or ".." in prefix.split("/"):
            raise ValueError(f"{shown(text)} names no bucket: expected {scheme}://bucket/path")
        return Bucket("gs" if scheme == "gs" else "s3", bucket, prefix.strip("/"))
    if "://" in text:
        raise ValueError(
            f"{shown(scheme)[1:-1]}:// is no source: expected a folder, hf://, gs://, s3:// or demo:"
        )
    return LocalDir(text)


def _demo(name: str) -> Demo:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", name):
        raise ValueError(f"{shown(name)} is no demo's name: expected one such as demo:smollm2-135m-instruct")
    return Demo(name)


def _hub(rest: str) -> Hub:
    repo, at, revision = rest.strip("/").partition("@")
    if (
        not all(_REPO_PART.fullmatch(part) for part in repo.split("/"))
        or repo.count("/") != 1
        or ".." in repo
    ):
        raise ValueError(
            f"{shown(f'hf://{rest}')} names no repository: expected hf://org/repo, or hf://org/repo@revision"
        )
    return Hub(repo, read_revision(revision) if at else "main")


def read_revision(text: str) -> str:
    """A branch, tag or commit. Raises: ValueError."""
    if not re.fullmatch(r"[\w][\w./+-]{0,254}", text) or ".." in text:
        raise ValueError(f"{shown(text)} is no revision: expected a branch, a tag or a commit")
    return text


def read_key(text: Any) -> KeyRef:
    """A reference to a secret. Raises: ValueError for a literal, without repeating it."""
    kind, _, where = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind == "env" and re.fullmatch(r"[A-Za-z_]\w{0,254}", where, re.A):
        return KeyRef("env", where)
    if kind == "file" and where.strip() and where.isprintable() and len(where) <= 4096:
        return KeyRef("file", where)
    if kind == "secret" and re.fullmatch(r"[a-z0-9.-]{1,253}/[\w.-]{1,253}", where):
        return KeyRef("secret", where)
    raise ValueError(f"a key is never written in the file: expected a reference, {KEY_FIX}")


def _plain(parse: Any, schema: dict[str, Any]) -> Any:
    return (PlainValidator(parse), WithJsonSchema(schema))


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


def _number(value: Any) -> Any:
    """Whole numbers as floats. Raises: ValueError, for true, false, and what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("expected a number")
    return float(value)


def _between(parse: Callable[[Any], Any], least: float, most: float, says: str) -> Callable[[Any], Any]:
    """A parser that takes what lies between two limits alone; `says` names what is expected."""

    def bounded(value: Any) -> Any:
        found = parse(value)
        if not least <= found <= most:
            raise ValueError(says)
        return found

    return bounded


def _replicas(value: Any) -> Range:
    found = Range.parse(value)
    if found.high > MOST_REPLICAS:
        raise ValueError(f"{shown(value)} is too many: a fleet has {MOST_REPLICAS:,} replicas at most")
    return found


MOST_REPLICAS = 1000  # as `stoker scale` takes
_YEAR = 366 * 86400
_EVER = "expected a duration of a year at most, such as 30s or 1h30m"
_BRIEF = "expected a duration above zero and of a year at most, such as 50ms or 1s"
_SYNC = "expected a duration from a second to an hour, such as 15s"
_SIZED = "expected a size with its unit, such as 3GiB"
_BODY = "expected a size from 1KiB to 16GiB, such as 256MiB"

_TEXT = {"type": "string"}
_DURATION = {"anyOf": [{"type": "number", "minimum": 0}, _TEXT]}
_SIZE = {"anyOf": [{"type": "integer", "minimum": 0}, _TEXT]}
SourceField = Annotated[Source, *_plain(read_source, _TEXT)]
Revision = Annotated[str, AfterValidator(read_revision)]
KeyField = Annotated[KeyRef, *_plain(read_key, {"type": "string", "pattern": "^(env|file|secret):.+"})]
RangeField = Annotated[Range, *_plain(_replicas, {"anyOf": [{"type": "integer", "minimum": 0}, _TEXT]})]
SecondsField = Annotated[Seconds, *_plain(_between(Seconds.parse, 0, _YEAR, _EVER), _DURATION)]
PromiseField = Annotated[Seconds, *_plain(_between(Seconds.parse, 1e-6, _YEAR, _BRIEF), _DURATION)]
SyncField = Annotated[Seconds, *_plain(_between(Seconds.parse, 1, 3600, _SYNC), _DURATION)]
MemoryField = Annotated[Bytes, *_plain(_between(Bytes.parse, 1024**2, 1024**5, _SIZED), _SIZE)]
DiskField = Annotated[
    Bytes,
    *_plain(
        _between(Bytes.parse, 1024**3, 1024**5, "expected a size of 1GiB or more, such as 200GiB"), _SIZE
    ),
]
BodyField = Annotated[Bytes, *_plain(_between(Bytes.parse, 1024, 16 * 1024**3, _BODY), _SIZE)]
Number = Annotated[float, BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_not_bool)]
