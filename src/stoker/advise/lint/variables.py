"""Rules over an engine's environment: variables that its release does not read, and those that mislead it."""

from collections.abc import Iterator

from stoker.advise.lint.engines import Engine
from stoker.advise.lint.shell import UNKNOWN
from stoker.advise.lint.values import listed, table, text
from stoker.catalog.changes import missing
from stoker.findings import Finding


def rules(engine: Engine) -> Iterator[Finding]:
    """All findings about the variables of one engine."""
    one, release = engine.one, engine.release
    places = {
        text(table(e).get("name")): (*engine.at, "env", i)
        for i, e in enumerate(listed(engine.container.get("env")))
    }
    for change in missing("environment", places, release.version):
        said = {"variable": change.name, "version": release.version, "why": change.why(release.version)}
        case = "gone" if release.sure else "assumed"
        yield one.finding(
            "environment", places[change.name], case, **said, instead=change.fix or "leave it out"
        )
    port = engine.env.get("VLLM_PORT", "")
    if port and UNKNOWN not in port:
        case = "url" if "://" in port else "number"
        yield one.finding("engine-port", places["VLLM_PORT"], case, value=port)
