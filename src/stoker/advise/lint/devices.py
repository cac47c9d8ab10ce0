"""GPUs and other accelerators that a container asks for, whatever their resource is called."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.values import listed, quantity, table, text

# Source: the device plugins' own names: NVIDIA's (with MIG), AMD's, Intel's, Habana's, Google's and others'.
_DEVICE = re.compile(
    r"(?:^|[./])(?:nvidia\.com/(?!gpumem|gpucores|gpu-?mem|hostdev|infiniband|rdma|mlnx)\S+|amd\.com/gpu\S*"
    r"|gpu\.intel\.com/\S+|habana\.ai/\S+|google\.com/tpu|cloud-tpus\.google\.com/\S+|aws\.amazon\.com/neuron\S*"
    r"|huawei\.com/\S+|cambricon\.com/\S+|metax-tech\.com/\S+|hygon\.com/\S+|mthreads\.com/\S+|iluvatar\S*/\S+"
    r"|\S*/(?:v|x|n)?gpus?|\S*/(?:npu|tpu|dcu|mlu|gaudi)\S*)$",
    re.I,
)
_FRACTION = re.compile(r"mem|cores|memory|percent|core$", re.I)
# Those of which one is one device to PyTorch; of others a card may be several.
_COUNTED = re.compile(r"^(?:nvidia\.com/(?:gpu|mig-)|amd\.com/gpu$|gpu\.intel\.com/|habana\.ai/)")
_TPU = re.compile(r"tpu", re.I)


@dataclass(frozen=True, slots=True)
class Devices:
    """What is asked for. count: None where something is and nobody here can count it. tpu: chips of TPUs."""

    count: int | None
    resource: str = "nvidia.com/gpu"
    tpu: bool = False

    @property
    def none(self) -> bool:
        """Whether nothing is asked for."""
        return self.count == 0


def devices(
    container: Mapping[str, Any], spec: Mapping[str, Any], everything: Sequence[Manifest] = ()
) -> Devices:
    """The accelerators of one container of a pod."""
    resources = table(container.get("resources"))
    for part in ("limits", "requests"):
        named = {name: value for name, value in table(resources.get(part)).items() if is_device(name)}
        if named:
            return _counted(named)
    claims = [text(table(one).get("name")) for one in listed(resources.get("claims"))]
    if claims:
        return _claimed(claims, spec, everything)
    return Devices(0)


def is_device(resource: object) -> bool:
    """Whether a resource's name is an accelerator's."""
    return isinstance(resource, str) and bool(_DEVICE.search(resource))


def _counted(named: Mapping[str, Any]) -> Devices:
    counts = [quantity(value) for value in named.values()]
    name = next(iter(named))
    tpu = bool(_TPU.search(name))
    countable = tpu or bool(_COUNTED.search(name))
    parts = any(_FRACTION.search(one) for one in named)
    if not countable or parts or any(one is None or one != int(one) for one in counts):
        return Devices(None, name, tpu)
    return Devices(int(sum(one for one in counts if one is not None)), name, tpu)


def _claimed(claims: Sequence[str], spec: Mapping[str, Any], everything: Sequence[Manifest]) -> Devices:
    """Claims of Dynamic Resource Allocation: counted where their templates stand in these files."""
    total = 0
    for claim in listed(spec.get("resourceClaims")):
        if text(table(claim).get("name")) not in claims:
            continue
        names = {text(table(claim).get(key)) for key in ("resourceClaimTemplateName", "resourceClaimName")}
        kinds = ("ResourceClaimTemplate", "ResourceClaim")
        found = next((one for one in everything if one.kind in kinds and one.name in names), None)
        count = None if found is None else _requested(found)
        if count is None:
            return Devices(None, "a resource claim")
        total += count
    return Devices(total or None, "a resource claim")


def _requested(one: Manifest) -> int | None:
    inner = (
        ("spec", "spec", "devices", "requests") if "Template" in one.kind else ("spec", "devices", "requests")
    )
    total = 0
    for request in listed(one.get(*inner)):
        exactly = table(table(request).get("exactly")) or table(request)
        count = exactly.get("count", 1)
        if exactly.get("allocationMode", "ExactCount") != "ExactCount" or not isinstance(count, int):
            return None
        total += count
    return total or None
