"""What a release of vLLM says more exactly than a rule can: options that went, parsers that there are."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from stoker.catalog import releases, vllm
from stoker.catalog.changes import missing, of_kind
from stoker.catalog.rules import Rule, rule
from stoker.findings import Finding

_OPTION = re.compile(r"--([a-z0-9][\w-]*)")
_PATH = re.compile(r"[\w./-]+$")
_SAID = re.compile(
    r"(?:LLM engine \(v|vLLM API server version |\bversion )(0\.\d+\.\d+(?:\.post\d+|\.\d+)?)\b"
)


class Heard:
    """Lines as they pass by, and the release of vLLM that they name, the last one; empty where they name
    none."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self.release = lines, ""

    def __iter__(self) -> Iterator[str]:
        """The same lines."""
        for line in self._lines:
            if "version " in line or "engine (v" in line:
                match = _SAID.search(line[:2000])
                self.release = match[1] if match and releases.is_release(match[1]) else self.release
            yield line


def named(found: Rule, match: re.Match[str], release: str = "") -> Finding | None:
    """More exactly than the rule's own words, of an option that vLLM's command line did not recognize and of
    a parser that it has not; None where no more is known. release: the log's, where it names one."""
    if found.id == "engine-parser" and release and len(match.groups()) > 2:
        return _parser(found, match, release)
    if found.case != "unrecognized":
        return None
    words = next(filter(None, match.groups()), "").strip()
    names = [words] if words.isidentifier() else _OPTION.findall(words)
    if (finding := _gone(found, names, release)) is not None:
        return finding
    version = release or vllm.DEFAULT
    has = vllm.nearest_release(version).option
    known = next((name for name in names if has(name) is not None), None)
    if known is not None and not words.isidentifier():
        return rule(found.id, "spaced").finding(words=words, release=f"vLLM {version}", option=f"--{known}")
    if not names and words and _PATH.match(words.split()[0]):
        return rule(found.id, "words").finding(words=words)
    return None


def _gone(found: Rule, names: Iterable[str], release: str) -> Finding | None:
    """Of an option that a release has no more, or not yet; without a release, one that any has dropped."""
    plain = [name.replace("_", "-") for name in names]
    table = of_kind("option")
    version = release or next(
        (table[name].until for name in plain if name in table and table[name].until), ""
    )
    change = next(iter(missing("option", plain, version)), None) if version else None
    if change is None:
        return None
    note = f" ({change.note})" if change.note else ""
    if change.until:
        said = {"option": change.written, "until": change.until, "note": note, "fix": change.fix}
        return rule(found.id, "gone").finding(**said)
    said = {"option": change.written, "since": change.since, "note": note, "fix": change.fix}
    return rule(found.id, "later").finding(**said)


def _parser(found: Rule, match: re.Match[str], release: str) -> Finding:
    """All parsers of the release but the one that this engine has not; in the fix those that are spelled
    alike."""
    kind, name = match[1].lower(), match[2]
    option = "reasoning-parser" if kind.startswith("reason") else "tool-call-parser"
    there = [one for one in vllm.nearest_release(release).names_of(option) if one != name]
    near = ", ".join(difflib.get_close_matches(name, there, n=3, cutoff=0.5)) or f"one of the {len(there)}"
    finding = found.filled({"0": match[0], "1": match[1], "2": name, "3": ", ".join(there)})
    return replace(finding, fix=f"{near}; or a release that has it")
