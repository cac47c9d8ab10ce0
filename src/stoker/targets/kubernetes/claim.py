"""Who is changing a fleet now: a Lease beside it, so that two commands never take turns at the same objects.

It is the first thing that a command puts there, and it stays until `down`: what was asked for last, and by
whom, is known from it, even of a first `up` that came to nothing. Who may not write Leases keeps the same in
a ConfigMap.
Source: https://kubernetes.io/docs/concepts/architecture/leases/
"""

import getpass
import json
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stoker.errors import UsageError
from stoker.system import clock
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.pods import moment

LASTS = 30  # seconds for which a claim holds that nobody renews: who was killed is in nobody's way for longer
RENEWED = 5.0
LOOKED = 1.0  # seconds between two looks at the own claim
HANDOVER = 3.0  # seconds in which who lost a claim takes note: more than LOOKED and an answer
KINDS = {"Lease": "coordination.k8s.io/v1", "ConfigMap": "v1"}
VERB, BY, WANTED = "stoker/verb", "stoker/by", "stoker/wanted"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim as it was found. holder: empty, where the command is done; wanted: the spec it leads to, as
    `spec.dump` gives it."""

    holder: str
    by: str
    verb: str
    since: float
    renewed: float
    wanted: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.by}'s `{self.verb}`"

    @property
    def at(self) -> str:
        """When it began, by this machine's clock."""
        return datetime.fromtimestamp(self.since, UTC).astimezone().strftime("%H:%M:%S")


class Claim:
    """One command's claim to one fleet. Nothing is asked of the cluster before it is taken."""

    def __init__(self, api: Api, fleet: str, namespace: str) -> None:
        self._api, self._namespace, self.name = api, namespace, f"stoker-{fleet}"
        self._labels = {"app.kubernetes.io/instance": fleet, "app.kubernetes.io/managed-by": "stoker"}
        self._me = f"{me()}/{os.getpid()}-{secrets.token_hex(3)}"
        self._mine: Object | None = None
        self._looked = self._renewed = 0.0
        self._renewal: float | None = None  # another's, and since when it is seen
        self._seen = 0.0
        self.renews = False  # the other was seen at work, and has not merely left its claim behind

    @property
    def mine(self) -> bool:
        """Whether this command holds it."""
        return self._mine is not None

    def find(self) -> Object | None:
        """The claim, as a Lease or as what stands for one."""
        for kind in KINDS:
            try:
                if found := self._api.get(kind, self._namespace, self.name):
                    return found
            except UsageError as refused:
                if refused.finding.rule != FORBIDDEN:
                    raise
        return None

    def last(self) -> Held | None:
        """Who claimed it last, whether or not that goes on."""
        found = self.find()
        return read(found) if found else None

    def other(self) -> Held | None:
        """Another command that has it, or may have: it is long silent only once its time is over."""
        found = self.last()
        if found is None or found.holder in ("", self._me):
            return None
        if found.renewed != self._renewal:
            self.renews = self._renewal is not None
            self._renewal, self._seen = found.renewed, clock.monotonic()
        silent = max(self._api.now() - found.renewed, clock.monotonic() - self._seen)
        return found if silent <= LASTS else None

    def take(self, verb: str, wanted: dict[str, Any] | None) -> bool:
        """Claims it, whoever had it. False, where somebody else was quicker: look again."""
        found, now = self.find(), self._api.now()
        kinds = [found["kind"]] if found else list(KINDS)
        for kind in kinds:
            body = self._body(kind, verb, wanted, found, now)
            try:
                self._mine = self._api.write(body)
            except UsageError as refused:
                if refused.finding.rule != FORBIDDEN:
                    raise
                continue
            self._renewed = self._looked = clock.monotonic()
            return self._mine is not None
        return True  # who may write neither goes without

    def lost(self) -> Held | str | None:
        """Who took it from this command, or that it is gone; renews it, and is None, where neither is so."""
        now = clock.monotonic()
        if self._mine is None or now - self._looked < LOOKED:
            return None
        found = self._api.get(self._mine["kind"], self._namespace, self.name)
        self._looked = now
        if found is None:
            return f"{self._mine['kind']}/{self.name}"
        held = read(found)
        if held.holder != self._me:
            return held
        if now - self._renewed > RENEWED:
            _fields(found)["renewTime"] = _written(self._api.now())
            self._mine, self._renewed = self._api.write(found) or found, now
        return None

    def forget(self) -> None:
        """This command has taken it away itself."""
        self._mine = None

    def release(self, *, away: bool = False) -> None:
        """Lets go of it; what it says of the last command stays. away: nothing stays, as that did nothing."""
        mine, self._mine = self._mine, None
        found = self._api.get(mine["kind"], self._namespace, self.name) if mine else None
        if found is None or read(found).holder != self._me:
            return
        if away:
            self._api.delete(found["kind"], self._namespace, self.name, found["metadata"]["uid"])
        else:
            _fields(found).pop("holderIdentity")
            self._api.write(found)

    def _body(
        self, kind: str, verb: str, wanted: dict[str, Any] | None, found: Object | None, now: float
    ) -> Object:
        notes = {VERB: verb, BY: me()}
        kept = (found or {}).get("metadata", {}).get("annotations", {}).get(WANTED)
        text = json.dumps(wanted, default=str) if wanted is not None else kept
        notes |= {WANTED: text} if text else {}
        meta = {
            "name": self.name,
            "namespace": self._namespace,
            "labels": self._labels,
            "annotations": notes,
        }
        meta |= {"resourceVersion": found["metadata"]["resourceVersion"]} if found else {}
        lasts: int | str = LASTS if kind == "Lease" else str(LASTS)
        fields = {
            "holderIdentity": self._me,
            "leaseDurationSeconds": lasts,
            "acquireTime": _written(now),
            "renewTime": _written(now),
        }
        part = "spec" if kind == "Lease" else "data"
        return {"apiVersion": KINDS[kind], "kind": kind, "metadata": meta, part: fields}


def me() -> str:
    """Who this is, for others: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def read(body: Object) -> Held:
    """A claim as a value."""
    fields, notes = _fields(body), body["metadata"].get("annotations", {})
    holder = str(fields.get("holderIdentity", ""))
    since, renewed = (_moment(fields.get(name)) for name in ("acquireTime", "renewTime"))
    by = str(notes.get(BY) or holder.partition("/")[0] or "somebody")
    return Held(holder, by, str(notes.get(VERB, "up")), since, renewed, _wanted(notes.get(WANTED)))


def _wanted(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _moment(text: Any) -> float:
    try:
        return moment(str(text or ""))
    except ValueError:
        return 0.0


def _fields(body: Object) -> Object:
    found: Object = body.setdefault("spec" if body["kind"] == "Lease" else "data", {})
    return found


def _written(at: float) -> str:
    """As the API writes a MicroTime: six digits of a second, no more and no fewer."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
