"""The image's own steps, taken out of the Dockerfile and run in a fresh environment."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
PREFIX = "/opt/stoker"


def steps(word: str) -> list[str]:
    """The arguments of each instruction of that name, in order; lines that go on are joined."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
    return [line.removeprefix(f"{word} ") for line in lines.splitlines() if line.startswith(f"{word} ")]


def test_it_stands_on_one_base_by_digest_and_runs_as_nobody() -> None:
    (base,) = [one.removeprefix("BASE=") for one in steps("ARG") if one.startswith("BASE=")]
    assert re.fullmatch(r"python:3\.1[1-4]-slim@sha256:[0-9a-f]{64}", base)
    assert [one.split()[0] for one in steps("FROM")] == ["${BASE}", "${BASE}"]
    assert steps("USER") == ["1000:1000"]


def test_what_it_copies_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for step in steps("COPY") if "--from" not in step for word in step.split()[:-1]]
    assert copied
    assert set(copied) <= kept


def test_its_pip_steps_give_a_stoker_that_runs(tmp_path: Path, index: None) -> None:
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for step in steps("COPY"):
        if "--from" not in step:
            _copy(step.split(), source)
    for step in steps("RUN"):
        line = step.replace(PREFIX, str(target)).replace(
            "python -m venv", f"{shlex.quote(sys.executable)} -m venv"
        )
        done = subprocess.run(["sh", "-c", line], cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (entry,), (argument,) = (json.loads(steps(word)[0]) for word in ("ENTRYPOINT", "CMD"))
    program = target / "bin" / entry
    assert "Takes a model's weights" in _said(program, argument, tmp_path)
    for module in ("stoker.targets.kubernetes.gateway", "stoker.ui.console", "stoker.targets.simulated"):
        _said(target / "bin" / "python", f"import {module}", tmp_path, "-c")


def _copy(words: list[str], source: Path) -> None:
    *names, last = words
    for name in names:
        place = source / last / name if last.endswith("/") else source / last
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)


def _said(program: Path, argument: str, home: Path, *before: str) -> str:
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    argv = [str(program), *before, argument]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pods_of_this_image_name_their_own_command() -> None:
    """A `command:` stands in the place of the image's ENTRYPOINT."""
    found: set[str] = set()
    for file in sorted((ROOT / "tests" / "golden" / "manifests").glob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            for container in _containers(one):
                if "/stoker:" in container.get("image", ""):  # what is no pod has containers, too
                    assert container["command"][:2] == ["python", "-m"], file.name
                    found.add(container["name"])
    assert found == {"gateway", "page", "engine"}


def _containers(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from below if key in ("containers", "initContainers") else _containers(below)
    elif isinstance(value, list):
        for one in value:
            yield from _containers(one)
