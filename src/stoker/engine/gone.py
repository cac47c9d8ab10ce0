"""What becomes of an option that a release does not take: gone, or there and written in another way."""

import re

from stoker.catalog import vllm
from stoker.catalog.changes import Change, changes
from stoker.catalog.rules import Rule, rule
from stoker.findings import Finding

_OPTION = re.compile(r"--([a-z0-9][\w-]*)")
_PATH = re.compile(r"[\w./-]+$")


def named(found: Rule, match: re.Match[str]) -> Finding | None:
    """More exactly than the rule's own words, of an option that vLLM's command line did not recognize; None
    where no more is known."""
    if found.case != "unrecognized":
        return None
    words = next(filter(None, match.groups()), "").strip()
    names = [words] if words.isidentifier() else _OPTION.findall(words)
    if (change := _gone(names)) is not None:
        note = f" ({change.note})" if change.note else ""
        return rule(found.id, "gone").finding(
            option=change.written, until=change.until, note=note, fix=change.fix
        )
    known = next((name for name in names if vllm.release(vllm.DEFAULT).option(name) is not None), None)
    if known is not None and not words.isidentifier():
        release = f"vLLM {vllm.DEFAULT}"
        return rule(found.id, "spaced").finding(words=words, release=release, option=f"--{known}")
    if not names and words and _PATH.match(words.split()[0]):
        return rule(found.id, "words").finding(words=words)
    return None


def _gone(names: list[str]) -> Change | None:
    known = {one.name: one for one in changes() if one.kind == "option" and one.until}
    return next((known[name.replace("_", "-")] for name in names if name.replace("_", "-") in known), None)
