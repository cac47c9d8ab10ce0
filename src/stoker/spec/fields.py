"""The field types of the file: strings with units become quantities, and print their JSON Schema."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from stoker.spec.nouns import Bucket, Demo, Hub, KeyRef, LocalDir, Source
from stoker.units import Bytes, Range, Seconds

KEY_FIX = "env:NAME, file:PATH or secret:NAME/KEY"
# hosts that a source may be pasted from, as people do
_WEB = re.compile(r"https?://(?:www\.)?huggingface\.co/([^/]+/[^/]+)/?")


def read_source(text: Any) -> Source:
    """`demo:NAME`, `hf://ORG/REPO[@REV]`, `gs://…`, `s3://…`, or a folder. Raises: ValueError."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError("expected a folder, hf://org/repo, gs://bucket/path, s3://bucket/path or demo:name")
    if web := _WEB.fullmatch(text):
        text = f"hf://{web[1]}"
    scheme, _, rest = text.partition("://")
    if text.startswith("demo:"):
        return Demo(text.removeprefix("demo:"))
    if scheme == "hf" and rest:
        return _hub(rest)
    if scheme in ("gs", "s3") and rest:
        bucket, _, prefix = rest.partition("/")
        if not bucket:
            raise ValueError(f"{text!r} names no bucket: expected {scheme}://bucket/path")
        return Bucket("gs" if scheme == "gs" else "s3", bucket, prefix.strip("/"))
    if "://" in text:
        raise ValueError(f"{scheme}:// is no source: expected a folder, hf://, gs://, s3:// or demo:")
    return LocalDir(text)


def _hub(rest: str) -> Hub:
    repo, _, revision = rest.strip("/").partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ValueError(
            f"'hf://{rest}' names no repository: expected hf://org/repo, or hf://org/repo@revision"
        )
    return Hub(repo, revision or "main")


def read_key(text: Any) -> KeyRef:
    """A reference to a secret. Raises: ValueError for a literal, without repeating it."""
    kind, _, where = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind == "env" and re.fullmatch(r"[A-Za-z_]\w*", where):
        return KeyRef("env", where)
    if kind == "file" and where:
        return KeyRef("file", where)
    if kind == "secret" and re.fullmatch(r"[a-z0-9.-]+/[\w.-]+", where):
        return KeyRef("secret", where)
    raise ValueError(f"a key is never written in the file: expected a reference, {KEY_FIX}")


def _plain(parse: Any, schema: dict[str, Any]) -> Any:
    return (PlainValidator(parse), WithJsonSchema(schema))


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


_TEXT = {"type": "string"}
SourceField = Annotated[Source, *_plain(read_source, _TEXT)]
KeyField = Annotated[KeyRef, *_plain(read_key, {"type": "string", "pattern": "^(env|file|secret):.+"})]
RangeField = Annotated[Range, *_plain(Range.parse, {"anyOf": [{"type": "integer", "minimum": 0}, _TEXT]})]
SecondsField = Annotated[
    Seconds, *_plain(Seconds.parse, {"anyOf": [{"type": "number", "minimum": 0}, _TEXT]})
]
BytesField = Annotated[Bytes, *_plain(Bytes.parse, {"anyOf": [{"type": "integer", "minimum": 0}, _TEXT]})]
Whole = Annotated[int, BeforeValidator(_not_bool)]
