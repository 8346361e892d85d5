"""The few shapes of panels that the dashboards are made of, as Grafana's JSON.

A dashboard's own file says what is asked, why, and in which unit; all that is the same everywhere is said here once.
Always true: every selector of a Weir metric is limited to the jobs chosen above the dashboard, every panel takes its data
source from there too, and a panel without data says why (`none`).
"""

import re

SCHEMA_VERSION = 39  # Grafana 11; later ones migrate it.
TAG = "weir"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
HEIGHTS = {"stat": 4, "row": 1}

GREEN, YELLOW, RED, BLUE = "green", "orange", "red", "blue"
IDLE = "No request in this time range, so there is nothing to measure."
RULES = "Needs the rules of dashboards/prometheus in Prometheus, and requests."

# Names of Weir's metrics and recording rules, with the labels asked for.
SELECTOR = re.compile(r"\b((?:[a-z]+:)?weir[_:][a-z0-9_:]+)(?:\{([^}]*)\})?")
# A statement about the whole service, which belongs to no job.
JOBLESS = "weir:objective:"


def scoped(expr):
    """The expression, on one line, limited to the jobs chosen above the dashboard."""

    def limit(match):
        name, labels = match.groups()
        if name.startswith(JOBLESS):
            return match.group(0)
        labels = f", {labels}" if labels else ""
        return f'{name}{{job=~"$job"{labels}}}'

    return SELECTOR.sub(limit, " ".join(expr.split()))


def of_worker(expr):
    """An expression over a worker's own series, which are known by their instance, with the worker's name."""
    return f"{expr} * on (job, instance) group_left (worker) group by (job, instance, worker) (weir_worker_energy_joules_total)"


def good_below(warn, bad):
    """Small is good."""
    return [(None, GREEN), (warn, YELLOW), (bad, RED)]


def good_above(bad, warn):
    """Large is good."""
    return [(None, RED), (bad, YELLOW), (warn, GREEN)]


PLAIN = [(None, BLUE)]


def _steps(thresholds):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in thresholds]}


def _targets(queries, **more):
    letters = "ABCDEFGH"
    return [
        {"refId": letters[i], "datasource": DATASOURCE, "expr": scoped(expr), "legendFormat": legend, **more}
        for i, (legend, expr) in enumerate(queries.items())
    ]


def _panel(kind, title, why, unit, queries, *, none, thresholds=PLAIN, custom=None, options=None, limits=(None, None),
           decimals=None, width=None, colors=None, names=None, opens=None, instant=False):  # fmt: skip
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": _steps(thresholds), "noValue": none}
    low, high = limits
    for key, value in [("min", low), ("max", high), ("decimals", decimals), ("custom", custom)]:
        if value is not None:
            defaults[key] = value
    if names:
        mapping = {str(value): {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(names.items())}
        defaults["mappings"] = [{"type": "value", "options": mapping}]
    if opens:
        defaults["links"] = [{"title": opens[0], "url": opens[1], "targetBlank": False}]
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for name, color in (colors or {}).items()
    ]
    kind_of_query = {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    return {
        "type": kind,
        "title": title,
        "description": " ".join(why.split()),
        "datasource": DATASOURCE,
        "gridPos": {"w": width},
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options or {},
        "targets": _targets(queries, **kind_of_query),
    }


def _last(values=False):
    return {"calcs": ["lastNotNull"], "fields": "", "values": values}


def stat(title, why, unit, expr, *, thresholds=PLAIN, legend="", none=IDLE, width=4, **more):
    """One figure as it is now."""
    options = {
        "reduceOptions": _last(),
        "textMode": "value_and_name" if legend else "value",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
    }
    return _panel("stat", title, why, unit, {legend: expr}, none=none, thresholds=thresholds, options=options, width=width,
                  instant=True, **more)  # fmt: skip


def series(title, why, unit, queries, *, stack=False, line=None, steps=False, none=IDLE, width=12, limits=(0, None), **more):
    """Figures over time. A `line` marks where good ends."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if steps else "linear",
        "lineWidth": 1,
        "fillOpacity": 25 if stack else 8,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if line is None else "dashed"},
    }
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    thresholds = PLAIN if line is None else [(None, GREEN), (line, RED)]
    panel = _panel("timeseries", title, why, unit, queries, none=none, thresholds=thresholds, custom=custom, options=options,
                   limits=limits, width=width, **more)  # fmt: skip
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}
    return panel


def bars(title, why, unit, queries, *, thresholds=PLAIN, none=IDLE, width=12, limits=(0, None), **more):
    """What is now, side by side."""
    options = {
        "reduceOptions": _last(),
        "orientation": "horizontal",
        "displayMode": "gradient",
        "valueMode": "color",
        "showUnfilled": True,
        "minVizWidth": 8,
        "minVizHeight": 16,
    }
    return _panel("bargauge", title, why, unit, queries, none=none, thresholds=thresholds, options=options, limits=limits,
                  width=width, instant=True, **more)  # fmt: skip


def heatmap(title, why, unit, expr, *, none=IDLE, width=12):
    """How values spread, by the buckets of a histogram."""
    options = {
        "calculate": False,
        "yAxis": {"axisPlacement": "left", "unit": unit},
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "rowsFrame": {"layout": "auto"},
        "filterValues": {"le": 1e-9},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
    }
    panel = _panel("heatmap", title, why, unit, {"{{le}}": expr}, none=none, options=options, width=width)
    panel["targets"][0]["format"] = "heatmap"
    return panel


def states(title, why, queries, names, *, none, width=24, **more):
    """Which state something was in, over time."""
    custom = {"fillOpacity": 80, "lineWidth": 0}
    options = {
        "showValue": "never",
        "rowHeight": 0.8,
        "mergeValues": True,
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", title, why, "none", queries, none=none, names=names, custom=custom, options=options,
                  width=width, **more)  # fmt: skip


def table(title, why, unit, columns, *, key, none, units=None, width=24, **more):
    """One row for each value of the labels `key`, one column for each query."""
    panel = _panel("table", title, why, unit, columns, none=none, width=width, instant=True,
                   options={"showHeader": True, "cellHeight": "sm"}, **more)  # fmt: skip
    for target in panel["targets"]:
        target["format"] = "table"
    several = len(columns) > 1
    values = {(f"Value #{target['refId']}" if several else "Value"): target["legendFormat"] for target in panel["targets"]}
    keep = {**{label: i for i, label in enumerate(key)}, **{value: len(key) + i for i, value in enumerate(values)}}
    panel["transformations"] = [{"id": "merge", "options": {}}] if several else []
    panel["transformations"] += [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(keep)}}},
        {"id": "organize", "options": {"excludeByName": {}, "indexByName": keep, "renameByName": values}},
    ]
    panel["fieldConfig"]["overrides"] += [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit_of}]}
        for name, unit_of in (units or {}).items()
    ]
    return panel


def row(title):
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


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
    return {"type": "custom", "name": name, "label": label, "description": why, "query": ",".join(values), "options": options,
            "current": current, "multi": False, "includeAll": False}  # fmt: skip


JOB = variable(
    "job", "Job", "label_values(weir_build_info, job)", "The jobs of Prometheus that scrape a cluster's orchestrator and workers."
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
    datasource = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
                  "description": "The Prometheus that scrapes Weir.", "options": [], "current": {}, "multi": False,
                  "includeAll": False, "regex": ""}  # fmt: skip
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
