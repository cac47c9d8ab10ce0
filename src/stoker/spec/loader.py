"""Text to ServeSpec. The one way in: what comes out is checked, frozen and knows the line of each field."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from stoker.catalog.gpus import gpu
from stoker.errors import SpecError, UsageError
from stoker.findings import Finding
from stoker.spec import DEFAULT_FILE, nodes
from stoker.spec.cluster import read_kubernetes
from stoker.spec.former import renamed
from stoker.spec.models import EndpointFile, HardwareFile, ModelFile, SpecFile
from stoker.spec.nouns import (
    Bucket,
    Demo,
    EndpointSpec,
    HardwareSpec,
    Hub,
    LocalDir,
    ModelRef,
    Objectives,
    Place,
    ServeSpec,
    Source,
)
from stoker.spec.options import read_engine
from stoker.spec.overrides import apply_sets
from stoker.spec.release import release_notes
from stoker.spec.scaling import read_scaling
from stoker.spec.spec_errors import spec_error
from stoker.spec.strict import NAME

# scalars that are text however they look
_TEXTS: dict[nodes.Path, None] = dict.fromkeys(
    [
        ("name",),
        ("model",),
        ("model", "source"),
        ("model", "revision"),
        ("model", "served_name"),
        ("hardware",),
        ("engine", "version"),
        ("engine", "image"),
        ("engine", "env", "*"),
        ("model", "adapters", "*"),
        ("endpoint", "host"),
        ("kubernetes", "context"),
        ("kubernetes", "namespace"),
    ]
)


def load(text: str, file: str = "<command line>", sets: Iterable[str] = ()) -> ServeSpec:
    """Reads a spec, with `path=value` overrides on top. Raises: SpecError: file, line, column, nearest
    key."""
    tree = nodes.parse(text, file)
    if not isinstance(tree.value, dict):
        raise SpecError(
            "the file is no table of fields",
            at=f"{file}:1:1",
            why="expected `model: …` and the like",
            fix="run `stoker init` for an example",
            rule="spec-value",
        )
    nodes.texts(tree, _TEXTS)
    apply_sets(tree, sets)
    notes = renamed(tree)
    try:
        parsed = SpecFile.model_validate(tree.value)
    except ValidationError as error:
        raise spec_error(error, tree) from None
    return _spec(parsed, tree, notes)


def _spec(parsed: SpecFile, tree: nodes.Tree, notes: tuple[Finding, ...]) -> ServeSpec:
    model = _model(parsed.model, tree)
    endpoint = _endpoint(parsed.endpoint, tree)
    engine = read_engine(parsed.engine, tree)
    if engine.kind == "vllm":
        notes += release_notes(engine.version, parsed.engine, tree)
    return ServeSpec(
        name=parsed.name or name_of(model.source),
        model=model,
        hardware=_hardware(parsed.hardware, tree),
        strategy=parsed.strategy,
        engine=engine,
        replicas=parsed.replicas,
        scaling=read_scaling(parsed, tree),
        slo=Objectives(parsed.slo.ttft, parsed.slo.itl),
        endpoint=endpoint,
        target=parsed.target,
        drain_timeout=parsed.drain_timeout,
        stall_timeout=parsed.stall_timeout,
        memory=parsed.memory,
        kubernetes=read_kubernetes(parsed.kubernetes, tree),
        origin={".".join(map(str, path)): place for path, place in tree.places.items() if path},
        notes=notes,
    )


def _model(parsed: ModelFile, tree: nodes.Tree) -> ModelRef:
    source = _placed(parsed.source, tree.file)
    if parsed.revision:
        if not isinstance(source, Hub):
            at = str(tree.place(("model", "revision")))
            raise SpecError(
                "only a hub repository has a revision",
                at=at,
                why=f"{source} is none",
                fix="leave it out",
                rule="spec-value",
            )
        source = Hub(source.repo, parsed.revision)
    adapters = {name: _placed(adapter, tree.file) for name, adapter in parsed.adapters.items()}
    served = parsed.served_name or base_name(source)
    if served in adapters:
        at = str(tree.place(("model", "adapters", served)))
        raise SpecError(
            f"the adapter {served!r} has the model's own name",
            at=at,
            why="clients choose by name",
            fix="rename one",
            rule="spec-value",
        )
    return ModelRef(source, served, parsed.token, adapters)


def _placed(source: Source, file: str) -> Source:
    """A relative folder is meant from the file's own folder."""
    if isinstance(source, LocalDir) and not source.path.startswith(("/", "~")) and not file.startswith("<"):
        return LocalDir(posixpath.normpath(posixpath.join(posixpath.dirname(file), source.path)))
    return source


def _hardware(parsed: HardwareFile, tree: nodes.Tree) -> HardwareSpec:
    """The catalog's own name of the GPU: `nvidia-l4` is `l4`. Raises: SpecError, with the nearest names."""
    name = parsed.gpu.lower() if parsed.gpu else None
    if name and name != "cpu":
        path = ("hardware", "gpu") if ("hardware", "gpu") in tree.places else ("hardware",)
        try:
            name = gpu(name, str(tree.place(path))).key
        except UsageError as error:
            raise SpecError(error.finding) from None
    return HardwareSpec(name, parsed.count, parsed.machine, parsed.price)


def _endpoint(parsed: EndpointFile, tree: nodes.Tree) -> EndpointSpec:
    fields = {name: getattr(parsed, name) for name in EndpointFile.model_fields} | {
        "cors": tuple(parsed.cors)
    }
    endpoint = EndpointSpec(**fields)
    if endpoint.page:
        _check_page(endpoint, tree)
    if not endpoint.loopback and endpoint.api_key is None:
        raise SpecError(
            f"endpoint.host {endpoint.host} is reachable from outside, and there is no key",
            at=str(tree.place(("endpoint", "host"))),
            why="anybody who reaches the port could use the model",
            fix='api_key: "env:STOKER_KEY" under endpoint, or host: 127.0.0.1',
            rule="endpoint-open",
        )
    return endpoint


def _check_page(endpoint: EndpointSpec, tree: nodes.Tree) -> None:
    """Raises: SpecError, where the page would have no port of its own."""
    asked = endpoint.page_port is not None
    if (endpoint.page_port or endpoint.port + 1) in range(1, 65536) and endpoint.page_port != endpoint.port:
        return
    raise SpecError(
        f"endpoint.page_port is {endpoint.port}, the endpoint's own"
        if asked
        else "there is no port for the page after 65535",
        at=str(tree.place(("endpoint", "page_port" if asked else "port"))),
        why="the page has a port of its own, the endpoint's + 1 unless page_port says otherwise",
        fix="another page_port, another port, or page: false",
        rule="spec-ports",
    )


def base_name(source: Source) -> str:
    """The last part of a source, without its revision: what clients ask for unless the file says
    otherwise."""
    match source:
        case LocalDir(path):
            return posixpath.basename(path.rstrip("/")) or "model"
        case Hub(repo):
            return repo.rpartition("/")[2]
        case Bucket(_, bucket, prefix):
            return posixpath.basename(prefix) or bucket
        case Demo(name):
            return name


def name_of(source: Source) -> str:
    """A fleet's name out of its source: lower case, digits and dashes, 40 at most."""
    name = re.sub(r"[^a-z0-9]+", "-", base_name(source).lower()).strip("-")[:40].strip("-")
    return name if re.fullmatch(NAME, name) else "fleet"


def dump(spec: ServeSpec) -> dict[str, Any]:
    """The spec as plain values, for `-o json` and for comparing two specs."""
    out = asdict(spec)
    out.pop("origin")
    out.pop("notes")
    out["replicas"] = str(spec.replicas)
    out["model"] = {
        "source": str(spec.model.source),
        "served_name": spec.model.served_name,
        "token": str(spec.model.token) if spec.model.token else None,
        "adapters": {name: str(source) for name, source in spec.model.adapters.items()},
    }
    out["endpoint"]["api_key"] = str(spec.endpoint.api_key) if spec.endpoint.api_key else None
    return out


__all__ = ["DEFAULT_FILE", "Place", "base_name", "dump", "load", "name_of"]
