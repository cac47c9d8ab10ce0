"""What stands on the pages: commands, Python, YAML, links; each with its page and line."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = ("cli.md", "json.md", "spec.md", "rules.md")  # of docs/reference: made of the code itself
# What the pages call beside Stoker, by the first word of a line.
OTHERS = frozenset(
    {
        "git",
        "pip",
        "make",
        "curl",
        "docker",
        "journalctl",
        "openssl",
        "kubectl",
        "gcloud",
        "prometheus",
        "python",
        "cd",
        "export",
        "kill",
    }
)
_PROMPT = re.compile(r"^(?:host \d+)?\$ ")
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Found:
    """A text and where it stands: `docs/tutorial.md:12`."""

    text: str
    page: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"


@dataclass(frozen=True)
class Block:
    """A block of code: its language (`text` for an indented one), and its lines."""

    language: str
    page: str
    line: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def pages() -> list[Path]:
    """Every page that a person wrote."""
    written = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in MADE]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *written]


@cache
def _parts(path: Path) -> tuple[tuple[Block, ...], tuple[Found, ...]]:
    """The blocks of a page, and the lines outside of them."""
    name, blocks, prose = str(path.relative_to(ROOT)), list[Block](), list[Found]()
    language, held, begun = None, list[str](), 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            if language is None:
                language, held, begun = line[3:].strip(), [], number
            else:
                blocks.append(Block(language, name, begun, tuple(held)))
                language = None
        elif language is not None:
            held.append(line)
        elif line.startswith("    ") and ((prose and not prose[-1].text) or held):
            blocks.append(Block("text", name, number, (line.strip(),)))
        else:
            prose.append(Found(line, name, number))
            held = []
    return tuple(blocks), tuple(prose)


def blocks(path: Path, language: str) -> list[Block]:
    """The blocks of a page in a language."""
    return [one for one in _parts(path)[0] if one.language == language]


def shown(path: Path) -> Iterator[tuple[Found, tuple[str, ...]]]:
    """Every command after a prompt, with the lines that the page says it prints."""
    for block in _parts(path)[0]:
        starts = [n for n, line in enumerate(block.lines) if _PROMPT.match(line)]
        for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=False):  # none without a prompt
            found = Found(_PROMPT.sub("", block.lines[start]), block.page, block.line + 1 + start)
            yield found, tuple(line for line in block.lines[start + 1 : end] if line.strip())


def shell(path: Path) -> Iterator[Found]:
    """Every command of a page's blocks.

    After a prompt where there is one; else each line of a block that begins with a program.
    """
    for block in _parts(path)[0]:
        if block.language not in ("", "text", "sh", "console"):
            continue
        prompted = [n for n, line in enumerate(block.lines) if _PROMPT.match(line)]
        first = block.lines[0].split()[0] if block.lines and block.lines[0].split() else ""
        begins = first == "stoker" or first in OTHERS
        for number, line in enumerate(block.lines):
            if number in prompted or (begins and not prompted and line.strip()):
                for one in _columns(_PROMPT.sub("", line)):
                    yield Found(one, block.page, block.line + 1 + number)


def _columns(line: str) -> list[str]:
    """A line's commands: one, or those of a table of two columns with what they do beside them."""
    bare = re.sub(r"\s{2,}#.*$", "", line)
    cells = re.split(r"\s{2,}", bare.strip())
    return [cell for cell in cells if cell.startswith("stoker ")] if len(cells) > 1 else [bare.strip()]


def spans(path: Path) -> Iterator[Found]:
    """Every command of Stoker's in a page's sentences and tables."""
    for line in _parts(path)[1]:
        for text in _SPAN.findall(line.text):
            bare = text.replace("\\|", "|").removeprefix(".venv/bin/")
            bare = re.sub(r"^[A-Z_]+=\S+ ", "", bare)
            if re.match(r"stoker [a-z-]", bare):
                yield Found(bare, line.page, line.line)


def fields(path: Path) -> Iterator[Found]:
    """Every part of a spec in a page's sentences and tables, such as `kubernetes: {weights: disk}`."""
    for line in _parts(path)[1]:
        for text in _SPAN.findall(line.text):
            if re.match(r"[a-z_]+: \S", text) and not re.search(r"…| \| |[A-Z][a-z]+:", text):
                yield Found(text, line.page, line.line)


def links(path: Path) -> Iterator[Found]:
    """Every link and picture of a page."""
    for line in _parts(path)[1]:
        for target in re.findall(r"\]\(([^)\s]+)\)", line.text):
            yield Found(target, line.page, line.line)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    heads = [line.text.lstrip("#").strip() for line in _parts(path)[1] if line.text.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def words(command: str) -> list[str]:
    """A command's words, without what stands for something left out."""
    bare = command.replace("…", " ").partition(" && ")[0].partition(" <(")[0]
    return [word for word in shlex.split(bare) if word]
