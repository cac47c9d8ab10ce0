"""`stoker lint` as a command: files, folders, specs and manifests together, and its exit codes."""

import json
import shutil
from pathlib import Path

from tests.conftest import Stoker

GUIDE = Path(__file__).resolve().parents[1] / "data/guide"


def test_a_folder_of_manifests(stoker: Stoker) -> None:
    shutil.copytree(GUIDE, stoker.home / "guide")
    ran = stoker("lint", "guide")
    assert ran.code == 2
    assert "  at   guide/model_deployment.yaml:21:11\n" in ran.err
    assert "  rule lint-readiness\n" in ran.err
    assert ran.err.splitlines()[-1] == "12 errors, 8 warnings, 5 notes"
    whole = json.loads(stoker("lint", "guide", "-o", "sarif").out)
    assert len(whole["runs"][0]["results"]) == 25
    assert len(stoker("lint", "guide", "-o", "json").json()) == 25


def test_a_spec_beside_its_manifests(stoker: Stoker) -> None:
    text = "model: gs://b/m\nname: shop\nhardware: l4:1\ntarget: kubernetes\nengine: {max-model-len: 4K}\n"
    (stoker.home / "stoker.yaml").write_text(text)
    assert stoker("render", "-O", "out").code == 0
    ran = stoker("lint", "stoker.yaml", "out")
    assert ran.code == 0, ran.err
    assert "stoker.yaml: ok, fleet shop\n" in ran.out
    assert "out/deployment-shop.yaml: ok\n" in ran.out
    assert ran.err == ""


def test_a_spec_that_scales_beside_its_manifests(stoker: Stoker) -> None:
    text = (
        "model: gs://b/m\nname: shop\nhardware: l4:1\ntarget: kubernetes\nreplicas: 1..4\n"
        "scaling: {metrics: {batch-size: 250}}\nkubernetes: {metrics: prometheus}\n"
        "engine: {max-model-len: 4K}\n"
    )
    (stoker.home / "stoker.yaml").write_text(text)
    assert stoker("render", "-O", "out").code == 0
    ran = stoker("lint", "stoker.yaml", "out", "-o", "json")
    assert ran.code == 0, ran.err
    found = {(one["rule"], one["at"].rpartition(":")[0]) for one in ran.json()}
    assert ("lint-hpa-unreachable", "stoker.yaml:6") in found
    assert ("lint-hpa-unreachable", "out/horizontalpodautoscaler-shop.yaml") in {
        (rule, at.rpartition(":")[0]) for rule, at in found
    }
    assert {rule for rule, _ in found} <= {"lint-hpa-unreachable", "lint-hpa-behavior"}, (
        "the adapter's rules too"
    )


def test_what_is_no_file(stoker: Stoker) -> None:
    (stoker.home / "empty").mkdir()
    assert "holds no manifest" in stoker("lint", "empty").err
    assert stoker("lint", "nowhere.yaml").code == 2
