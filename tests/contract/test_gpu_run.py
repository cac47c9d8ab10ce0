"""The script that is prepared for a GPU, as far as it goes without one."""

import json
from pathlib import Path

import pytest
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.cases import CASES


def test_a_dry_run_takes_every_step_on_a_simulated_fleet_and_plans_every_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dry-run", "--gpu", "h200-141gb", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    steps = {row["name"]: row for row in found["users"]}
    assert [name for name, row in steps.items() if not row["ok"]] == []
    assert list(steps)[:3] == ["doctor", "plan", "up"]
    assert list(steps)[-1] == "down"
    assert steps["first chat"]["said"]
    assert [row["name"] for row in found["engines"]] == [case.name for case in CASES]
    assert all(row["planned"]["gpu"] == "h200-141gb" for row in found["engines"])
    assert capsys.readouterr().out == (tmp_path / "table.txt").read_text()
