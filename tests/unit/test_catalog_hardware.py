"""The catalog's GPUs and machine types: every row has its source, and names are found as people write
them."""

import pytest

from stoker.catalog.gpus import by_device_name, gpu, gpus
from stoker.catalog.machines import machine, machines, most_in_one, smallest_with
from stoker.catalog.memory import all_rules
from stoker.errors import UsageError


@pytest.mark.parametrize("key", gpus())
def test_every_gpu_has_its_sources(key: str) -> None:
    row = gpus()[key]
    assert row.sources
    assert all(source.startswith("https://") for source in row.sources)
    assert row.date >= "2026-01-01"
    assert 10 < row.memory.gib < 300
    assert "fp16" in row.tflops


@pytest.mark.parametrize("key", machines())
def test_every_machine_has_its_sources_and_every_price_its_page(key: str) -> None:
    row = machines()[key]
    assert row.sources
    assert row.gpu in gpus()
    assert (row.price is None) == (row.price_source == "")


def test_every_memory_rule_has_its_sources() -> None:
    for table in all_rules():
        assert all(rules.sources for rules in table)
        since = [tuple(map(int, rules.since.split("."))) for rules in table]
        assert since == sorted(since)


def test_no_two_gpus_have_one_name() -> None:
    names = [name for row in gpus().values() for name in (row.key, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("l4", "l4"),
        ("nvidia-l4", "l4"),
        ("NVIDIA-L4", "l4"),
        ("a100", "a100-40gb"),
        ("nvidia-tesla-t4", "t4"),
        ("nvidia-h100-80gb", "h100-80gb"),
        ("nvidia-h100-mega-80gb", "h100-80gb"),
        ("rtx_4090", "rtx-4090"),
        ("nvidia-h200-141gb", "h200-141gb"),
        ("nvidia-tesla-a100", "a100-40gb"),
        ("RTX PRO 6000", "rtx-pro-6000"),
    ],
)
def test_names_of_gpus(name: str, key: str) -> None:
    assert gpu(name).key == key


@pytest.mark.parametrize(
    ("name", "near"), [("l44", "l4"), ("h100-80g", "h100-80gb"), ("rtx4090", "rtx-4090")]
)
def test_an_unknown_gpu_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        gpu(name, "stoker.yaml:2:1")
    assert near in caught.value.finding.fix
    assert caught.value.finding.at == "stoker.yaml:2:1"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-80gb"),
        ("NVIDIA H200", "h200-141gb"),
        ("NVIDIA H100 NVL", "h100-94gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("Tesla T4", "t4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA B200", "b200"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000"),
        ("AMD Instinct MI300X", "mi300x"),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_what_a_driver_calls_it(name: str, key: str | None) -> None:
    found = by_device_name(name)
    assert (found.key if found else None) == key


@pytest.mark.parametrize(
    ("key", "count", "name"),
    [("l4", 4, "g2-standard-48"), ("h100-80gb", 8, "a3-highgpu-8g"), ("t4", 2, "n1-standard-16")],
)
def test_the_smallest_machine_with_so_many(key: str, count: int, name: str) -> None:
    found = smallest_with(key, count)
    assert found is not None
    assert found.machine == name


def test_machines_that_are_not_there() -> None:
    assert smallest_with("rtx-4090", 1) is None
    assert most_in_one("rtx-4090") == 8
    assert most_in_one("l4") == 8
    with pytest.raises(UsageError, match="g2-standard-47") as caught:
        machine("g2-standard-47")
    assert "g2-standard-48" in caught.value.finding.fix
