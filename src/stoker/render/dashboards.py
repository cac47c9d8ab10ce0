"""The same panels for Grafana and for Cloud Monitoring, each in its own JSON, so that no importer is needed.

Sources: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model,
https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards
"""

import hashlib
import json
import re
from typing import Any

from stoker.render.panels import RATE, Panel, Scope, panels

WIDTH, HEIGHT, COLUMNS = 8, 8, 3
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_PLOTS = {"lines": "LINE", "stacked": "STACKED_AREA", "heatmap": "HEATMAP"}
_UNITS = {
    "s": "s",
    "percentunit": "10^2.%",
    "percent": "%",
    "reqps": "1/s",
    "celsius": "Cel",
    "watt": "W",
    "decbytes": "By",
}


def grafana(scope: Scope) -> str:
    """A dashboard to import; its `uid` names the fleet, so that a second import replaces it."""
    out: list[dict[str, Any]] = []
    y = 0
    for row, members in _rows(scope):
        out.append(
            {
                "type": "row",
                "title": row,
                "id": len(out) + 1,
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
                "collapsed": False,
                "panels": [],
            }
        )
        y += 1
        for n, panel in enumerate(members):
            place = {"x": n % COLUMNS * WIDTH, "y": y + n // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            out.append(_grafana_panel(panel, len(out) + 1, place))
        y += -(-len(members) // COLUMNS) * HEIGHT
    body = {
        "uid": _uid(scope),
        "title": _title(scope),
        "tags": ["stoker", "vllm"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": out,
    }
    return json.dumps(body, indent=2) + "\n"


def _rows(scope: Scope) -> list[tuple[str, list[Panel]]]:
    rows: dict[str, list[Panel]] = {}
    for panel in panels(scope):
        rows.setdefault(panel.row, []).append(panel)
    return list(rows.items())


def _grafana_panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    heat = panel.kind == "heatmap"
    custom: dict[str, Any] = {"fillOpacity": 30 if panel.kind == "stacked" else 5, "showPoints": "never"}
    if panel.kind == "stacked":
        custom["stacking"] = {"mode": "normal"}
    out: dict[str, Any] = {
        "id": number,
        "title": panel.title,
        "type": "heatmap" if heat else "timeseries",
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(65 + n),
                "datasource": SOURCE,
                "expr": query.expr.replace(RATE, "$__rate_interval"),
                "legendFormat": query.legend,
                **({"format": "heatmap"} if heat else {}),
            }
            for n, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {} if heat else custom},
            "overrides": [],
        },
        "options": {"yAxis": {"unit": "short"}, "calculate": False}
        if heat
        else {"legend": {"displayMode": "list"}, "tooltip": {"mode": "multi"}},
    }
    return out | ({"description": panel.about} if panel.about else {})


def cloud(scope: Scope) -> str:
    """A dashboard for `gcloud monitoring dashboards create --config-from-file`."""
    tiles: list[dict[str, Any]] = []
    y = 0
    for _, members in _rows(scope):
        for n, panel in enumerate(members):
            place = {"xPos": n % COLUMNS * 16, "yPos": y + n // COLUMNS * 16, "width": 16, "height": 16}
            tiles.append({**place, "widget": _cloud_panel(panel, scope)})
        y += -(-len(members) // COLUMNS) * 16
    body = {
        "displayName": _title(scope),
        "labels": {"stoker": ""},
        "mosaicLayout": {"columns": 48, "tiles": tiles},
    }
    return json.dumps(body, indent=2) + "\n"


def _title(scope: Scope) -> str:
    return f"{scope.fleet}{f' in {scope.namespace}' if scope.namespace else ''} (vLLM)"


def _uid(scope: Scope) -> str:
    """Forty characters at most: of a long name its beginning, and what tells it from others."""
    name = "-".join(part for part in ("stoker", scope.namespace, scope.fleet) if part)
    return name if len(name) <= 40 else f"{name[:31]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _heatmap(panel: Panel, scope: Scope) -> dict[str, Any]:
    """A distribution over time, which only a filter gives: a query has numbers for values."""
    family = re.search(r"vllm:\w+(?=_bucket)", panel.queries[0].expr)
    assert family is not None
    wanted = [
        f'metric.type="prometheus.googleapis.com/{family[0]}/histogram"',
        'resource.type="prometheus_target"',
        f'metric.label.fleet="{scope.fleet}"',
        *([f'resource.label.namespace="{scope.namespace}"'] if scope.namespace else []),
    ]
    summed = {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_DELTA",
        "crossSeriesReducer": "REDUCE_SUM",
    }
    found = {"filter": " ".join(wanted), "aggregation": summed}
    data = {"timeSeriesQuery": {"timeSeriesFilter": found}, "plotType": "HEATMAP", "targetAxis": "Y1"}
    return {"title": panel.title, "xyChart": {"dataSets": [data], "yAxis": {"scale": "LINEAR"}}}


def _cloud_panel(panel: Panel, scope: Scope) -> dict[str, Any]:
    if panel.kind == "heatmap":
        return _heatmap(panel, scope)
    sets = [
        {
            "timeSeriesQuery": {
                "prometheusQuery": query.expr.replace(RATE, "${__interval}"),
                **({"unitOverride": _UNITS[panel.unit]} if panel.unit in _UNITS else {}),
            },
            "plotType": _PLOTS[panel.kind],
            **({"legendTemplate": query.legend} if query.legend and "{{" not in query.legend else {}),
            "targetAxis": "Y1",
        }
        for query in panel.queries
    ]
    return {"title": panel.title, "xyChart": {"dataSets": sets, "yAxis": {"scale": "LINEAR"}}}
