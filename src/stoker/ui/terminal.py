"""How progress and tables look in a terminal; plain lines where there is none."""

import os
import sys
import time
from typing import TextIO

import click

from stoker.events import Event, Progress
from stoker.units import Bytes, Seconds

_COLORS = {"ok": "green", "...": "cyan", "warn": "yellow", "fail": "red"}
PLAIN_EVERY = 5.0


class Story:
    """A Report: one line an event, and one live line for progress. Off a terminal, progress is a line now and then."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""
        self._plain_at = 0.0
        self._begun = time.monotonic()

    def __call__(self, said: Event | Progress) -> None:
        if isinstance(said, Progress):
            self._progress(said)
        else:
            self._event(said)

    def _event(self, event: Event) -> None:
        self._clear()
        took = event.took if event.took is not None else None
        text = _line(event.mark, event.subject, event.text, took)
        if self._live and event.mark == "..." and event.subject.startswith("replica"):
            self._show(text)
        else:
            click.echo(text, file=self._out, color=None)

    def _progress(self, progress: Progress) -> None:
        text = _line("...", progress.subject, _amount(progress))
        if self._live:
            self._clear()
            self._show(text)
        elif time.monotonic() - self._plain_at > PLAIN_EVERY:
            self._plain_at = time.monotonic()
            click.echo(text, file=self._out)

    def _show(self, text: str) -> None:
        width = os.get_terminal_size(self._out.fileno()).columns if self._out.isatty() else 80
        self._shown = text
        click.echo(click.unstyle(text)[: width - 1], nl=False, file=self._out)

    def _clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[2K", nl=False, file=self._out)
            self._shown = ""

    def done(self) -> None:
        """Removes the live line."""
        self._clear()


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
