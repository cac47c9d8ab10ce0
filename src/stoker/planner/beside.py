"""What a rank's memory holds beside weights, activations and the KV cache: CUDA graphs, and what is not
PyTorch's.

Sources: vLLM `v1/worker/gpu_worker.py`, init_device (communicators and their first buffers stand before the
first measure, and are no part of this) and determine_available_memory; `distributed/device_communicators/`.
"""

from stoker.planner.items import MemoryItem
from stoker.planner.layout import Layout
from stoker.planner.settings import GIB, Settings
from stoker.units import Bytes

# What the trial capture of CUDA graphs takes beyond what the graphs keep: kernels are loaded and streams
# get their workspaces. By runner, in GiB: logs of 0.21 to 0.27 (0.36 to 0.8 in all) for the first, of 0.31
# for the second.
TRIAL = {1: 0.35, 2: 0.75}
# GiB that ranks take more for their first collective: over PCIe; over NVLink from GPU to GPU; over its
# switches.
PCIE, NVLINK = 0.25, 0.8


def graphs(layers: int, settings: Settings) -> MemoryItem:
    """CUDA graphs: sizes 1, 2, 4, then by 8 to 256, by 16 to 512; captured in pieces, and whole for decode
    batches.

    The bytes of one captured layer are measured: 0.18 to 0.20 MiB on vLLM 0.19, 0.08 MiB since the model
    runner V2. Since 0.20 vLLM captures some before it sizes the cache, and takes what that took: more than
    the graphs keep. The second runner does since 0.29.
    """
    if settings.eager or settings.cpu:
        return MemoryItem("cuda_graphs", Bytes(0), Bytes(0), "none: enforce-eager", "vLLM")
    most = min(2 * settings.max_num_seqs, 512)
    sizes, whole = _captures(most), _captures(min(most, settings.max_num_seqs))
    each = 0.09 if settings.runner == 2 else 0.19
    size = int((sizes + whole) * layers * each * 1024**2)
    formula = f"({sizes} + {whole}) graphs x {layers} layers x {each} MiB"
    if not settings.graphs_counted:
        source = "vLLM v1/worker/gpu_worker.py: this runner takes nothing off for them in this release"
        return MemoryItem("cuda_graphs", Bytes(size), Bytes(0), formula, source)
    trial = int(TRIAL[settings.runner] * GIB)
    formula += f" + {trial / GIB:.2f} GiB for the trial capture"
    source = (
        "vLLM profile_cudagraph_memory; logs of 0.21 to 0.27, of 0.31 on A100 (0.97 GiB in all), of a B200"
    )
    return MemoryItem("cuda_graphs", Bytes(size + trial), Bytes((size + trial) // 2), formula, source)


def _captures(most: int) -> int:
    return sum(1 for n in (1, 2, 4) if n <= most) + min(most, 256) // 8 + max(0, most - 256) // 16


def other(layout: Layout, settings: Settings) -> MemoryItem:
    """What is not PyTorch's: kernels and workspaces, and what NCCL allocates with the first large
    collective."""
    one = settings.rules.non_torch
    if layout.tensor == 1:
        formula = f"{one:.2f} GiB, measured with one rank"
        return _item(
            one,
            0.1 if settings.rules.large_batches else 0.3,
            formula,
            "starts of vLLM 0.11 and 0.19 on H100, of 0.26 on H200",
        )
    more, band, link = _collectives(layout, settings)
    formula = f"{one:.2f} GiB of one rank + {more:.2f} for collectives of {layout.tensor} ranks over {link}"
    return _item(one + more, band, formula, "logs of vLLM 0.19 on H100; of 0.24 and 0.28 on L40S and L4")


def _collectives(layout: Layout, settings: Settings) -> tuple[float, float, str]:
    """GiB more than one rank has, how far that may be off, and over what the ranks speak.

    NCCL connects its channels at the first use of each algorithm, which is after the first measure: many
    channels of some MiB over NVLink, multicast on its switches, two channels through the host's memory over
    PCIe.
    """
    gpu = settings.gpu
    if gpu is not None and gpu.interconnect == "pcie":
        return PCIE, 0.25, "PCIe"
    if gpu is not None and gpu.capability is not None and gpu.capability < 90:
        return NVLINK, 0.6, "NVLink"
    return settings.rules.fabric - settings.rules.non_torch + 0.015 * layout.tensor, 0.6, "NVLink switches"


def _item(gib: float, band: float, formula: str, source: str) -> MemoryItem:
    return MemoryItem("other", Bytes(int(gib * GIB)), Bytes(int(band * GIB)), formula, source)
