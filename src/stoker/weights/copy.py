"""Copies of hub repositories and bucket folders in a content-addressed cache.

`blobs/` holds files by content; a model's folder holds hard links to them and appears under its name only
when whole.
"""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from stoker.errors import UsageError, WeightsFailed
from stoker.events import Event, Progress, Report
from stoker.spec.nouns import Bucket, Hub
from stoker.system.files import locked
from stoker.system.paths import private
from stoker.units import Bytes, Seconds
from stoker.weights.check import PICKLES
from stoker.weights.entries import SOURCE_FILE
from stoker.weights.leftovers import FOLDER, TAG, lock_of, tidy
from stoker.weights.remote import Interrupted, Listing, Remote, RemoteFile, offline
from stoker.weights.space import check_space
from stoker.weights.transfer import Partial, Range

WORKERS = 8
TRIES = 6
TELL_SECONDS = 0.25


def copied(source: Hub | Bucket, cache: Path, report: Report, token: str | None) -> Path:
    """The local copy of a remote source, made or completed now. Raises: UsageError, WeightsFailed."""
    home = private(cache / ("hub" if isinstance(source, Hub) else "bucket"))
    pinned = _pinned(source, home)
    if pinned is not None:
        report(Event("weights", f"{source}, copied earlier"))
        return pinned
    with contextlib.closing(remote_of(source, token)) as remote:
        listing = remote.listing()
        _check_listing(listing)
        folder = home / folder_name(listing)
        with locked(lock_of(folder)):
            with contextlib.suppress(
                OSError
            ):  # a full disk: what is left then has no name, and the copy says why
                lock_of(folder).write_text(f"{listing.label}\n")
            tidy(cache, listing.label, folder.name[-TAG:])
            if folder.exists():
                report(Event("weights", f"{source}, copied earlier"))
            else:
                _copy(remote, listing, cache, folder, report)
    return folder


def remote_of(source: Hub | Bucket, token: str | None) -> Remote:
    """The reader for a source."""
    if isinstance(source, Hub):
        from stoker.weights.hub import HubRemote

        return HubRemote(source, token)
    from stoker.weights.buckets import BucketRemote

    return BucketRemote(source)


def folder_name(listing: Listing) -> str:
    """A folder's name: readable, and unique by source and revision."""
    label = re.sub(r"[^\w.-]+", "--", listing.label.partition("://")[2].partition("@")[0])[:80]
    return f"{label}-{hashlib.sha256(f'{listing.label}@{listing.revision}'.encode()).hexdigest()[:TAG]}"


def _pinned(source: Hub | Bucket, home: Path) -> Path | None:
    """A copy that no question to the hub could change: a whole commit's, or any while the hub may not be
    asked."""
    if not isinstance(source, Hub):
        return None
    whole = re.fullmatch(r"[0-9a-f]{40}", source.revision)
    if not whole and offline("HF_HUB_OFFLINE") is None:
        return None
    marks = [mark for mark in home.glob(f"*/{SOURCE_FILE}") if mark.read_text().strip() == str(source)]
    return max(marks, key=lambda mark: mark.stat().st_mtime).parent if marks else None


def _check_listing(listing: Listing) -> None:
    names = {file.path for file in listing.files}
    if not any(name.endswith(".safetensors") for name in names):
        pickles = [name for name in listing.skipped if name.endswith(PICKLES)]
        if pickles:
            raise UsageError(
                f"{listing.label} holds its weights as pickles ({pickles[0]})",
                why="a pickle runs code when it is loaded; only safetensors are served",
                fix="another repository, or convert it with `model.save_pretrained(FOLDER)`",
                rule="weights-pickle",
            )
        raise UsageError(
            f"{listing.label} has no safetensors files",
            why=f"it holds {', '.join(sorted(names)[:5]) or 'nothing that serving needs'}",
            fix="check the name",
            rule="weights-none",
        )


def blob_name(file: RemoteFile, label: str) -> str:
    """A blob's name: its checksum, or, where the source gives none, a digest of what identifies it."""
    if file.sha256:
        return file.sha256
    return hashlib.sha256(f"{label}/{file.path}@{file.version}#{file.size}".encode()).hexdigest()


def _copy(remote: Remote, listing: Listing, cache: Path, folder: Path, report: Report) -> None:
    begun = time.monotonic()
    blobs, partials = private(cache / "blobs"), private(cache / FOLDER)
    todo = [file for file in listing.files if not (blobs / blob_name(file, listing.label)).exists()]
    tag = folder.name[-TAG:]  # two sources may share a blob, never a half of one
    whole = [Partial(file, partials / f"{blob_name(file, listing.label)}-{tag}") for file in todo]
    check_space(cache, Bytes(sum(partial.file.size for partial in whole if not partial.path.exists())))
    moved = _Meter(listing, todo, report)
    _transfer(remote, whole, moved)
    for partial in whole:
        moved.say("checking")
        partial.finish(blobs / blob_name(partial.file, listing.label))
    _link(listing, blobs, folder)
    took = Seconds(time.monotonic() - begun)
    report(Event("weights", f"{listing.size} copied and checked", took=took))


class _Meter:
    """How much has come, from several threads, told now and then."""

    def __init__(self, listing: Listing, todo: list[RemoteFile], report: Report) -> None:
        self._total = listing.size
        self._done = listing.size - sum(file.size for file in todo)
        self._label, self._report = listing.label, report
        self._began, self._moved, self._told = time.monotonic(), 0, 0.0
        self._lock = threading.Lock()

    def skip(self, size: int) -> None:
        """Bytes that an earlier run has copied."""
        self._done += size

    def add(self, size: int) -> None:
        """Bytes that have come."""
        with self._lock:
            self._moved += size
            if time.monotonic() - self._told > TELL_SECONDS:
                self.say("copying")

    def say(self, what: str) -> None:
        """Reports where it is."""
        self._told = time.monotonic()
        rate = self._moved / max(0.001, time.monotonic() - self._began)
        done = Bytes(self._done + self._moved)
        self._report(Progress("weights", f"{what} {self._label}", done, Bytes(self._total), rate))


def _transfer(remote: Remote, partials: list[Partial], meter: _Meter) -> None:
    tasks = [(partial, one) for partial in partials for one in partial.missing()]
    for partial in partials:
        mine = sum(end - start for p, (start, end) in tasks if p is partial)
        meter.skip(partial.file.size - mine)
    stop = threading.Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(_range, remote, partial, one, meter, stop) for partial, one in tasks]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _range(remote: Remote, partial: Partial, one: Range, meter: _Meter, stop: threading.Event) -> None:
    """One range, tried again while the source only breaks off. Raises: WeightsFailed, after the last try."""

    def told(size: int) -> None:
        if stop.is_set():
            raise Interrupted("stopped")
        meter.add(size)

    for attempt in range(TRIES):
        try:
            return partial.copy(remote, one, told)
        except Interrupted as error:
            if stop.wait(min(8.0, 0.2 * 2**attempt)):
                return None
            why = str(error)
    raise WeightsFailed(
        f"{partial.file.path} could not be copied",
        why=f"{TRIES} tries, the last: {why}",
        fix="run it again: it goes on from here",
        rule="weights-network",
    )


def _link(listing: Listing, blobs: Path, folder: Path) -> None:
    """The model's folder, whole at once."""
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for file in listing.files:
            _link_one(blobs / blob_name(file, listing.label), new / file.path)
        (new / SOURCE_FILE).write_text(listing.label)
        os.rename(new, folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(new)


def _link_one(blob: Path, target: Path) -> None:
    try:
        os.link(blob, target)
    except OSError:
        shutil.copyfile(blob, target)
