"""The few shapes of panels that the dashboards are made of, as Grafana's JSON.

A dashboard's own file says what is asked, why, and in which unit; all that is the same everywhere is said here once.
Always true: a panel takes its data source from above the dashboard, and one without data says why (`none`).
"""

from queries import DATASOURCE, scoped

GREEN, YELLOW, RED, BLUE = "green", "orange", "red", "blue"
IDLE = "No request in this time range."
RULES = "Needs the rules, and requests."


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


def _panel(
    kind,
    title,
    why,
    unit,
    queries,
    *,
    none,
    thresholds=PLAIN,
    custom=None,
    options=None,
    limits=(None, None),
    decimals=None,
    width=None,
    colors=None,
    names=None,
    opens=None,
    instant=False,
):
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": _steps(thresholds), "noValue": none}
    low, high = limits
    for key, value in [("min", low), ("max", high), ("decimals", decimals), ("custom", custom)]:
        if value is not None:
            defaults[key] = value
    if names:
        mapping = {
            str(value): {"text": text, "color": color, "index": i}
            for i, (value, (text, color)) in enumerate(names.items())
        }
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
    return _panel(
        "stat",
        title,
        why,
        unit,
        {legend: expr},
        none=none,
        thresholds=thresholds,
        options=options,
        width=width,
        instant=True,
        **more,
    )


def series(
    title, why, unit, queries, *, stack=False, line=None, steps=False, none=IDLE, width=12, limits=(0, None), **more
):
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
    panel = _panel(
        "timeseries",
        title,
        why,
        unit,
        queries,
        none=none,
        thresholds=thresholds,
        custom=custom,
        options=options,
        limits=limits,
        width=width,
        **more,
    )
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
    return _panel(
        "bargauge",
        title,
        why,
        unit,
        queries,
        none=none,
        thresholds=thresholds,
        options=options,
        limits=limits,
        width=width,
        instant=True,
        **more,
    )


def heatmap(title, why, unit, expr, *, none=IDLE, width=12):
    """How values spread, by the buckets of a histogram."""
    options = {
        "calculate": False,
        "yAxis": {"axisPlacement": "left", "unit": unit},
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
        },
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
    return _panel(
        "state-timeline",
        title,
        why,
        "none",
        queries,
        none=none,
        names=names,
        custom=custom,
        options=options,
        width=width,
        **more,
    )


def table(title, why, unit, columns, *, key, none, units=None, width=24, **more):
    """One row for each value of the labels `key`, one column for each query."""
    panel = _panel(
        "table",
        title,
        why,
        unit,
        columns,
        none=none,
        width=width,
        instant=True,
        options={"showHeader": True, "cellHeight": "sm"},
        **more,
    )
    for target in panel["targets"]:
        target["format"] = "table"
    several = len(columns) > 1
    values = {
        (f"Value #{target['refId']}" if several else "Value"): target["legendFormat"] for target in panel["targets"]
    }
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
