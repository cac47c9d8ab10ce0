"""What a file is, told by its text: an object, a dashboard, a spec, or something else by its name."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal

from stoker.advise.lint.reading import read
from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.spec.models import SpecFile

Form = Literal[
    "manifest", "spec", "helm", "compose", "values", "chart", "model config", "workflow", "rules",
    "kustomization", "patch", "template", "other",
]  # fmt: skip
_KIND = re.compile(r"""^[ \t]{0,8}(?:-[ ]+)?["']?(?:apiVersion|kind|seriesQuery)["']?[ \t]*:""", re.M)
_FLOW = re.compile(r"""["']?(?:apiVersion|kind)["']?[ \t]*:[ \t]*["']?[A-Za-z]""")
_TEMPLATE = re.compile(
    r"\{\{-?\s*(?:\.|\$|include|if|range|with|toYaml|define|template|end|tpl|default|printf|/\*|else)"
)
# Where a value or a line is a template's word: no text that happens to hold braces.
_FILLING = re.compile(
    r"(?m)^[ \t]*[\w.-]+:[ \t]*\{\{-?[ \t]*[.$a-z]"
    r"|^[ \t]*\{\{-?[ \t]*(?:if|range|with|include|define|end|else|toYaml)\b"
)
_MODEL = ("model_type", "architectures", "num_hidden_layers", "hidden_size")  # of a config.json alone
FEW = 3  # keys, of which each has to be a spec's, or nearly one
SPEC = frozenset(SpecFile.model_fields)
_TELLING = ("model", "hardware", "engine", "scaling")  # what a spec has, or meant to have
_NAMED = re.compile(r"\.(?:tftpl|tpl|tmpl|template|j2|jinja2?|erb|gotmpl)\b")


def is_manifest(text: str) -> bool:
    """Whether a file holds Kubernetes objects, or rules of an adapter or of Prometheus, rather than a spec;
    one that holds nothing may have been meant as some."""
    if _bare(text):
        return True
    start = text.lstrip()[:1]
    return bool(_KIND.search(text)) or (start == "{" and bool(_FLOW.search(text[:4_000])))


def _bare(text: str) -> bool:
    return not "".join(line.partition("#")[0].strip("-. ") for line in text.splitlines()[:2_000])


def is_template(text: str) -> bool:
    """Whether a text is a Helm template: it is no YAML before it is rendered."""
    return bool(_TEMPLATE.search(text))


def form(name: str, text: str, asked: bool = True) -> Form:
    """What a file is. asked: whether it was named by itself, so that it may have been meant as a spec."""
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    if _NAMED.search(base):
        return "template"
    if is_template(text) and not _whole(text, name):
        return "helm"
    if base in ("chart.yaml", "chart.yml", "chart.lock"):
        return "chart"
    if "values" not in base and is_manifest(text):
        return "manifest"
    body = _body(text, name)
    if "values" in base and not (body and set(body) <= SPEC):
        return "manifest" if _KIND.search(text) else "values"
    return _told(base, body, asked)


def _told(base: str, body: Mapping[str, Any] | None, asked: bool) -> Form:
    if body is None:
        return "spec" if asked else "other"  # a spec's reader says best what is wrong
    if "" in body:
        operations = [one for one in body[""] if isinstance(one, dict) and "op" in one and "path" in one]
        return "patch" if operations else "other"
    keys = set(body)
    if isinstance(body.get("services"), dict) and not keys & {"model", "hardware"}:
        return "compose"
    if isinstance(body.get("groups"), list):
        return "rules"
    if "jobs" in keys and keys & {"on", "name", "true"}:
        return "workflow"
    if any(name in keys for name in _MODEL) and not isinstance(body.get("model"), str | dict):
        return "model config"
    if "stoker" in base or (
        _like(keys, asked)
        and not keys & {"servingEngineSpec", "routerSpec", "image", "modelArtifacts", "nameOverride"}
    ):
        return "spec"
    values = keys & {"servingEngineSpec", "routerSpec", "modelArtifacts", "nameOverride"}
    return "values" if values or "global" in keys else "other"


def _like(keys: set[str], asked: bool) -> bool:
    """Whether a spec's own keys are among them, or ones that were meant so."""
    if not asked:
        return "model" in keys and len(keys & SPEC) * 2 > len(keys)
    near = any(difflib.get_close_matches(one, _TELLING, 1, 0.8) for one in list(keys)[:40])
    few = 0 < len(keys) <= FEW and all(difflib.get_close_matches(one, SPEC, 1, 0.8) for one in keys)
    return near or few or len(keys & SPEC) > 1


def _whole(text: str, name: str) -> bool:
    """Whether a text with braces is YAML all the same, as in an alert's description."""
    found, broken = read(text, name)
    return not broken and bool(found) and not _FILLING.search(text)


def _body(text: str, name: str) -> Mapping[str, Any] | None:
    """The first document; None where it is no map."""
    found, _ = read(text, name, patch=True)
    return found[0].body if found else None


_CHART = "`helm template CHART | stoker lint -`"
_WORDS: Mapping[str, tuple[str, str, str]] = {
    "helm": ("a Helm template", "it is no YAML before it is rendered", _CHART),
    "chart": ("a chart's own description", "it holds no object", _CHART),
    "values": ("a chart's values", "what they mean is the chart's own", _CHART),
    "compose": ("a compose file", "only objects of a cluster are", "an object, or the engine's own word"),
    "model config": ("a model's config.json", "it is read with its weights", "`stoker plan` with its folder"),
    "workflow": ("a workflow of a CI", "it holds no object", "leave it out"),
    "template": ("a template of another tool", "it is no object before it is filled in", "its result"),
    "patch": ("a JSON patch", "what it changes is not in it", "the folder of its kustomization"),
    "kustomization": ("a kustomization", "it is read with its files", "the whole folder"),
    "other": ("none of what lint knows", "no object, dashboard, rules or spec is in it", "leave it out"),
}  # fmt: skip


def named(form: Form, file: str) -> Finding:
    """The note on a file that is not checked."""
    what, why, instead = _WORDS[form]
    return rule("lint-not-read", "file").finding(f"{file}:1:1", what=what, why=why, instead=instead)
