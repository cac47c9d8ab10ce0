"""The specs of a fleet that the cluster keeps: those that were ready, and which of them runs."""

import json
from typing import Any

from stoker.errors import UsageError
from stoker.spec import dump
from stoker.spec.nouns import ServeSpec
from stoker.targets.kubernetes import revisions, workload
from stoker.targets.kubernetes.claim import Held
from stoker.targets.kubernetes.reading import Reading


class History:
    """Of one fleet, as one target reads it."""

    def __init__(self, reading: Reading) -> None:
        self._reading, self._api, self._at = reading, reading.api, (reading.namespace, reading.selector)

    def record(self, spec: dict[str, Any]) -> int:
        """Keeps a spec that is ready now, for a way back. Returns its number."""
        name, (namespace, selector) = self._reading.name, self._at
        labels = {"app.kubernetes.io/instance": name, "app.kubernetes.io/managed-by": "stoker"}
        return revisions.record(self._api, namespace, name, selector, labels, spec)

    def record_before(self, last: Held | None) -> int | None:
        """Keeps what runs and is ready before it is changed, where its `up` did not stay to see that. Returns
        its number."""
        owner, runs = self._reading.workload(), self.runs()
        if owner is None or runs is None or last is None or last.wanted is None:
            return None
        if revisions.digest(last.wanted) != runs or not workload.serves(owner):
            return None
        if runs in {one.digest for one in revisions.revisions(self._api, *self._at)}:
            return None
        return self.record(last.wanted)

    def running(self) -> dict[str, Any] | None:
        """The kept spec of what runs now, as `spec.dump` gives it; the newest kept, where nothing runs."""
        known, runs = revisions.revisions(self._api, *self._at), self.runs()
        fits = [one.spec for one in known if runs in (None, one.digest)]
        return fits[-1] if fits else None

    def differs(self, spec: ServeSpec) -> bool:
        """Whether what runs now was made from another spec than this one, replicas aside."""
        return self.runs() not in (None, digest(spec))

    def runs(self) -> str | None:
        """The digest of the spec that what runs now was made from."""
        owner = self._reading.workload()
        notes = owner["metadata"].get("annotations", {}) if owner else {}
        return notes.get(revisions.DIGEST)

    def before(self, number: int | None = None) -> revisions.Revision:
        """The revision to go back to: the newest that was ready and is not what runs now, or that of a
        number.

        Raises: UsageError, where there is none.
        """
        known, name = revisions.revisions(self._api, *self._at), self._reading.name
        runs = self.runs()
        fits = [one for one in known if (one.number == number if number is not None else one.digest != runs)]
        if not fits:
            raise UsageError(
                f"{name} has no revision {number}"
                if number is not None
                else f"{name} has no other revision that was ready",
                why=f"kept: {', '.join(str(one.number) for one in known) or 'none'}",
                fix="change the file, and `stoker up`",
                rule="no-revision",
            )
        return fits[-1]


def plain(spec: ServeSpec) -> dict[str, Any]:
    """A spec as an API server gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(dump(spec), default=str))
    return found


def digest(spec: ServeSpec) -> str:
    """What tells two specs apart, replicas aside."""
    return revisions.digest(plain(spec))
