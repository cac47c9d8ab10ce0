"""How progress and tables look in a terminal; plain lines where there is none."""

import atexit
import os
import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING, TextIO

import click

from stoker.events import Event, Progress
from stoker.units import Bytes, Seconds

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_COLORS = {"ok": "green", "...": "cyan", "warn": "yellow", "fail": "red"}
PLAIN_EVERY = 5.0
COLUMNS = 80  # of what is no terminal


class ProgressPrinter:
    """A Report: one line an event, and one live line with the time for what is going on.

    Off a terminal there is no live line: progress is a plain line now and then.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._terminal = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self._live: Live | None = None
        self._going_on = ""
        self._plain_at = 0.0
        self._begun = time.monotonic()

    def __call__(self, said: Event | Progress) -> None:
        if isinstance(said, Progress):
            self._progress(said)
        else:
            self._event(said)

    def _event(self, event: Event) -> None:
        text = _line(event.mark, event.subject, event.text, event.took)
        if self._terminal and event.mark == "..." and event.subject.startswith("replica"):
            self._show(text)
        else:
            self.done()
            more = event.finding.lines("        ") if event.finding else []
            click.echo("\n".join([text, *more]), file=self._out, color=None)

    def _progress(self, progress: Progress) -> None:
        text = _line("...", progress.subject, _amount(progress))
        if self._terminal:
            self._show(text)
        elif time.monotonic() - self._plain_at > PLAIN_EVERY:
            self._plain_at = time.monotonic()
            click.echo(text, file=self._out)

    def _show(self, text: str) -> None:
        self._going_on = text
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._now,
                console=Console(file=self._out),
                transient=True,
                refresh_per_second=4,
            )
            self._live.start()
            atexit.register(self.done)  # the cursor comes back whatever happens

    def _now(self) -> "Text":
        from rich.text import Text

        line = Text.from_ansi(self._going_on, no_wrap=True, overflow="ellipsis")
        return line.append(f"  {time.monotonic() - self._begun:.0f}s", style="dim")

    def done(self) -> None:
        """Removes the live line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            atexit.unregister(self.done)


def _line(mark: str, subject: str, text: str, took: Seconds | None = None) -> str:
    time_text = f"  {Seconds(round(took, 1))}" if took is not None else ""
    return f"  {click.style(f'{mark:<4}', fg=_COLORS[mark])}  {subject:<11} {text}{time_text}"


def _amount(progress: Progress) -> str:
    parts = [progress.text]
    if progress.done is not None:
        parts.append(f"{progress.done}{f' of {progress.total}' if progress.total is not None else ''}")
    if progress.rate:
        parts.append(f"{Bytes(int(progress.rate))}/s")
    if progress.left is not None:
        parts.append(f"{Seconds(round(progress.left))} left")
    return "  ".join(parts)


def table(rows: list[list[str]], right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as their widest cell; `right` ones are right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def width(out: TextIO | None = None) -> int:
    """How many columns there are: the terminal's, else 80."""
    out = out or sys.stdout
    return max(COLUMNS // 2, shutil.get_terminal_size((COLUMNS, 24)).columns) if out.isatty() else COLUMNS


def wrapped(text: str, columns: int, indent: str = "") -> str:
    """A sentence in lines that fit; further ones stand a little to the right. Words are never cut."""
    return "\n".join(
        textwrap.fill(
            line,
            max(columns, len(indent) + 20),
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def box(lines: list[str], out: TextIO | None = None) -> None:
    """Lines that are to be seen, between two rules."""
    out = out or sys.stdout
    width = min(100, max(len(line) for line in lines) + 2)
    rule = "─" * width if (out.encoding or "").lower().startswith("utf") else "-" * width
    click.echo(rule, file=out)
    for line in lines:
        click.echo(f" {line}", file=out)
    click.echo(rule, file=out)


def age(seconds: float) -> str:
    """How long, in one unit, as kubectl prints it."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"
