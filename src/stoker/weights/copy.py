"""Copies of hub repositories and bucket folders in the cache. Not built yet: the error says so, and what works."""

from pathlib import Path

from stoker.errors import MissingPart
from stoker.events import Report
from stoker.spec.nouns import Bucket, Hub


def copied(source: Hub | Bucket, cache: Path, report: Report, token: str | None) -> Path:
    """The local copy of a remote source. Raises: MissingPart, always, in this release."""
    raise MissingPart(
        f"{source} cannot be copied by this release", why="hubs and buckets are not read yet",
        fix=f"copy it by hand (`hf download`, `gcloud storage cp`), then `stoker up FOLDER`; the cache is {cache}",
    )  # fmt: skip
