"""What is installed is what is planned for."""

import pytest
from tests import models

from stoker.operate.installed import of_installed
from stoker.planner.local import plan_local
from stoker.planner.plan import Gpu, Hardware
from stoker.spec import load
from stoker.units import Bytes

H200 = Hardware(gpus=(Gpu(0, "NVIDIA H200", Bytes(int(139.80 * 2**30))),))


@pytest.mark.parametrize(
    ("installed", "expected"),
    [("0.26.0", "0.26.0"), ("0.32.0", "0.32.0"), ("", "0.32.0"), ("dev", "0.32.0")],
)
def test_the_release_that_is_installed_is_planned_for(installed: str, expected: str) -> None:
    assert of_installed(load("model: /m"), installed)[0].engine.version == expected


def test_a_plan_of_another_release_than_the_files_says_so() -> None:
    spec = load("model: /m\nengine: {max-model-len: 32K, version: 0.32.0}")
    here, notes = of_installed(spec, "0.26.0")
    made = plan_local(here, models.shape(models.LLAMA_8B), H200, "/m")
    assert "0.26.0 is installed here" in notes[0]
    assert made.memory is not None
    assert made.memory.kv_cache / 2**30 == pytest.approx(112.4, abs=0.3)
    assert of_installed(load("model: /m"), "0.26.0")[1] == ()  # the file names none
