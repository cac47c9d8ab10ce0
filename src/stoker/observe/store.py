"""What is kept of a fleet: an hour of every round in memory, a day of every 15 seconds in one file."""

import math
import sqlite3
import time
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from stoker.events import Event
from stoker.fleet.points import COLUMNS, Point
from stoker.system import clock

HOUR = 3600  # rounds in memory
DAY = 86400.0  # seconds in the file
STEP = 15.0  # seconds between two rows of the file
EVENTS = 500
BUSY_SECONDS = 5.0  # waited for another that writes the file
FIGURES = COLUMNS[2:]
_SELECT = f"select {','.join(COLUMNS)} from points where at >= ? order by at, replica"  # noqa: S608  # our own names


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its time (epoch seconds)."""

    at: float
    event: Event


class History:
    """Rings of points, by replica, over one time axis; single precision, so that 200 replicas take 50 MB."""

    def __init__(self, rounds: int = HOUR) -> None:
        self._rounds = rounds
        self._count = 0
        self._times = array("d", [math.nan]) * rounds
        self._rings: dict[str, array[float]] = {}
        self._seen: dict[str, int] = {}
        self.events: deque[Record] = deque(maxlen=EVENTS)
        self.told = 0  # how many events there have been

    def add(self, points: Sequence[Point]) -> None:
        """One round: the fleet's point and the replicas'."""
        at = self._count % self._rounds
        self._times[at] = points[0].at
        width = len(FIGURES)
        for ring in self._rings.values():
            ring[at * width : (at + 1) * width] = array("f", [math.nan]) * width
        for point in points:
            ring = self._rings.setdefault(point.replica, array("f", [math.nan]) * (width * self._rounds))
            for n, name in enumerate(FIGURES, at * width):
                value = getattr(point, name)
                ring[n] = math.nan if value is None else value
            self._seen[point.replica] = self._count
        self._count += 1
        for name in [one for one, last in self._seen.items() if self._count - last > self._rounds]:
            del self._rings[name], self._seen[name]

    def resume(self, points: Iterable[Point], events: Iterable[Record]) -> None:
        """Begins with what the file kept of the last hour: who watched before has ended."""
        for _, together in groupby(points, key=lambda one: one.at):
            self.add(sorted(together, key=lambda one: one.replica))
        self.tell(list(events))

    def tell(self, events: Sequence[Record]) -> None:
        """What has happened since."""
        self.events.extend(events)
        self.told += len(events)

    def news(self, told: int) -> list[Record]:
        """The events after the first so many, as far as they are kept."""
        fresh = min(self.told - told, len(self.events))
        return list(self.events)[len(self.events) - fresh :] if fresh > 0 else []

    @property
    def replicas(self) -> tuple[str, ...]:
        """The replicas of the last hour, whether they are there or not."""
        return tuple(name for name in self._rings if name)

    def points(self, since: float = 0.0, replica: str = "", most: int | None = None) -> tuple[Point, ...]:
        """The points of the fleet or of one replica since a time, the oldest first; at most so many, evenly
        thinned."""
        ring = self._rings.get(replica)
        if ring is None:
            return ()
        first = max(0, self._count - self._rounds)
        rows: list[int] = []
        last = math.inf
        for n in range(self._count - 1, first - 1, -1):  # where a clock was set back, the later look counts
            at = self._times[n % self._rounds]
            if since <= at < last:
                rows.append(n % self._rounds)
                last = at
        rows.reverse()
        if most and len(rows) > most:
            step = len(rows) / most
            rows = [rows[int(n * step)] for n in range(most)]
        return tuple(self._row(replica, ring, row) for row in rows)

    def _row(self, replica: str, ring: "array[float]", row: int) -> Point:
        width = len(FIGURES)
        values = [one if math.isfinite(one) else None for one in ring[row * width : (row + 1) * width]]
        return _point((self._times[row], replica, *values))


def _point(row: Sequence[object]) -> Point:
    named = dict(zip(COLUMNS, row, strict=True))
    for whole in ("ready", "wanted"):
        if named[whole] is not None:
            named[whole] = int(named[whole])  # type: ignore[call-overload]
    return Point(**named)  # type: ignore[arg-type]


class File:
    """The day in a file of mode 0600, written by one process and read by any.

    Raises: nothing; a file that cannot be written is given up, and `why` says so.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.why = path, ""
        self._pruned = -math.inf
        try:
            path.touch(mode=0o600)
            self._db: sqlite3.Connection | None = self._open()
        except (OSError, sqlite3.Error) as error:
            self._db, self.why = None, str(error)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._made()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                raise
            self.path.unlink()  # cut off in the middle, or something else: a history is no reason to stop
            self.path.touch(mode=0o600)
            return self._made()

    def _made(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=off")
        known = [row[1] for row in db.execute("pragma table_info(points)")]
        if known and known != list(COLUMNS):
            db.execute("drop table points")  # an earlier release's
        columns = ", ".join(f"{name} {'text' if name == 'replica' else 'real'}" for name in COLUMNS)
        db.execute(f"create table if not exists points ({columns})")
        db.execute("create index if not exists points_at on points (at)")
        db.execute("create table if not exists events (at real, subject text, text text, mark text)")
        return db

    def add(self, points: Iterable[Point], events: Iterable[Record] = ()) -> None:
        """Rows of one moment; what is older than a day goes now and then."""
        if self._db is None:
            return
        try:
            marks = ",".join("?" * len(COLUMNS))
            self._db.execute("begin")
            self._db.executemany(f"insert into points values ({marks})", [_values(one) for one in points])  # noqa: S608  # columns of our own
            rows = [(one.at, one.event.subject, one.event.text, one.event.mark) for one in events]
            self._db.executemany("insert into events values (?,?,?,?)", rows)
            now = clock.now()
            if time.monotonic() - self._pruned > 600:
                self._pruned = time.monotonic()
                for table in ("points", "events"):
                    self._db.execute(f"delete from {table} where at < ? or at > ?", (now - DAY, now + DAY))  # noqa: S608
            self._db.execute("commit")
        except sqlite3.Error as error:
            self.why = str(error)
            if self._db.in_transaction:
                self._db.execute("rollback")


def _values(point: Point) -> tuple[object, ...]:
    return tuple(getattr(point, name) for name in COLUMNS)


def kept(path: Path, since: float) -> tuple[tuple[Point, ...], tuple[Record, ...]]:
    """What the file has since a time, the oldest first; nothing where there is no file."""
    if not path.exists():
        return (), ()
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            points = db.execute(_SELECT, (since,))
            found = tuple(_point(row) for row in points)
            events = db.execute(
                "select at, subject, text, mark from events where at >= ? order by at", (since,)
            )
            return found, tuple(Record(at, Event(subject, text, mark)) for at, subject, text, mark in events)
    except sqlite3.Error:
        return (), ()
