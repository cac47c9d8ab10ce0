"""What `stoker render --only locust` writes for a cluster is as checked in, and a strict API server takes it.

`python -m tests.golden.test_locust` writes it again: look at what changed. Of the locustfile the workload is
checked in, as the rest of it is a program that is so already.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stoker.render.locust.locustfile import NAME, locustfile
from stoker.render.locust.objects import IMAGE, locust_objects
from stoker.render.manifests import choose
from stoker.render.manifests.manifest import Manifest
from tests.golden import cases
from tests.support import manifests
from tests.support.locustfile import workload

FOLDER = Path(__file__).parent / "locust"
OPEN = {"rate": "5..120", "duration": "5m", "input_len": "64..256", "prefix": "4x32", "seed": 7}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "guide": ("tensor-parallel", {"prompts": "guide"}),
    "open-key": ("api-key", OPEN),
    "gateway-clients": ("gateway-clients-page", {"users": 2000, "think_time": 3, "spawn": "30s"}),
    "group": ("multi-node", {"rate": 2, "requests": 100}),
    "no-network-policy": ("no-network-policy", {"prompts": "guide"}),
    "labels": ("pods", {"prompts": "guide"}),
}


def objects_of(name: str) -> tuple[Manifest, ...]:
    """The objects of a case, the locustfile whole."""
    case, words = CASES[name]
    cluster = choose(manifests.plan_of(*cases.CASES[case]))
    asked = workload(**words)
    text = locustfile(asked, f"http://{cluster.name}:{cluster.port}", cluster.spec.model.served_name)
    return locust_objects(cluster, text, asked)


def text_of(name: str) -> str:
    """All objects of a case, of the locustfile what is not the same in all of them."""
    return "---\n".join(_short(one).text() for one in objects_of(name))


def _short(one: Manifest) -> Manifest:
    if one.kind != "ConfigMap":
        return one
    workload = one.body["data"][NAME].partition("# --- the workload\n")[2].partition("# --- its end\n")[0]
    return replace(one, body={**one.body, "data": {NAME: workload}})


@pytest.mark.parametrize("name", CASES)
def test_it_is_as_checked_in(name: str) -> None:
    mine = text_of(name).splitlines()
    kept = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert mine == kept, "look at what changed, then write it again"


@pytest.mark.parametrize("name", CASES)
def test_a_strict_server_takes_it(name: str) -> None:
    manifests.check(objects_of(name))


def test_the_key_is_a_reference_and_the_image_is_pinned() -> None:
    jobs = [one.body["spec"]["template"]["spec"]["containers"][0] for one in objects_of("open-key")[-2:]]
    for container in jobs:
        assert container["image"] == IMAGE == "locustio/locust:2.47.0"
        (key,) = [one for one in container["env"] if one["name"] == "ENDPOINT_KEY"]
        assert key["valueFrom"] == {"secretKeyRef": {"name": "shop-keys", "key": "api-key"}}


def test_its_pods_are_let_in_to_the_engines_and_no_others_are() -> None:
    fleet = manifests.rendered(*cases.CASES["clients"])
    policy = manifests.one(fleet, "NetworkPolicy", "shop-engine")
    assert policy["spec"]["ingress"][0]["from"][0] == {"podSelector": {"matchLabels": {"app": "web"}}}
    cluster = choose(manifests.plan_of(*cases.CASES["clients"]))
    asked = workload(prompts="guide")
    own = locust_objects(cluster, locustfile(asked, "http://shop:8000", "m"), asked)
    passage = manifests.one(own, "NetworkPolicy", "shop-locust-in")["spec"]
    assert passage["podSelector"] == policy["spec"]["podSelector"]
    pod = manifests.one(own, "Job", own[-1].name)["spec"]["template"]["metadata"]["labels"]
    wanted = passage["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert wanted.items() <= pod.items()
    assert not wanted.items() <= manifests.one(fleet, "Deployment", "shop")["metadata"]["labels"].items()


def test_nothing_is_checked_in_that_nobody_renders() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)


if __name__ == "__main__":
    manifests.rewrite(FOLDER, CASES, text_of)
