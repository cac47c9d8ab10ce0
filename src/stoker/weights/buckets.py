"""Folders of object stores, by obstore: `gs://` and `s3://`, with the platform's own credentials."""

import os
import re
from collections.abc import Iterator
from typing import Any

from stoker.errors import MissingDependency, UsageError, WeightsFailed
from stoker.spec.nouns import Bucket
from stoker.system import installation
from stoker.units import Bytes
from stoker.weights.remote import Interrupted, Listing, RemoteFile, ask_nobody, needed


class BucketRemote:
    """One folder of one bucket, as it is when it is listed."""

    def __init__(self, source: Bucket) -> None:
        self._source = source
        self._store = _store(source)

    def listing(self) -> Listing:
        """The files right in the folder. Raises: UsageError, WeightsFailed."""
        import obstore

        ask_nobody(str(self._source))
        prefix = f"{self._source.prefix}/" if self._source.prefix else ""
        try:
            rows = [
                row
                for batch in obstore.list(self._store, prefix=self._source.prefix or None)
                for row in batch
            ]
        except Exception as error:
            raise _failed(self._source, error) from None
        paths = {row["path"].removeprefix(prefix): row for row in rows}
        if not rows:
            raise UsageError(
                f"{self._source} holds nothing",
                why="no object has that prefix",
                fix="check the bucket and the path",
            )
        files = tuple(_file(path, row) for path, row in sorted(paths.items()) if needed(path))
        versions = "/".join(f"{file.path}:{file.version}:{file.size}" for file in files)
        return Listing(str(self._source), _digest(versions), files, tuple(p for p in paths if not needed(p)))

    def close(self) -> None:
        """Nothing is held open."""

    def read(self, file: RemoteFile, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start up to end, not included. Raises: Interrupted."""
        import obstore

        path = f"{self._source.prefix}/{file.path}".lstrip("/")
        try:
            answer = obstore.get(self._store, path, options={"range": (start, end)})
            if file.version and answer.meta["e_tag"] != file.version:
                raise WeightsFailed(
                    f"{file.path} changed while it was copied",
                    at=str(self._source),
                    why="its etag is another one now",
                    fix="run it again",
                )
            for chunk in answer.stream(min_chunk_size=1 << 20):
                yield bytes(chunk)
        except WeightsFailed:
            raise
        except Exception as error:
            raise Interrupted(_first_line(error)) from None


def _store(source: Bucket) -> Any:
    try:
        from obstore.store import GCSStore, S3Store
    except ImportError:
        raise MissingDependency(
            f"{source.scheme}:// needs the package obstore",
            why="it is not installed",
            fix=installation.fix("buckets"),
            rule="buckets-missing",
        ) from None
    try:
        if source.scheme == "gs":
            return GCSStore(source.bucket, **_gs_options())
        return S3Store(source.bucket, **_s3_options())
    except Exception as error:
        raise _failed(source, error) from None


def _gs_options() -> dict[str, Any]:
    """An emulator's address, where one is named: anonymous, over plain HTTP."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return {}
    url = emulator if "://" in emulator else f"http://{emulator}"
    key = (
        '{"gcs_base_url": "%s", "disable_oauth": true, "client_email": "", "private_key": "", '
        '"private_key_id": ""}' % url
    )
    return {"config": {"service_account_key": key}, "client_options": {"allow_http": True}}


def _s3_options() -> dict[str, Any]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {
        "config": {"endpoint": endpoint},
        "client_options": {"allow_http": endpoint.startswith("http://")},
    }


def _file(path: str, row: Any) -> RemoteFile:
    tag = row["e_tag"] or ""
    md5 = tag.strip('"')
    return RemoteFile(
        path, Bytes(row["size"]), md5=md5 if re.fullmatch(r"[0-9a-f]{32}", md5) else None, version=tag
    )


def _failed(source: Bucket, error: Exception) -> UsageError | WeightsFailed:
    text = _first_line(error)
    if re.search(r"(?<![\d.])404(?!\w)|NotFound|NoSuchBucket|not found", str(error)):
        return UsageError(
            f"there is no bucket {source.bucket}", why=text, fix="check its name", rule="bucket-missing"
        )
    if re.search(
        r"(?<![\d.])40[13](?!\w)|Forbidden|Unauthenticated|AccessDenied|PermissionDenied|credential",
        str(error),
        re.I,
    ):
        login = "gcloud auth application-default login" if source.scheme == "gs" else "aws configure"
        return WeightsFailed(
            f"{source} may not be read",
            why=text,
            fix=f"`{login}`, with the right to list and get objects",
            rule="bucket-denied",
        )
    return WeightsFailed(
        f"{source} cannot be read",
        why=text,
        fix="is there a network, and are the credentials good?",
        rule="bucket-network",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
