"""What is printed to be typed leads back to this program and to the fleet that is meant, from here."""

import sys
from pathlib import Path

import pytest

from stoker.cli import typed
from stoker.spec import load

CLUSTER = "name: shop\nmodel: hf://org/m\nhardware: l4:1\ntarget: kubernetes\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a path that has no `stoker` on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def program(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch(mode=0o755)
    return place


@pytest.mark.parametrize(
    ("place", "called"),
    [(".venv/bin/stoker", ".venv/bin/stoker"), ("bin/stoker", "stoker"), ("a b/stoker", "'a b/stoker'")],
)
def test_the_program_is_called_as_it_can_be_from_here(
    place: str, called: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program(here / place))])
    assert typed.program() == called


def test_from_elsewhere_it_is_called_by_its_whole_path(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = program(tmp_path_factory.mktemp("clone") / ".venv" / "bin" / "stoker")
    monkeypatch.setattr(sys, "argv", [str(place)])
    assert typed.program() == str(place)


def test_a_module_is_called_as_a_module(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(here / "stoker" / "__main__.py")])
    assert typed.program() == f"{sys.executable} -m stoker"


@pytest.mark.parametrize(
    ("file", "running", "words"),
    [
        (None, ("shop",), ""),
        (None, ("other", "shop"), " --name shop"),
        ("name: shop\n", ("other", "shop"), ""),
        ("name: other\n", ("shop",), ""),
        ("name: other\n", ("other", "shop"), " --name shop"),
        (CLUSTER, ("shop",), " --target local"),
        ("name: [\n", ("shop",), ""),
    ],
)
def test_words_lead_to_the_fleet_of_this_machine(
    file: str | None, running: tuple[str, ...], words: str, here: Path
) -> None:
    if file is not None:
        (here / "stoker.yaml").write_text(file)
    assert typed.local_words("shop", running) == words


@pytest.mark.parametrize(
    ("sets", "at", "named", "words"),
    [
        ((), "stoker.yaml", None, ""),
        ((), "my shop.yaml", "my shop.yaml", " -f 'my shop.yaml'"),
        (("kubernetes.namespace=ml",), "stoker.yaml", None, " -n ml"),
        (("name=two", "kubernetes.namespace=ml"), "s.yaml", "s.yaml", " -f s.yaml --name two -n ml"),
        ((), None, None, " --target kubernetes --name shop -n default"),
    ],
)
def test_words_lead_to_the_fleet_of_a_cluster(
    sets: tuple[str, ...], at: str | None, named: str | None, words: str, here: Path
) -> None:
    if at is not None:
        (here / at).write_text(CLUSTER)
    assert typed.cluster_words(load(CLUSTER, "s.yaml", sets), named) == words


def test_a_plans_next_step_names_the_same_model_or_file() -> None:
    assert typed.source_words("hf://org/m", None) == " hf://org/m"
    assert typed.source_words(None, "my shop.yaml") == " -f 'my shop.yaml'"
    assert typed.source_words(None, None) == ""
