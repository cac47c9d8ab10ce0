"""Every command and Python example of the pages, run: beside a simulated fleet, or in the double."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import models
from tests.conftest import Ran, Stoker
from tests.support import page_tests, pages
from tests.support.user import User

from stoker.cli.main import run

CLUSTER = pages.ROOT / "docs" / "how-to" / "kubernetes.md"
# In this order each finds what it needs; those that go on until Ctrl-C are begun, heard, and ended.
ORDER = (
    "--help",
    "init",
    "plan",
    "render",
    "lint",
    "doctor",
    "models",
    "explain",
    "up",
    "status",
    "logs",
    "why",
    "chat",
    "bench",
    "simulate",
    "suggest",
    "report",
    "ui",
    "scale",
    "restart",
    "rollback",
    "down",
)
# Of what stands for something else on the pages: something that is here.
MEANT = {
    "FOLDER": "model",
    "DIR": "model",
    "MODEL": "model",
    "REVISION": "1",
    "NAME": "shop",
    "OTHER": "other",
    "FILE": "stoker.yaml",
    "RULE": "engine-kv",
    "engine.log": str(pages.ROOT / "tests/data/logs/vllm-0.32.0-cpu-heads.log"),
    "./gemma-3-1b-ft": "model",
    "http://HOST:8000": "http://127.0.0.1:1",
}
RENDERED = ("--target", "kubernetes", "--set", "hardware=l4:1", "--set", "engine.image=r.example/s:1")
WITHIN = ("--help", "init", "plan", "render", "lint", "doctor", "models", "explain", "up", "status", "why")
# Kinds that are only asked for their help here: they would fetch weights, need a person, or search for long.
HELP = {("models", "rm"), ("models", "pull"), ("models", "show"), ("ui",), ("suggest",)}


def commands(*paths: Path) -> list[str]:
    """The commands of the pages, each once, in the order of the verbs."""
    found = {one.text for path in paths for one in (*pages.shell(path), *pages.spans(path))}
    mine = [text for text in sorted(found) if text.startswith("stoker ")]
    return sorted(mine, key=lambda text: ORDER.index(pages.words(text)[1]))


def meant(text: str, stoker: Stoker) -> list[str]:
    """A command's words as they are run."""
    words = [MEANT.get(word, word) for word in pages.words(text)[1:]]
    words = [word.replace("NAME", "name").replace("=OTHER", "=other") for word in words]
    if tuple(words[:2]) in HELP or tuple(words[:1]) in HELP:
        return [*words[: 2 if words[0] == "models" else 1], "--help"]
    if words[0] == "scale" and len(words) == 1:
        words.append("2")
    if any(word.startswith("examples/") for word in words):
        return words
    if words[0] == "up":
        dry = [] if "--dry-run" in words else ["--dry-run"]
        port = f"endpoint.port={stoker.port + 1}"
        return [*words, "--set", "engine.kind=simulated", "--set", port, *dry]
    if words[0] == "bench":
        return page_tests.bench(words, stoker.home, stoker.url)
    if words[0] == "simulate":
        return page_tests.simulate(words, stoker.home)
    if words[0] == "report":
        return page_tests.report(words, stoker.home)
    if words[0] == "render" and "local" not in words:
        return [*words, *RENDERED]
    if words[0] == "init":
        return [*words, "-f", "new.yaml", "--force"]
    if words[0] == "plan" and "--gpu" not in words and "--compare" not in words:
        return [*words, "--set", "engine.kind=simulated"]
    return words


@pytest.fixture
def home(stoker: Stoker) -> Stoker:
    """A folder with what the pages name, and a fleet of simulated engines that has been changed once."""
    folder = stoker.home / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(models.LLAMA_8B))
    stoker.env |= {"STOKER_OFFLINE": "1", "SHOP_KEY": "a-key", "HF_TOKEN": ""}
    text = Path(stoker.spec("shop")).read_text()
    for name in ("stoker.yaml", "shop.yaml", "other.yaml", "typo.yaml"):
        (stoker.home / name).write_text(text)
    (stoker.home / "examples").symlink_to(pages.ROOT / "examples")
    (stoker.home / "group.key").write_text("a" * 64)
    (stoker.home / "group.key").chmod(0o600)
    page_tests.files(stoker.home)
    assert stoker("render", *RENDERED, "-O", "manifests/").code == 0
    (stoker.home / "dashboard.json").write_text(
        (stoker.home / "manifests/grafana-dashboard.json").read_text()
    )
    assert stoker("up", "-d").code == 0
    assert stoker("up", "-d", "-y", "--set", "engine.simulate.tokens=3").code == 0
    return stoker


def goes_on(words: list[str]) -> bool:
    """Whether a command ends only by Ctrl-C."""
    follows = {"logs": {"-f", "--follow"}, "status": {"-w", "--watch"}}
    return not follows.get(words[0], set()).isdisjoint(words)


def ended(words: list[str], stoker: Stoker) -> int:
    """Begins a command, waits until it says something, and ends it as a person does."""
    process = stoker.popen(*words)
    deadline = time.monotonic() + 30
    before = len(stoker.said)
    while len(stoker.said) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    return process.wait(30)


def within(words: list[str], capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs a command in this process: one that starts nothing and waits for nobody."""
    code = run(words)
    return Ran(code, *capsys.readouterr())


def test_every_command_of_the_pages_runs(
    home: Stoker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.home)
    for name in ("STOKER_HOME", "STOKER_OFFLINE", "SHOP_KEY", "HF_TOKEN", "NO_COLOR"):
        monkeypatch.setenv(name, home.env[name])
    heard = signal.getsignal(signal.SIGINT)
    done: set[tuple[str, ...]] = set()
    wrong: list[str] = []
    for text in commands(*(path for path in pages.pages() if path != CLUSTER)):
        words = meant(text, home)
        if tuple(words) in done:
            continue
        done.add(tuple(words))
        if words[0] == "down":
            home("up", "-d", "-y")
        if goes_on(words):
            if (code := ended(words, home)) not in (0, 130):
                wrong.append(f"{text}: {code} {home.said[-300:]}")
            continue
        ran = within(words, capsys) if words[0] in WITHIN else home(*words, stdin="Hello!")
        late = words[0] == "bench" and ran.code == 1 and "kept in" in ran.err  # on a busy machine
        if ran.code != 0 and not late and not expected(text, ran.err):
            wrong.append(f"{text}\n  as {' '.join(words)}\n  {ran.code}: {ran.err[:400]}")
    signal.signal(signal.SIGINT, heard)
    assert not wrong, "\n".join(wrong)
    assert len(done) > 40


def expected(text: str, said: str) -> bool:
    """Whether a page says itself that this command ends so."""
    return text in ENDS and ENDS[text] in said


# Commands that fail on their page, and what they say there.
PLANNED = "stoker plan --model hf://google/gemma-3-27b-it --gpu l4"
ENDS = {
    "stoker status --since 2h": "no figures are kept",  # the console writes them; it is off here
    f"{PLANNED} --gpus 2 --max-model-len 32K": "does not fit on 2 x L4",
}


def test_every_command_of_the_clusters_page_runs_in_the_double(user: User) -> None:
    user.write(replicas=1)
    user.ok("up", "-y")
    user.write(replicas=1, engine={"max-model-len": "2K"})
    user.ok("up", "-y")
    wrong: list[str] = []
    for text in commands(CLUSTER):
        words = [MEANT.get(word, word) for word in pages.words(text)[1:]]
        words = [word for word in words if word not in ("--to", "1", "ml-serve")]
        words = [word for word in words if word != "-n" or words[-1] != "-n"]
        if words[0] in ("ui", "chat") or goes_on(words):
            words = [words[0], "--help"]  # the double's pods serve nothing
        ran = user(*words, *(["-y"] if words[0] == "up" and "--dry-run" not in words else []))
        if ran.code != 0 and "lint" not in words:
            wrong.append(f"{text}\n  as {' '.join(words)}\n  {ran.code}: {ran.err[:400]}")
        if words[0] == "down":
            user.ok("up", "-y")
    assert not wrong, "\n".join(wrong)


SHOWN = [one for path in pages.pages() for one in pages.shown(path) if one[0].text.startswith("stoker plan")]


@pytest.mark.parametrize(("found", "lines"), SHOWN, ids=[str(found) for found, _ in SHOWN])
def test_a_plan_on_a_page_is_the_one_that_is_printed(
    found: pages.Found,
    lines: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    run(pages.words(found.text)[1:])
    said = "\n".join(capsys.readouterr()).splitlines()
    for line in lines:
        assert any(one.startswith(line) for one in said), line


def test_plans_are_shown_with_what_they_print() -> None:
    assert len(SHOWN) >= 3
    assert sum(len(lines) for _, lines in SHOWN) > 10


@pytest.mark.parametrize(
    "block",
    [one for path in pages.pages() for one in pages.blocks(path, "python")],
    ids=lambda one: f"{one.page}:{one.line}",
)
def test_every_python_example_runs(block: pages.Block, stoker: Stoker) -> None:
    code = block.text.replace("18620", str(stoker.port))
    env = {**stoker.env, "STOKER_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=stoker.home,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
