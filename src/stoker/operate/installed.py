"""vLLM's release on this machine: the one that is installed, whatever the file would assume."""

from dataclasses import replace

from stoker.catalog import releases, vllm
from stoker.catalog.changes import missing
from stoker.errors import UsageError
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import place_of


def of_installed(spec: ServeSpec, installed: str) -> tuple[ServeSpec, tuple[str, ...]]:
    """The spec for the release that is installed, and what to say of it: a file that names another is told,
    and planned for what will run. Raises: UsageError, for an option that it has not."""
    if not releases.is_release(installed) or installed == spec.engine.version:
        return spec, ()
    notes = []
    if "engine.version" in spec.origin:
        notes.append(
            f"the file asks for vLLM {spec.engine.version}; {installed} is installed here, and planned for"
        )
    if installed not in vllm.KNOWN:
        near = releases.nearest(installed)
        notes.append(
            f"vLLM {installed} is installed, which this Stoker does not know: it is taken for {near}"
        )
    _check(spec, installed)
    return replace(spec, engine=replace(spec.engine, version=installed)), tuple(notes)


def _check(spec: ServeSpec, installed: str) -> None:
    release = vllm.nearest_release(installed)
    for name in spec.engine.options:
        if release.option(name) is not None:
            continue
        gone = next(iter(missing("option", [name], installed)), None)
        raise UsageError(
            f"engine.{name} is no option of vLLM {installed}, which is installed here",
            at=place_of(spec, f"engine.{name}"),
            why=gone.why(installed) if gone else f"vLLM {installed} has no such option",
            fix=gone.fix if gone else f"leave {name} out",
            rule="spec-engine",
        )
