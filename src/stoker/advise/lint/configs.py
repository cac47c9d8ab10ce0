"""Texts inside of ConfigMaps: dashboards and rules that a sidecar hands on."""

from collections.abc import Iterator
from dataclasses import replace

from stoker.advise.lint.dashboards import is_dashboard, lint_dashboard
from stoker.advise.lint.expressions import rules as named
from stoker.advise.lint.reading import Manifest, read
from stoker.advise.lint.values import table
from stoker.catalog import vllm
from stoker.findings import Finding


def rules(one: Manifest) -> Iterator[Finding]:
    """Metrics in the texts of a ConfigMap."""
    if one.kind != "ConfigMap":
        return
    for key, text in table(one.get("data")).items():
        if not isinstance(text, str) or "vllm" not in text:
            continue
        at = one.at("data", key)
        if is_dashboard(text):
            yield from (replace(found, at=at) for found in lint_dashboard(one.file, text, vllm.DEFAULT))
        elif "expr:" in text:
            inner, _ = read(text, one.file)
            for each in inner:
                yield from (replace(found, at=at) for found in named(each))
