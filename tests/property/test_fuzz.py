"""Broken input by the thousand: the short form of `python -m benchmarks.fuzz`, always the same cases."""

import json
import os
import random
from itertools import chain

import pytest
from benchmarks.fuzz import cases, folders, kinds, mutations, pool, specs

from stoker.spec import load

COUNT = 700


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("STOKER_OFFLINE", "1")


def test_whatever_is_read_ends_in_a_result_or_in_an_error_of_ours() -> None:
    all_of = chain.from_iterable(((kind, number) for kind in kinds.KINDS) for number in range(COUNT))
    ends = list(pool.ended(all_of, 2))
    assert len(ends) == COUNT * len(kinds.KINDS)
    assert [f"{one.kind}:{one.number} {one.wrong}" for one in ends if one.wrong] == []


def test_a_child_that_dies_is_a_find_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(case: object) -> None:
        if case == 1:
            os._exit(9)
        if case == 2:
            raise ZeroDivisionError("by chance")

    numbers = iter(range(4))
    made = kinds.Kind(lambda chance: next(numbers), die)
    monkeypatch.setattr(kinds, "KINDS", {"test": made})
    ends = {one.number: one.wrong for one in pool.ended(iter([("test", n) for n in range(2)]), 1)}
    assert ends[0] is None
    assert ends[1] == "it took its process with it"


def test_a_case_is_measured_over_what_its_child_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(case: object) -> None:
        bytearray(b"x") * ((pool.MEGABYTES + 50 if case else 20) * 2**20)

    mine = bytearray(b"x") * ((pool.MEGABYTES + 50) * 2**20)  # of the whole test run, not of a case
    monkeypatch.setattr(kinds, "KINDS", {"test": kinds.Kind(lambda chance: chance.random() < 0.5, take)})
    numbers = {random.Random(f"test:{n}").random() < 0.5: n for n in range(20)}
    ends = {one.number: one for one in pool.ended(iter([("test", n) for n in numbers.values()]), 1)}
    assert len(mine) > pool.MEGABYTES * 2**20
    assert (ends[numbers[False]].wrong, ends[numbers[False]].megabytes < 60) == (None, True)
    assert "MB" in (ends[numbers[True]].wrong or "")


def test_a_case_is_made_again_from_its_number_alone() -> None:
    for kind in kinds.KINDS.values():
        assert kind.make(random.Random("x:1")) == kind.make(random.Random("x:1"))


def test_the_seeds_are_valid() -> None:
    for tree in specs.spec_trees()[-1:]:
        load(mutations.raw(cases.as_yaml(tree)))
    config = folders.configs()[0]
    header = folders.header_of(config)
    texts = {"config.json": json.dumps(config).encode(), "tokenizer.json": b"{}"}
    texts["model.safetensors"] = folders.safetensors(json.dumps(header).encode())
    kinds.KINDS["model"].read({"other": {}, "whole": False, "texts": texts, "header": header})
