"""An HPA's conditions, in the order in which they first came."""

ABLE, ACTIVE, LIMITED, AT_ZERO = "AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"


class Conditions:
    """Conditions that outlive a reconcile: one that is not set again stays as it was."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, str]] = {}

    def put(self, kind: str, status: bool, reason: str, message: str) -> None:
        """Sets one; a new one comes last."""
        written = {"type": kind, "status": str(status), "reason": reason, "message": message}
        self._all.setdefault(kind, {}).update(written)

    def drop(self, kind: str) -> None:
        """Takes one out."""
        self._all.pop(kind, None)

    def holds(self, kind: str) -> bool:
        """Whether one is there and true."""
        return self._all.get(kind, {}).get("status") == "True"

    def shown(self) -> list[dict[str, str]]:
        """Copies of all."""
        return [dict(one) for one in self._all.values()]
