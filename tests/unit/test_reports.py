"""Logs after the shape of public reports: the cause and its fix, or the right error where none is known."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.causes import faults

from stoker.advise.why.reported import reported

TABLE = tomllib.loads((Path(__file__).parents[1] / "data/reports.toml").read_text(encoding="utf-8"))["report"]


@pytest.mark.parametrize("row", TABLE, ids=[row["name"] for row in TABLE])
def test_a_report(row: dict[str, Any]) -> None:
    found = reported(row["log"].splitlines(), "x.log")
    assert faults(found[0], row) == []
