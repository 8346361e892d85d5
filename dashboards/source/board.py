"""A whole dashboard: its choices, its marks, its links to the others, and its panels in rows."""

from queries import DATASOURCE, scoped

SCHEMA_VERSION = 39  # Grafana 11; later ones migrate it.
TAG = "weir"
WIDTH = 24
HEIGHTS = {"stat": 4, "row": 1}


def variable(name, label, query, why):
    """A choice above the dashboard, from what Prometheus knows; all at first."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": why,
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "Variable"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def spans(name, label, values, why):
    """A choice of a span of time; the first at first."""
    options = [{"text": value, "value": value, "selected": i == 0} for i, value in enumerate(values)]
    current = {key: options[0][key] for key in ("text", "value")}
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "description": why,
        "query": ",".join(values),
        "options": options,
        "current": current,
        "multi": False,
        "includeAll": False,
    }


JOB = variable(
    "job",
    "Job",
    "label_values(weir_build_info, job)",
    "The jobs of Prometheus that scrape a cluster's orchestrator and workers.",
)
WORKER = variable("worker", "Worker", scoped("label_values(weir_worker_trusted, worker)"), "Workers by their names.")
SRC = variable("src", "From", scoped("label_values(weir_link_believed_up, src)"), "Senders of links.")
DST = variable("dst", "To", scoped('label_values(weir_link_believed_up{src=~"$src"}, dst)'), "Receivers of links.")

ANNOTATIONS = [
    {
        "builtIn": 1,
        "name": "Annotations & Alerts",
        "type": "dashboard",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
    },
    {
        # The value is the moment itself, so the mark is exact however seldom Prometheus scrapes.
        "name": "Plans committed",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": scoped("1000 * (weir_plan_last_committed_timestamp_seconds > 0)"),
        "useValueForTime": True,
        "step": "15s",
        "titleFormat": "plan committed",
        "textFormat": "by {{instance}}",
        "tagKeys": "job",
    },
    {
        "name": "Reasons of re-plans",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": scoped("sum by (reason, kind) (increase(weir_replans_total[$__rate_interval])) > 0"),
        "useValueForTime": False,
        "step": "15s",
        "titleFormat": "re-plan: {{reason}}",
        "textFormat": "{{kind}}",
        "tagKeys": "reason,kind",
    },
    {
        "name": "Alerts firing",
        "datasource": DATASOURCE,
        "enable": False,
        "iconColor": "red",
        "expr": 'max by (alertname, severity) (ALERTS{alertname=~"Weir.+", alertstate="firing"})',
        "useValueForTime": False,
        "step": "15s",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
        "tagKeys": "severity",
    },
]


def open_dashboard(name, title, *choices):
    """A link from a value to the dashboard of that name, which shows what belongs to the value's labels."""
    chosen = "".join(f"&var-{choice}=${{__field.labels.{choice}}}" for choice in choices)
    return title, f"/d/weir-{name}?${{__url_time_range}}&${{datasource:queryparam}}&${{job:queryparam}}{chosen}"


def _placed(rows):
    """Panels from left to right and from top to bottom, with ids in that order."""
    panels, y = [], 0
    for line in rows:
        line = line if isinstance(line, list) else [line]
        x = 0
        height = max(HEIGHTS.get(panel["type"], 8) for panel in line)
        for panel in line:
            width = panel.get("gridPos", {}).get("w") or WIDTH
            panels.append({"id": len(panels) + 1, **panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x += width
        assert x == WIDTH, f"the row of {line[0]['title']!r} is {x} wide, not {WIDTH}"
        y += height
    return panels


def dashboard(name, title, question, rows, variables=(), since="now-1h"):
    """A whole dashboard. It answers one question."""
    datasource = {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "description": "The Prometheus that scrapes Weir.",
        "options": [],
        "current": {},
        "multi": False,
        "includeAll": False,
        "regex": "",
    }
    return {
        "uid": f"weir-{name}",
        "title": f"Weir / {title}",
        "description": question,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "annotations": {"list": ANNOTATIONS},
        "links": [
            {
                "type": "dashboards",
                "title": "Weir",
                "tags": [TAG],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": [datasource, JOB, *variables]},
        "panels": _placed(rows),
    }
