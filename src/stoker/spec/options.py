"""The `engine:` part: Stoker's own keys, and vLLM's options checked against the pinned release."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from stoker.bounds import shown
from stoker.catalog import changes, vllm
from stoker.errors import SpecError
from stoker.spec.fixes import fix_of_option
from stoker.spec.nodes import Tree
from stoker.spec.nouns import EngineSpec
from stoker.spec.patterns import IMAGE, VARIABLE
from stoker.spec.release import read_version

OURS = ("kind", "version", "image", "env", "simulate")
# options that Stoker writes itself, and the field to use
WRITTEN = {
    "model": "model.source",
    "model-tag": "model.source",
    "revision": "model.revision",
    "served-model-name": "model.served_name",
    "hf-token": "model.token",
    "lora-modules": "model.adapters",
    "enable-lora": "model.adapters",
    "host": "endpoint.host",
    "port": "endpoint.port",
    "uds": "endpoint.host and endpoint.port",
    "api-key": "endpoint.api_key",
    "allowed-origins": "endpoint.cors",
    "allow-credentials": "endpoint.cors",
    "allowed-methods": "endpoint.cors",
    "allowed-headers": "endpoint.cors",
    "root-path": "endpoint.host and endpoint.port",
    "ssl-keyfile": "a TLS proxy in front of the endpoint",
    "ssl-certfile": "a TLS proxy in front of the endpoint",
    "config": "the options themselves, here under engine",
    "headless": "strategy: multi-node",
    "nnodes": "strategy: multi-node",
    "node-rank": "strategy: multi-node",
    "master-addr": "strategy: multi-node",
    "master-port": "strategy: multi-node",
    "data-parallel-size": "replicas",
    "data-parallel-rank": "replicas",
}

# Names of variables that hold secrets, as tools that read them have it.
SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$|SECRET|PASSWORD", re.I)


def read_engine(raw: Mapping[str, Any], tree: Tree) -> EngineSpec:
    """Checks every key. Raises: SpecError with the place, the nearest option and the field to use."""
    kind = raw.get("kind", "vllm")
    if kind not in ("vllm", "simulated"):
        raise _error(
            tree,
            "kind",
            f"engine.kind is {shown(kind)}",
            "it is none of vllm, simulated",
            "write `kind: vllm`, or leave it out",
        )
    version = read_version(raw, tree)
    release = vllm.nearest_release(version)
    options: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in OURS:
            options[_checked(key, value, release, tree, options)] = value
    _check_names(options, release, tree)
    return EngineSpec(
        kind=kind,
        version=version,
        image=_image(raw.get("image"), tree),
        env=_env(raw.get("env"), tree),
        options=options,
        simulate=_table(raw.get("simulate"), "simulate", tree),
    )


def _checked(key: str, value: Any, release: vllm.Release, tree: Tree, seen: Mapping[str, Any]) -> str:
    name = key.lstrip("-")
    if name.replace("_", "-") in WRITTEN:
        use = WRITTEN[name.replace("_", "-")]
        raise _error(tree, key, f"Stoker writes {name!r} itself", "one place for each value", f"use {use}")
    option = release.option(name)
    if option is None:
        raise _no_option(key, release, tree)
    if option.name in WRITTEN:
        raise _error(
            tree,
            key,
            f"Stoker writes {option.name!r} itself",
            "one place for each value",
            f"use {WRITTEN[option.name]}",
        )
    if option.name in seen:
        raise _error(
            tree,
            key,
            f"the option {option.name!r} stands twice",
            f"{key!r} is another name of it",
            "keep one",
        )
    if (why_not := option.check(value)) is not None:
        raise _error(
            tree,
            key,
            f"engine.{key} is {shown(value)}",
            why_not,
            fix_of_option(key, option),
        )
    return option.name


# An option that brings names of its own.
_PLUGINS = {"tool-call-parser": "tool-parser-plugin", "reasoning-parser": "reasoning-parser-plugin"}


def _check_names(options: Mapping[str, Any], release: vllm.Release, tree: Tree) -> None:
    """Raises: SpecError, for a parser or quantization that the release has not, and no plugin brings."""
    for name in ("tool-call-parser", "reasoning-parser", "quantization"):
        value, names = options.get(name), release.names_of(name)
        if value in (None, "", *names) or _PLUGINS.get(name) in options or not isinstance(value, str):
            continue
        near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
        why = f"vLLM {release.version} has {', '.join(names)}"
        raise _error(tree, name, f"engine.{name} is {shown(value)}", why, ", ".join(near) or "one of those")


def _no_option(key: str, release: vllm.Release, tree: Tree) -> SpecError:
    """Of a name that the release has not: what became of it, else the option that it may be meant for."""
    name = key.lstrip("-").replace("_", "-")
    plain = name.removeprefix("no-")
    if plain != name and release.option(plain) is not None:
        why = "a flag's `no-` form is written as false here"
        return _error(tree, key, f"engine.{key} is no option's name", why, f"write `{plain}: false`")
    for gone in changes.missing("option", [name, plain], release.version):
        what = f"engine.{key} is no option of vLLM {release.version}"
        return _error(tree, key, what, gone.why(release.version), gone.fix)
    near = release.nearest(name)
    why = f"vLLM {release.version} has no such option"
    fix = near or "see `vllm serve --help=all`"
    return _error(tree, key, f"unknown option {shown(key)} in engine", why, fix)


def _image(value: Any, tree: Tree) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= 512 and re.fullmatch(IMAGE, value)):
        return value
    why = "expected an image's name, such as vllm/vllm-openai:v0.32.0"
    raise _error(
        tree,
        "image",
        f"engine.image is {shown(value)}",
        why,
        "write `image: vllm/vllm-openai:v0.32.0`, or leave it out",
    )


def _env(value: Any, tree: Tree) -> dict[str, str]:
    table = _table(value, "env", tree)
    for key, text in table.items():
        if not VARIABLE.fullmatch(key):
            raise _error(
                tree,
                "env",
                f"engine.env: {shown(key)} is no variable's name",
                "letters, digits and _ make one",
                "write one such as `MY_VARIABLE: value`, or leave it out",
            )
        if not isinstance(text, str):
            raise _error(
                tree,
                "env",
                f"engine.env.{key} is {shown(text)}",
                "an environment variable is text",
                f"write `{key}: text`, or leave it out",
            )
        if SECRET.search(key):
            raise _error(
                tree,
                "env",
                f"engine.env.{key} would hold a secret in plain sight",
                "the file, the manifests and every listing of the command show it",
                "model.token: env:NAME for the hub's; on this machine, the environment of `stoker up`; in a "
                "cluster, workload identity",
            )
    return table


def _table(value: Any, key: str, tree: Tree) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _error(
            tree,
            key,
            f"engine.{key} is {shown(value)}",
            "expected a table of names and values",
            f"write `{key}: {{NAME: value}}`, or leave it out",
        )
    return value


def _error(tree: Tree, key: str, what: str, why: str, fix: str) -> SpecError:
    return SpecError(what, at=str(tree.place(("engine", key))), why=why, fix=fix, rule="spec-engine")
