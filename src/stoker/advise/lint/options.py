"""Rules over the words that an engine is started with: options it has not, values it refuses."""

import re
from collections.abc import Collection, Iterator

from stoker.advise.lint.arguments import Arguments, known_anywhere, served
from stoker.advise.lint.containers import KEYS
from stoker.advise.lint.engines import Engine
from stoker.advise.lint.images import Release, is_image
from stoker.advise.lint.shell import UNKNOWN
from stoker.catalog import vllm
from stoker.catalog.changes import Change, missing
from stoker.catalog.releases import order
from stoker.findings import Finding
from stoker.spec.nodes import scalar

OLD = 8  # minor releases
_FILLED = re.compile(r"[\x00$]|\{\{|<[a-z]|(?<![A-Za-z0-9])_[A-Z][A-Z0-9_]*_(?![A-Za-z0-9])")
_REPEATED = frozenset({"lora-modules", "middleware", "allowed-local-media-path"})


def rules(engine: Engine) -> Iterator[Finding]:
    """All findings about its command line and its image's release."""
    yield from _image(engine)
    for said in engine.said:
        yield from _absent(engine, said)
        yield from _values(engine, said)
        yield from _secrets(engine, said)
        if said.get("trust-remote-code") not in (None, "false"):
            yield engine.one.finding("remote-code", engine.words_at)


def _image(engine: Engine) -> Iterator[Finding]:
    found = engine.release
    where = (*engine.at, "image")
    if not found.sure:
        if is_image(engine.image) and any(said.given or said.unknown for said in engine.said):
            said = {"image": engine.image, "version": found.version}
            yield engine.one.finding("release", where, **said)
        return
    major, minor = order(found.version)[0][:2]
    newest = order(vllm.DEFAULT)[0]
    behind = newest[1] - minor
    if major == newest[0] and behind > OLD:
        said = {"version": found.version, "behind": str(behind), "newest": vllm.DEFAULT}
        yield engine.one.finding("image-old", where, **said)


def _absent(engine: Engine, said: Arguments) -> Iterator[Finding]:
    """Options that the image's release does not have: it would refuse to start."""
    one, where, release = engine.one, engine.words_at, engine.release
    for word in said.joined:
        yield one.finding("option", where, "joined", word=word[:60])
    gone = [one for one in missing("option", said.given, release.version) if not _beyond(one)]
    case = "gone" if release.sure else "assumed" if engine.image else "unknown"
    for change in gone:
        told = {"why": change.why(release.version), "instead": change.fix or "leave it out"}
        yield one.finding("option", where, case, version=release.version, option=change.name, **told)
    told_of = {change.name for change in gone}
    for flag, like in said.unknown.items():
        name = flag.lstrip("-").replace("_", "-")
        if {name, name.removeprefix("no-")} & told_of or served(name):
            continue
        if len(like) > 1 and release.sure:
            yield one.finding("option", where, "several", option=flag, others=", ".join(like[:6]))
        elif _certain(name, release):
            nearest = vllm.nearest_release(release.version).nearest(name)
            instead = f"--{nearest}" if nearest else "`vllm serve --help=all` lists them"
            told = {"version": release.version, "option": flag.lstrip("-"), "instead": instead}
            yield one.finding("option", where, "unlisted", **told)


def _beyond(change: Change) -> bool:
    """Whether it is only that the catalog begins with a later release."""
    known: tuple[str, ...] = vllm.KNOWN
    return len(known) > 1 and change.since == known[0]


def _certain(name: str, release: Release) -> bool:
    """Whether the release has no such option: its list is known, or no release has, and one is spelled almost
    so."""
    if release.sure and release.version in vllm.KNOWN:
        return True
    near = vllm.nearest_release(vllm.DEFAULT).nearest(name)
    return not known_anywhere(name) and near is not None and _alike(name, near)


def _alike(name: str, other: str) -> bool:
    """Whether two names differ by a slip: the same letters in another order, or one of them."""
    return sorted(name) == sorted(other) or (
        abs(len(name) - len(other)) <= 1 and sum(a != b for a, b in zip(name, other, strict=False)) <= 2
    )


def _values(engine: Engine, said: Arguments) -> Iterator[Finding]:
    """Values that the release's parser or its own configuration refuses."""
    release = engine.release
    known = release.version in vllm.KNOWN and release.sure
    for name, values in said.given.items():
        option = said.release.option(name)
        if option is None or any(_FILLED.search(one) for one in values):
            continue
        if len(values) > 1 and not option.many and name not in _REPEATED and option.kind != "json":
            yield engine.one.finding("option-twice", engine.words_at, option=name, value=values[-1])
        if not known and option.kind not in ("int", "float"):
            continue
        for value in values:
            why = _refused(option, value)
            if why:
                told = {
                    "option": name,
                    "value": value.lstrip("=")[:60] or "nothing",
                    "why": why,
                    "takes": option.takes(),
                }
                yield engine.one.finding("option-value", engine.words_at, **told)
                break
    yield from _named(engine, said) if known else ()


def _named(engine: Engine, said: Arguments) -> Iterator[Finding]:
    """Values that name a part of vLLM, which its parser takes and its start refuses."""
    release = said.release
    own = {"tool-parser-plugin", "reasoning-parser-plugin"} & set(said.given)
    listed: dict[str, Collection[str]] = {"quantization": release.quantizations}
    if not own:
        listed["tool-call-parser"] = release.parsers("tool")
        listed["reasoning-parser"] = release.parsers("reasoning")
    for option, names in listed.items():
        value = said.get(option)
        if value and names and value not in names and value.lower() != "none" and not _FILLED.search(value):
            why = f"vLLM {release.version} has none of that name"
            told = {"option": option, "value": value, "why": why, "takes": ", ".join(sorted(names))}
            yield engine.one.finding("option-value", engine.words_at, **told)


def _refused(option: vllm.Option, value: str) -> str | None:
    """Why a value does not fit; None where it does, or a variable stands there."""
    if _FILLED.search(value) or (value == "" and option.bare):
        return None
    if option.kind == "bool":
        return (
            None if value in ("true", "false", "") else "it takes no value: the flag alone, or its --no- form"
        )
    if value == "":
        return "no value follows it"
    if option.kind == "json" and value[:1] in "'\"" and value[-1:] == value[:1]:
        return "the quotes are part of it, as no shell takes them away"
    given = scalar(value) if option.kind in ("int", "float") and not option.choices else value
    return option.check(given)


def _secrets(engine: Engine, said: Arguments) -> Iterator[Finding]:
    for name in KEYS:
        values = [one for one in said.given.get(name, ()) if one]
        if values:
            filled = all(UNKNOWN in one or "$" in one or "{{" in one for one in values)
            case = "filled in" if filled else "written"
            variable = {"api-key": "VLLM_API_KEY", "hf-token": "HF_TOKEN"}[name]
            yield engine.one.finding("secret-argument", engine.words_at, case, option=name, variable=variable)
