"""A Prometheus of one's own beside a fleet of this machine: what it scrapes, and its rules."""

from typing import Any

import yaml

from stoker.render.panels import Scope
from stoker.render.rules import AlertObjectives, groups

RULES = "rules.yaml"


def prometheus(scope: Scope, targets: str) -> str:
    """The configuration. targets: the file in which the fleet keeps its replicas' addresses up to date."""
    body: dict[str, Any] = {
        "global": {"scrape_interval": "5s", "evaluation_interval": "15s"},
        "rule_files": [RULES],
        "scrape_configs": [
            {
                "job_name": f"stoker-{scope.fleet}",
                "file_sd_configs": [{"files": [targets], "refresh_interval": "5s"}],
            }
        ],
    }
    return f"# prometheus --config.file=prometheus.yaml\n{yaml.safe_dump(body, sort_keys=False, width=120)}"


def rules(scope: Scope, promise: AlertObjectives) -> str:
    """The rules as Prometheus reads them from a file."""
    return yaml.safe_dump({"groups": groups(scope, promise)}, sort_keys=False, width=1000)
