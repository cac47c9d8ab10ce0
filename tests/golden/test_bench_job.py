"""The objects of `stoker bench --in-cluster` are as checked in, and a strict API server takes them.

`python -m tests.golden.test_bench_job` writes them again: look at what changed.
"""

from pathlib import Path

import pytest

from stoker.errors import UsageError
from stoker.render.manifests import choose
from stoker.render.manifests.bench_job import WORKLOAD, bench_objects
from stoker.render.manifests.manifest import Manifest
from tests.golden import cases
from tests.support import manifests

FOLDER = Path(__file__).parent / "bench"
IMAGE = "kubernetes: {image: 'registry.example/stoker:1'}\n"
CASES: dict[str, tuple[str, list[str]]] = {
    "page": (cases.CASES["page"][0], ["--api", "chat", "--workers", "1", "-o", "json"]),
    "gateway": (cases.CASES["gateway"][0], ["--workers", "4", "--slo", "ttft=1s", "--sweep"]),
    "simulated": (cases.CASES["simulated"][0], ["--quick"]),
    "clients": (
        cases.BASE + IMAGE.replace("}", ", clients: {app: web}, labels: {team: ml}}"),
        ["-p", "top_p=0.9"],
    ),
    "no-network-policy": (cases.BASE + IMAGE.replace("}", ", network_policy: false}"), []),
}


def objects_of(name: str) -> tuple[Manifest, ...]:
    """The objects of a case."""
    spec, words = CASES[name]
    cluster = choose(manifests.plan_of(spec))
    files = {
        WORKLOAD: '{\n  "rate": 5,\n  "prompts": "prompts.jsonl"\n}\n',
        "prompts.jsonl": '{"prompt": "a"}\n',
    }
    job = f"{cluster.name}-bench-1127-120000"
    return bench_objects(cluster, job, files, words, seconds=960, workers=4 if "4" in words else 1)


def text_of(name: str) -> str:
    """All objects of a case."""
    return "---\n".join(one.text() for one in objects_of(name))


@pytest.mark.parametrize("name", CASES)
def test_they_are_as_checked_in(name: str) -> None:
    assert text_of(name) == (FOLDER / f"{name}.yaml").read_text(), "look at what changed, then write it again"


@pytest.mark.parametrize("name", CASES)
def test_a_strict_server_takes_them(name: str) -> None:
    manifests.check(objects_of(name))


def test_the_key_is_a_reference() -> None:
    (container,) = objects_of("gateway")[-1].body["spec"]["template"]["spec"]["containers"]
    assert container["env"][-1] == {
        "name": "ENDPOINT_KEY",
        "valueFrom": {"secretKeyRef": {"name": "shop-api", "key": "key"}},
    }
    words = container["command"]
    assert words[words.index("--key") + 1] == "env:ENDPOINT_KEY"


def test_its_pod_is_let_in_where_clients_are_named() -> None:
    objects = objects_of("clients")
    passage = manifests.one(objects, "NetworkPolicy", "shop-bench-1127-120000-in")["spec"]
    pod = objects[-1].body["spec"]["template"]["metadata"]["labels"]
    assert passage["ingress"][0]["from"][0]["podSelector"]["matchLabels"].items() <= pod.items()
    assert pod["app.kubernetes.io/component"] == "bench"


def test_without_an_image_of_stokers_there_is_none() -> None:
    cluster = choose(manifests.plan_of(cases.BASE))
    with pytest.raises(UsageError, match="needs Stoker's own image"):
        bench_objects(cluster, "shop-bench-1", {}, [], seconds=1, workers=1)


def test_nothing_is_checked_in_that_nobody_renders() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CASES)


if __name__ == "__main__":
    manifests.rewrite(FOLDER, CASES, text_of)
