"""Findings as SARIF 2.1.0, which code review tools read.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from stoker.catalog import rules
from stoker.findings import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PLACE = re.compile(r"(.+?):(\d+)(?::(\d+))?$")


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """One run; `version` is Stoker's own. A finding without a place is a result without a location."""
    ids = list(dict.fromkeys(one.rule or "stoker" for one in findings))
    driver = {
        "name": "stoker",
        "version": version,
        "informationUri": "https://github.com/stoker-ai/stoker",
        "rules": [_rule(id) for id in ids],
    }
    results = [_result(one, ids.index(one.rule or "stoker")) for one in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(id: str) -> dict[str, Any]:
    """A rule with its texts, where it is one of the catalog's; those of errors have an id alone."""
    if not (found := rules.variants(id)):
        return {"id": id}
    return {
        "id": id,
        "shortDescription": {"text": rules.meaning(id)},
        "fullDescription": {"text": ". ".join(_once(one.why for one in found)) or rules.meaning(id)},
        "help": {"text": "\n".join(_once(one.fix for one in found)) or rules.meaning(id)},
        "defaultConfiguration": {"level": found[0].severity},
        "properties": {"scope": found[0].scope, "source": found[0].source},
    }


def _once(texts: Iterable[str]) -> list[str]:
    """Each text of its variants once, as it is told of no case."""
    return list(dict.fromkeys(rules.blank(text) for text in texts if text))


def _result(one: Finding, index: int) -> dict[str, Any]:
    text = ". ".join(part for part in (one.what, one.why, f"Fix: {one.fix}" if one.fix else "") if part)
    out: dict[str, Any] = {
        "ruleId": one.rule or "stoker",
        "ruleIndex": index,
        "level": one.severity,
        "message": {"text": text},
    }
    if match := _PLACE.match(one.at):
        region = {"startLine": max(1, int(match[2]))} | ({"startColumn": int(match[3])} if match[3] else {})
        place = {"artifactLocation": {"uri": match[1].replace("\\", "/")}, "region": region}
        out["locations"] = [{"physicalLocation": place}]
    return out
