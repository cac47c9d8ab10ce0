"""The server's dry run of every object before the first is applied: all that it refuses, at once."""

from stoker.errors import UsageError
from stoker.targets.kubernetes import replica_count
from stoker.targets.kubernetes.client import Api, Object
from stoker.targets.kubernetes.inventory import WORKLOADS

# What a dry run is refused with; anything else is about the cluster, not about an object.
REFUSALS = ("kube-admission", "kube-conflict", "kube-missing", "kube-forbidden")


class Rehearsal:
    """What the API server said of each object of one run. refused: by the object's name."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._passed: dict[str, Object] = {}
        self.refused: dict[str, UsageError] = {}

    def new(self, subject: str, body: Object) -> None:
        """Of an object that is not there yet."""
        if self._passed.get(subject) != body and self._try(subject, body, force=False) is not None:
            self._passed[subject] = body

    def change(self, subject: str, body: Object, *, force: bool) -> Object | None:
        """Of one that is there: what it would be afterwards, with others' fields taken; None where it is
        refused outright.

        force: fields that others hold are no reason to refuse it.
        """
        if force:
            return self._try(subject, body, force=True)
        after = self._try(subject, body, force=False)
        refused = self.refused.get(subject)
        if after is not None or refused is None or refused.finding.rule != "kube-conflict":
            return after
        if body["kind"] in WORKLOADS and excused(self._api, body, refused):
            del self.refused[subject]
        return self._try(subject, body, force=True)

    def _try(self, subject: str, body: Object, *, force: bool) -> Object | None:
        try:
            return self._api.apply(body, force=force, dry=True)
        except UsageError as refused:
            if refused.finding.rule not in REFUSALS:
                raise
            if body["kind"] == "RoleBinding" and refused.finding.rule == "kube-missing":
                return None  # the Role that it binds is not there yet: who may not bind any is told so
            self.refused[subject] = refused
            return None

    def verdict(self) -> UsageError | None:
        """All refusals as one error; one alone as it is."""
        found = [one.finding for one in self.refused.values()]
        if len(found) < 2:
            return next(iter(self.refused.values()), None)
        rules = {one.rule for one in found}
        return UsageError(
            f"{len(found)} objects are refused: {', '.join(self.refused)}",
            why="\n".join(f"{one.what}: {one.why}" for one in found),
            fix="\n".join(dict.fromkeys(one.fix for one in found)),
            rule=rules.pop() if len(rules) == 1 else "kube-refused",
        )


def excused(api: Api, body: Object, refused: UsageError) -> bool:
    """Whether the number of replicas alone is in another hand, and is asked for by number or was an HPA's
    that goes."""
    return (api.verb == "scale" and replica_count.alone(refused)) or replica_count.owned_by_hpa(
        api, body, refused
    )
