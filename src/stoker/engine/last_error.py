"""A dead engine's last error: the one line that matters, why it happened, and the fix.

vLLM is several processes, and each one that a failure passes through writes a traceback of its own; the last
one says only "See root cause above". The cause is the first, in the process where it happened: of a chain
of exceptions the one that a rule knows best, of several the first; what may follow from it comes after.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from stoker.catalog import rules
from stoker.catalog.needles import needles
from stoker.catalog.rules import Rule
from stoker.engine import gone
from stoker.engine.failures import Statement, runs
from stoker.findings import Finding

MOST = 300  # characters of a line that a person reads

# How near a rule is to the cause of an end: what follows from something else comes after an error that
# nobody knows.
_TIERS = {"cause": 0.0, "warning": 1.0, "symptom": 2.0, "place": 2.0, "echo": 4.0, "end": 5.0}
_UNKNOWN, _UNKNOWN_LINE, _WEAK = 2.0, 3.0, 2.5

# Said of a failure that happened elsewhere.
_ECHO = re.compile(
    r"Engine core initialization failed|WorkerProc initialization failed|EngineCore (?:failed|encountered)"
    r"|WorkerProc (?:failed|hit)|EngineDeadError|Engine process failed|Worker failed with error"
    r"|died unexpectedly(?! \(exit code: -)|CancelledError|BrokenPipeError|^RuntimeError: cancelled"
    r"|^(?:\w+\.)*(?:EOFError|SystemExit|ConnectionResetError)\b|Process \S+:$|MQEngineDeadError"
    r"|Error in inspecting model architecture|Error raised in subprocess|output_handler failed"
    r"|Task exception was never retrieved|Exception in callback|^future: <|returned non-zero exit status"
    r"|ENGINE_PROCESS_DIED|Got error from EngineCore|Application startup failed|See root cause above"
)
_TELLING = re.compile(
    r"\b(?:error|fatal|fail(?:ed|ure|s)?|cannot|could ?n.t|unable|exception|panic|abort\w*)\b", re.I
)
_PYDANTIC = re.compile(r"(?:\S*ValidationError: )?\d+ validation errors? for \w+: (?:Value error, )?")


# Rules of what may follow from another end, which other lines, or another rank's log, tell of.
FOLLOWING = frozenset(
    {"engine-rank-gone", "engine-nccl", "engine-hang", "engine-ray", "engine-killed", "engine-crash"}
    | {"engine-stopped", "engine-elsewhere", "engine-error", "engine-unknown"}
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an engine ended: the finding, the number of the line that says so, and that line.

    sure: a cause by a rule; what is not may follow from another one.
    """

    finding: Finding
    line: int = 0
    said: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Candidate:
    tier: float
    order: int  # of its rule
    one: Statement
    finding: Finding

    @property
    def within(self) -> tuple[float, int, int]:
        """Its place among what one traceback with its chain says."""
        return self.tier, self.order, self.one.line

    @property
    def among(self) -> tuple[float, int]:
        """Its place among all."""
        return self.tier, self.one.line


def last_error(log: Iterable[str]) -> Finding:
    """The likeliest cause of an engine's death, out of its log.

    Where no known cause matches, it is the innermost traceback's last line. `what` is empty without one.
    """
    found = causes(log)
    return found[0].finding if found else rules.rule("engine-unknown").finding(line="")


def causes(log: Iterable[str]) -> tuple[Cause, ...]:
    """All that may have ended an engine, the likeliest first, each once; none where nothing failed."""
    heard = gone.Heard(log)
    before, last = runs(heard, _telling)
    found = _ranked(last, heard.release) or _ranked(before, heard.release)
    out: dict[tuple[str, str], Cause] = {}
    for one in found:
        key = (one.finding.rule, one.finding.what if one.tier < _TIERS["echo"] else "")
        sure = one.tier < _UNKNOWN
        out.setdefault(key, Cause(one.finding, one.one.line, short(one.one.text), sure))
    return tuple(out.values())


def died_of(code: int) -> Finding | None:
    """What is known of an engine that a signal has ended, by its exit code, which is negative."""
    found = _known(Statement(f"(exit code: {code})", 0, 0, "error"))
    return found.finding if found and not found.tier else None


def _ranked(said: Sequence[Statement], release: str = "") -> list[_Candidate]:
    best: dict[int, _Candidate] = {}
    for one in _candidates(said, release):
        if one.one.group not in best or one.within < best[one.one.group].within:
            best[one.one.group] = one
    found = sorted(best.values(), key=lambda one: one.among)
    failed = any(one.one.kind != "quiet" and one.tier < _TIERS["end"] for one in found)
    found = [one for one in found if failed or one.tier >= _TIERS["end"]]
    nearer = [one for one in found if one.tier < _TIERS["echo"]]
    return nearer or found


def _candidates(said: Sequence[Statement], release: str) -> Iterator[_Candidate]:
    unknown: dict[int, Statement] = {}
    for one in said:
        if (found := _known(one, release)) is not None:
            yield replace(found, tier=found.tier + _WEAK) if one.weak else found
        elif one.kind == "exception" and not _ECHO.search(one.text):
            unknown[one.group] = one  # of a chain, the last one raised
        elif one.kind in ("error", "plain") and _TELLING.search(one.text) and not _ECHO.search(one.text):
            unknown.setdefault(one.group, one)
    for one in unknown.values():
        tier = _UNKNOWN if one.kind == "exception" else _UNKNOWN_LINE
        finding = rules.rule("engine-error").finding(line=short(one.text))
        yield _Candidate(tier + _WEAK * one.weak, len(rules.ranks()), one, finding)


def _known(one: Statement, release: str = "") -> _Candidate | None:
    """By the first rule that fits, of those that are nearest to a cause."""
    best: tuple[float, int, Rule, re.Match[str]] | None = None
    for order, tier, rule in _rules():
        if one.kind == "quiet" and rule.kind not in ("warning", "end"):
            continue
        if (best is None or (tier, order) < best[:2]) and (match := _match(rule, one)) is not None:
            best = (0.0 if rule.kind == "warning" and one.kind != "quiet" else tier, order, rule, match)
            if not best[0]:
                break
    if best is None:
        return None
    tier, order, rule, match = best
    finding = gone.named(rule, match, release) or rule.found(match)
    return _Candidate(tier, order, one, replace(finding, what=short(finding.what)))


@cache
def _rules() -> tuple[tuple[int, float, Rule], ...]:
    """All that are about what an engine says: their order, in which places come last, and their tier."""
    found = [one for one in rules.of(*rules.ENGINE) if one.text]
    found.sort(key=lambda one: one.kind == "place")
    return tuple((order, _TIERS[one.kind], one) for order, one in enumerate(found))


def _match(rule: Rule, one: Statement) -> re.Match[str] | None:
    if not _holds(rule, one.text):
        return None
    if rule.within and not any(re.fullmatch(rule.within, name) for name in one.frames):
        return None
    if rule.where and re.search(rule.where, one.file) is None:
        return None
    return rule.match(one.text)


def _telling(said: str) -> bool:
    """Whether what was said on the way tells of an end all the same."""
    return any(_holds(rule, said) and rule.match(said) for rule in _quiet_rules())


@cache
def _quiet_rules() -> tuple[Rule, ...]:
    return tuple(rule for _, _, rule in _rules() if rule.kind in ("warning", "end"))


def _holds(rule: Rule, said: str) -> bool:
    """Whether a text has one of those without which the rule cannot match."""
    wanted = needles(rule.text)
    return not wanted or any(text in said for text in wanted)


def short(line: str) -> str:
    """The line without what only a programmer reads, cut to a length that a person does."""
    plain = line.strip()
    if "validation error" in plain:
        plain = _PYDANTIC.sub("", plain)
    return plain if len(plain) <= MOST else f"{plain[: MOST - 1]}…"
