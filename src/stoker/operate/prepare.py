"""From a spec to a plan for this machine: weights staged, shape read, shares decided."""

import platform
from dataclasses import replace
from pathlib import Path

from stoker import weights
from stoker.advise import extras
from stoker.bounds import shown
from stoker.errors import MissingDependency, UsageError
from stoker.events import Event, Report
from stoker.findings import Finding
from stoker.model.agreement import check_weights
from stoker.model.shape import ModelShape, read_shape
from stoker.operate.carried import located, whole_paths
from stoker.operate.installed import of_installed
from stoker.planner.group import Group
from stoker.planner.local import plan_local
from stoker.planner.plan import Adapter, Hardware, Plan, Share
from stoker.spec.nouns import Demo, KeyRef, LocalDir, ModelRef, ServeSpec, Source
from stoker.spec.places import place_of
from stoker.system import installation, keys, paths, reading
from stoker.system.reading import Unreadable
from stoker.weights.adapters import modules_of
from stoker.weights.reading import TEMPLATE


def check_target(spec: ServeSpec) -> None:
    """Raises: UsageError, for a cluster, where `operate.cluster` serves."""
    if spec.target != "local":
        raise UsageError(
            f"target {spec.target} is not this machine",
            why="this call runs fleets here",
            fix="`stoker up` serves clusters; --target local serves here",
            at=place_of(spec, "target"),
        )


def staged(source: Source, token: KeyRef | None, report: Report, *, adapter: bool | None = False) -> Path:
    """The local folder of a model or a LoRA adapter, copied and checked where it has to be."""
    secret = keys.read(token, "model.token") if token else None
    return weights.fetch(source, cache=paths.weights(), report=report, token=secret, adapter=adapter)


def shape_of(folder: Path, spec: ServeSpec) -> ModelShape:
    """The shape of a staged model. Raises: UsageError, where its weights are not those of its config.json."""
    files = weights.peek(ModelRef(LocalDir(str(folder)), spec.model.served_name))
    shape = read_shape(files)
    check_weights(files, shape, str(folder))
    return shape


def _adapters(
    spec: ServeSpec, token: KeyRef | None, report: Report, modules: frozenset[str]
) -> dict[str, Adapter]:
    out = {}
    for name, source in spec.model.adapters.items():
        folder = staged(source, token, report, adapter=True)
        out[name] = Adapter(str(folder), weights.adapter_rank(folder, modules))
    return out


def prepare(
    spec: ServeSpec,
    offer: Hardware,
    report: Report,
    *,
    replicas: int | None = None,
    rebind: bool = True,
    before: tuple[Share, ...] = (),
    group: Group | None = None,
    again: bool = False,
) -> Plan:
    """Stages what the plan needs, and plans. Raises: what staging, reading and planning raise.

    again: of a fleet that runs, whose weights are here: a token that this shell does not know is not missed.
    """
    if spec.engine.kind == "simulated":
        return plan_local(spec, None, offer, str(spec.model.source), replicas=replicas)
    _check_engine(spec, offer)
    notes = of_installed(spec, installation.release())[1]
    spec = as_run(spec)
    token = spec.model.token
    if again and token is not None and not keys.known(token):
        token = None
    folder = staged(spec.model.source, token, report)
    modules = modules_of(weights.peek(ModelRef(LocalDir(str(folder)), ""))) if spec.model.adapters else None
    adapters = _adapters(spec, token, report, modules or frozenset())
    decided = plan_local(
        spec,
        shape_of(folder, spec),
        offer,
        str(folder),
        replicas=replicas,
        rebind=rebind,
        before=before,
        adapters=adapters,
        group=group,
    )
    return replace(decided, warnings=(*notes, *decided.warnings))


def as_run(spec: ServeSpec) -> ServeSpec:
    """The spec as it is kept of a fleet that runs here: for the release that is installed, with whole paths.

    Raises: UsageError, for an option that the release has not, and for a file that is missing.
    """
    if spec.engine.kind == "simulated":
        return spec
    return whole_paths(_with_template(of_installed(spec, installation.release())[0]))


def _check_engine(spec: ServeSpec, offer: Hardware) -> None:
    """Raises: MissingDependency, where there is no engine; UsageError, where there are two."""
    extra = extras.engine_for(len(offer.gpus), platform.system(), platform.machine())
    if not installation.here("vllm"):
        more = ("demo",) if isinstance(spec.model.source, Demo) else ()
        had = f"{installation.fix('local', *more, extra)}; " if extra else ""
        raise MissingDependency(
            "vLLM is not installed here",
            why="this environment has no package vllm",
            fix=f"{had}`engine: {{kind: simulated}}` runs without",
            rule="engine-missing",
        )
    if len(found := installation.engines()) > 1:
        raise UsageError(extras.two_engines(found, installation.look(), extra))


CONSOLE = ("starlette", "uvicorn")  # what serves it; without Gradio beside them it says so at /chat


def without_page(spec: ServeSpec, report: Report) -> ServeSpec:
    """The spec without its web page where what serves it is not installed, which is said."""
    if not spec.endpoint.page or installation.here(*CONSOLE):
        return spec
    why = f"it needs the packages {' and '.join(CONSOLE)}"
    fix = installation.fix("local")
    missing = Finding("the console is not installed", why, fix, severity="warning", rule="page-missing")
    report(Event("console", "not installed, and not served", "warn", finding=missing))
    return replace(spec, endpoint=replace(spec.endpoint, page=False))


def _with_template(spec: ServeSpec) -> ServeSpec:
    """A chat template's path is meant from the file's own folder, as a model's is."""
    given = spec.engine.options.get("chat-template")
    if given is None or "{" in str(given):
        return spec
    path = located(spec, "chat-template", str(given))
    try:
        reading.read_text(path, TEMPLATE)
    except Unreadable as error:
        raise UsageError(
            f"chat-template {shown(str(given))[1:-1]} is no file"
            if error.missing
            else "the chat template cannot be read",
            at=place_of(spec, "engine.chat-template"),
            why=f"{shown(str(path), 300)[1:-1]}: {error.why}",
            fix=error.fix,
            rule="chat-template",
        ) from None
    return replace(
        spec, engine=replace(spec.engine, options={**spec.engine.options, "chat-template": str(path)})
    )
