"""The manifests of every case are those that are checked in, and a strict API server would take them.

`python -m tests.golden.test_manifests` writes them again: look at what changed.
"""

from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
from jsonschema import ValidationError

from stoker.render.manifests.manifest import Manifest
from tests.golden.cases import CASES
from tests.support import manifests

FOLDER = Path(__file__).parent / "manifests"


def text_of(name: str) -> str:
    """All objects of a case; of the pods' own programs the names, as their text is checked in already."""
    return "---\n".join(_without_programs(one).text() for one in manifests.rendered(*CASES[name]))


def _without_programs(one: Manifest) -> Manifest:
    if one.kind != "ConfigMap" or not one.name.endswith("-scripts"):
        return one
    return replace(one, body={**one.body, "data": dict.fromkeys(one.body["data"], "...")})


@pytest.mark.parametrize("name", CASES)
def test_they_are_as_checked_in(name: str) -> None:
    assert text_of(name) == (FOLDER / f"{name}.yaml").read_text(), "look at what changed, then write it again"


@pytest.mark.parametrize("name", CASES)
def test_a_strict_server_takes_them(name: str) -> None:
    manifests.check(manifests.rendered(*CASES[name]))


@pytest.mark.parametrize(
    ("case", "kind", "path"),
    [
        ("tensor-parallel", "Deployment", "spec.template.spec"),
        ("multi-node", "LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate.spec"),
        ("scaled", "HorizontalPodAutoscaler", "spec"),
        ("tensor-parallel", "PodMonitoring", "spec"),
        ("tensor-parallel", "VolumeSnapshot", "spec.source"),
    ],
)
def test_the_check_refuses_a_field_that_is_not_there(case: str, kind: str, path: str) -> None:
    objects = manifests.rendered(*CASES[case])
    here = manifests.one(objects, kind)
    for key in path.split("."):
        here = here[key]
    here["noSuchField"] = 1
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError)):
        manifests.check(objects)


def test_the_check_refuses_what_breaks_a_rule_of_the_definition() -> None:
    objects = manifests.rendered(*CASES["gateway-api"])
    del manifests.one(objects, "InferencePool")["spec"]["endpointPickerRef"]["port"]
    with pytest.raises(AssertionError, match="endpointPickerRef: "):
        manifests.check(objects)


def test_nothing_is_checked_in_that_nobody_renders() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)


if __name__ == "__main__":
    manifests.rewrite(FOLDER, CASES, text_of)
