"""The table of a run on a GPU: what was measured beside what was planned; and the sum of what it may take."""

import json
from pathlib import Path
from typing import Any

from benchmarks.gpu.__main__ import LIMIT, USERS, Clock
from benchmarks.gpu.cases import CASES
from benchmarks.gpu.engines import planned
from benchmarks.gpu.folder import SMALL, write
from benchmarks.gpu.table import text

from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape

GIB = 1024**3
PLANNED = {
    "weights": (15 * GIB, GIB // 10),
    "other": (GIB // 4, GIB // 10),
    "kv_cache": (100 * GIB, GIB),
    "blocks": 50,
    "runner": 2,
}


def said(**measured: Any) -> str:
    row = {"name": "one", "ok": True, "planned": PLANNED, **measured}
    return text(
        {"machine": {"gpu": "H200", "vllm": "0.32.0"}, "dry_run": False, "users": [], "engines": [row]}
    )


def test_each_figure_stands_beside_the_plans_with_its_band() -> None:
    table = said(weights=15 * GIB, kv_cache=97 * GIB, blocks=50, runner=1, first_request_s=3.5)
    lines = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    assert lines["weights"].endswith("in")
    assert lines["kv_cache"].endswith("OUT")
    assert "+3.000" in lines["kv_cache"]
    assert "DIFFERS" in lines["runner"]
    assert "DIFFERS" not in lines["blocks"]
    assert "3.50 s" in lines["first_request_s"]


def test_what_a_release_counts_together_is_compared_together() -> None:
    assert "measured   15.200" in said(consumed=int(15.2 * GIB))
    assert "both" not in said(consumed=int(15.2 * GIB), other=GIB // 4)


def test_an_engine_that_did_not_come_is_named_with_its_reason() -> None:
    assert "one   cut after 75 s" in said(ok=False, error="cut after 75 s")


def test_every_engine_is_planned_without_a_doubt() -> None:
    for case in CASES:
        found = planned(case, "h200-141gb", {})
        assert found["kv_cache"][0] > 0, case.name


def test_users_model_is_one_that_the_plan_reads(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    data = (tmp_path / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    sizes = [end - begin for begin, end in (one["data_offsets"] for one in header.values())]
    assert sum(sizes) < len(data) < sum(sizes) + 8192
    shape = read_shape(ModelFiles(SMALL, {}))
    assert shape.parameters == sum(sizes) // 2
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    assert sorted(tokenizer["model"]["vocab"].values()) == list(range(SMALL["vocab_size"]))


def test_all_of_it_is_sized_for_a_quarter_of_an_hour() -> None:
    assert USERS + sum(case.cap for case in CASES) < LIMIT
    assert Clock(LIMIT).left(10) == 10
    assert Clock(0).left(10) == 0
