"""Claims and snapshots that nobody serves, read as the API has them."""

from typing import Any

import pytest

from stoker.errors import UsageError
from stoker.targets.kubernetes import volumes

NOW = 1_793_613_600.0 + 100  # a hundred seconds after AT
AT = "2026-11-02T10:00:00Z"


class Api:
    """Objects of no namespace, by kind and name; what is not named may not be looked at."""

    def __init__(self, **kinds: dict[str, Any]) -> None:
        self.kinds = kinds

    def get(self, kind: str, _: None, name: str) -> Any:
        if kind not in self.kinds:
            raise UsageError("forbidden", rule="kube-forbidden")
        return self.kinds[kind].get(name)


def claim(storage: str | None = "fast", selected: bool = True, phase: str = "Pending") -> dict[str, Any]:
    notes = {volumes.NODE: "a"} if selected else {}
    spec = {"storageClassName": storage} if storage else {}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shop-1", "creationTimestamp": AT, "annotations": notes},
        "spec": spec,
        "status": {"phase": phase},
    }


LATE = {"volumeBindingMode": "WaitForFirstConsumer", "provisioner": "pd.csi.storage.gke.io"}
TREE = {"provisioner": "kubernetes.io/gce-pd"}
NONE = {"provisioner": "kubernetes.io/no-provisioner"}
DRIVER: dict[str, Any] = {"pd.csi.storage.gke.io": {}}
CLAIMS: list[tuple[dict[str, Any], Api, list[tuple[str, str]]]] = [
    (claim(), Api(StorageClass={"fast": LATE}, CSIDriver={}), [("NoDriver", "no CSI driver of that name")]),
    (
        claim(),
        Api(StorageClass={"fast": TREE}, CSIDriver={}),
        [("NoDriver", "is served by pd.csi.storage.gke.io")],
    ),
    (claim(), Api(StorageClass={"fast": NONE}, CSIDriver={}), [("NoDriver", "no free volume fits")]),
    (
        claim(),
        Api(StorageClass={"fast": LATE}, CSIDriver=DRIVER),
        [("NoDriver", "is registered and has made nothing")],
    ),
    (
        claim(),
        Api(StorageClass={}, CSIDriver={}),
        [("NoClass", 'storageclass.storage.k8s.io "fast" not found')],
    ),
    (claim(selected=False), Api(StorageClass={"fast": LATE}, CSIDriver={}), []),
    (claim(phase="Bound"), Api(StorageClass={}, CSIDriver={}), []),
    (claim(), Api(), []),
    (claim(), Api(StorageClass={"fast": LATE}), []),
    (claim(None), Api(StorageClass={}, CSIDriver={}), []),
]


@pytest.mark.parametrize(("one", "api", "said"), CLAIMS)
def test_a_claim_that_nobody_serves(one: Any, api: Any, said: list[tuple[str, str]]) -> None:
    found = volumes.unmade(api, [one], [], NOW)
    assert [sign.reason for sign in found] == [reason for reason, _ in said]
    assert all(text in sign.text for sign, (_, text) in zip(found, said, strict=True))
    young = {**one, "metadata": {**one["metadata"], "creationTimestamp": "2026-11-02T10:01:38Z"}}
    assert volumes.unmade(api, [young], [], NOW) == (), "a driver that runs takes a moment"


def test_a_snapshot_that_nobody_takes() -> None:
    one = {
        "kind": "VolumeSnapshot",
        "metadata": {"name": "s", "creationTimestamp": AT},
        "spec": {"volumeSnapshotClassName": "c"},
    }
    (found,) = volumes.unmade(Api(VolumeSnapshotClass={"c": {}}), [], [one], NOW)  # type: ignore[arg-type]
    assert (found.reason, found.text) == ("NoSnapshotter", "no controller has looked at it in 100 s")
    (found,) = volumes.unmade(Api(VolumeSnapshotClass={}), [], [one], NOW)  # type: ignore[arg-type]
    assert "VolumeSnapshotClass c is not there" in found.text
    assert volumes.unmade(Api(), [], [{**one, "status": {"readyToUse": False}}], NOW) == ()  # type: ignore[arg-type]


def test_the_claim_of_a_snapshot_is_a_stage() -> None:
    one = {
        "metadata": {"creationTimestamp": AT},
        "spec": {"dataSource": {"name": "s"}},
        "status": {"phase": "Bound"},
    }
    assert [stage.phase for stage in volumes.stage([one, claim()])] == ["Ready"]
    assert [stage.phase for stage in volumes.stage([{**one, "status": {}}])] == ["Loading"]
    assert volumes.stage([claim()]) == (), "a copy's own claim is no stage"
