"""Findings as SARIF 2.1.0, which code review tools read.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import re
from collections.abc import Sequence
from typing import Any

from stoker.findings import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PLACE = re.compile(r"(.+?):(\d+)(?::(\d+))?$")


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """One run; `version` is Stoker's own. A finding without a place is a result without a location."""
    rules = list(dict.fromkeys(one.rule or "stoker" for one in findings))
    driver = {
        "name": "stoker",
        "version": version,
        "informationUri": "https://github.com/stoker-ai/stoker",
        "rules": [{"id": rule} for rule in rules],
    }
    results = [_result(one, rules.index(one.rule or "stoker")) for one in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


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
