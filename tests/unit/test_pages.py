"""Every page is true as far as it can be told without running: commands, links, names, specs."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from tests.support import pages

from stoker.catalog import vllm
from stoker.cli.main import cli
from stoker.spec import load
from stoker.targets.gateway.app import own_page
from stoker.targets.gateway.attempt import Counts

SHELL = [one for path in pages.pages() for one in (*pages.shell(path), *pages.spans(path))]
COMMANDS = sorted({one for one in SHELL if one.text.startswith("stoker")}, key=str)
OTHERS = sorted({one for one in SHELL if not one.text.startswith("stoker")}, key=str)
PYTHON = [one for path in pages.pages() for one in pages.blocks(path, "python")]
YAML = [one for path in pages.pages() for one in pages.blocks(path, "yaml")]
REFERENCE = pages.ROOT / "docs" / "reference"
TROUBLE = pages.ROOT / "docs" / "how-to" / "troubleshooting.md"


def parsed(argv: list[str]) -> None:
    """As the command line reads it; nothing is run. Raises: click's errors, for what is not there."""
    group: click.Command = cli
    context: click.Context | None = None
    rest, name = argv[1:], "stoker"
    while True:
        try:
            context = group.make_context(name, rest, parent=context)
        except click.exceptions.Exit:
            return  # --help, --version
        if not isinstance(group, click.Group):
            return
        rest = [*context._protected_args, *context.args]
        found, command, rest = group.resolve_command(context, rest)
        assert found is not None
        assert command is not None
        name, group = found, command
        if not rest and any(one.required for one in command.params):
            return  # the verb is only named


@pytest.mark.parametrize("found", COMMANDS, ids=str)
def test_a_command_is_one_that_the_command_line_takes(found: pages.Found) -> None:
    parsed(pages.words(found.text))


@pytest.mark.parametrize(
    "wrong", ["stoker upp", "stoker up --no-such-option", "stoker scale three", "stoker models no"]
)
def test_a_command_that_it_does_not_take_is_found_out(wrong: str) -> None:
    with pytest.raises(click.ClickException):
        parsed(pages.words(wrong))


@pytest.mark.parametrize("found", OTHERS, ids=str)
def test_a_command_of_another_tool_is_marked_as_one(found: pages.Found) -> None:
    program, *rest = found.text.split()
    assert program in pages.OTHERS
    if program == "make":
        targets = {word for word in rest if "=" not in word} & set(re.findall(r"[a-z-]+", found.text))
        made = (pages.ROOT / "Makefile").read_text()
        first = next(iter(rest), "help")
        assert re.search(rf"^{first}:", made, re.MULTILINE), targets
    if program == "python" and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1].partition(".")[0])
        assert list(pages.ROOT.rglob(f"{rest[1].replace('.', '/')}*"))
    if program == "python" and rest[0].endswith(".py"):
        assert (pages.ROOT / rest[0]).exists()


def test_there_are_commands_python_and_yaml_on_the_pages() -> None:
    assert len(COMMANDS) > 80
    assert len(PYTHON) >= 4
    assert len(YAML) >= 9


@pytest.mark.parametrize("block", YAML, ids=lambda one: f"{one.page}:{one.line}")
def test_yaml_is_a_spec_or_a_part_of_one(block: pages.Block) -> None:
    given = yaml.safe_load(block.text)
    rest = (
        {"model": "./model"}
        if given.get("target") != "kubernetes"
        else {"model": "gs://b/m", "hardware": "l4:1"}
    )
    load(json.dumps({**rest, **given}), block.page)


FIELDS = {
    "name",
    "model",
    "hardware",
    "strategy",
    "engine",
    "replicas",
    "scaling",
    "memory",
    "slo",
    "endpoint",
    "target",
    "kubernetes",
    "gateway",
}
PARTS = [one for path in pages.pages() for one in pages.fields(path) if one.text.partition(":")[0] in FIELDS]


@pytest.mark.parametrize("found", PARTS, ids=str)
def test_a_part_of_a_spec_in_a_sentence_is_one(found: pages.Found) -> None:
    given = yaml.safe_load(found.text.replace("NAME/KEY", "name/key").replace("NAME", "name"))
    if "gateway" in given:
        given = {
            "kubernetes": {"routing": "gateway-api", **given},
            "endpoint": {"api_key": "secret:name/key"},
        }
    whole = {"model": "gs://b/m", "hardware": "l4:1", "target": "kubernetes", **given}
    if given.get("replicas") == "1..5":
        whole["scaling"] = {"metrics": {"queue-depth": 5}}
    load(json.dumps(whole), found.page)


def test_there_are_parts_of_specs_in_sentences() -> None:
    assert len(PARTS) > 30


@pytest.mark.parametrize("path", pages.pages(), ids=lambda path: str(path.relative_to(pages.ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for found in pages.links(path):
        target, _, anchor = found.text.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        place = (path.parent / target).resolve() if target else path
        assert place.exists(), found
        assert not anchor or anchor in pages.anchors(place), found


def test_every_page_is_in_the_sites_index() -> None:
    index = (pages.ROOT / "docs" / "index.md").read_text()
    for path in (pages.ROOT / "docs").rglob("*.md"):
        name = str(path.relative_to(pages.ROOT / "docs")).removesuffix(".md")
        assert name in ("index", *index.split()) or f"{name.partition('/')[0]}/*" in index.split(), name


# metrics


def families(text: str, prefix: str) -> set[str]:
    return set(re.findall(rf"`({prefix}[\w:]+)`", text))


def test_the_metrics_page_has_every_family_of_vllm_and_no_other() -> None:
    release = vllm.release(vllm.DEFAULT)
    behind = {name for name, feature in release.features.items() if feature == "enable-mfu-metrics"}
    page = (REFERENCE / "metrics.md").read_text()
    assert families(page, "vllm:") == {*release.metrics, *behind}


def test_it_names_each_family_as_the_kind_that_it_is() -> None:
    kinds = vllm.release(vllm.DEFAULT).families
    for line in (REFERENCE / "metrics.md").read_text().splitlines():
        if named := families(line, "vllm:") if line.startswith("| ") else set():
            assert {kinds[name] for name in named} == {line.rstrip(" |").rpartition("| ")[2]}, line


def test_it_has_every_family_of_the_gateways_own() -> None:
    class Nobody:
        def ready(self) -> list[object]:
            return []

        def __iter__(self) -> object:
            return iter(())

    page = own_page(Counts(), Nobody()).decode()  # type: ignore[arg-type]
    own = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    assert families((REFERENCE / "metrics.md").read_text(), "stoker_gateway_") == own


# rules


def rule_ids() -> set[str]:
    """Every text between quotation marks in the code that could be a rule's name."""
    files = [path for end in ("py", "toml") for path in (pages.ROOT / "src").rglob(f"*.{end}")]
    return {name for path in files for name in re.findall(r"[\"']([a-z][a-z0-9-]+)[\"']", path.read_text())}


def test_every_rule_of_the_troubleshooting_page_is_one() -> None:
    rows = [line for line in TROUBLE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z][a-z-]+)`", row.split("|")[1])}
    assert len(named) > 50
    assert {name.removeprefix("why-") for name in named} <= {name.removeprefix("why-") for name in rule_ids()}


def test_every_exception_of_the_front_door_is_on_pythons_page() -> None:
    import stoker

    types = {name: one for name in stoker.__all__ if isinstance(one := getattr(stoker, name), type)}
    errors = {name for name, one in types.items() if issubclass(one, stoker.StokerError)}
    text = (REFERENCE / "python.md").read_text()
    assert errors <= set(re.findall(r"\w+", text))


def test_the_picture_is_small() -> None:
    assert (pages.ROOT / "docs" / "console.png").stat().st_size < 200_000


def test_the_examples_that_the_readme_counts_are_there() -> None:
    said = re.search(r"\[(\d+) examples\]", (pages.ROOT / "README.md").read_text())
    assert said is not None
    assert int(said[1]) == len(list((pages.ROOT / "examples").glob("*/stoker.yaml")))


def test_the_install_lines_name_extras_that_are_there() -> None:
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    coming = {"demo", "engine-cpu", "engine-cuda"}
    for named in re.findall(r"stoker\[([a-z,-]+)\]", (pages.ROOT / "README.md").read_text()):
        assert set(named.split(",")) <= set(extras) | coming
