"""The dashboards, rules and documents of the repository, as the tests read them."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "dashboards"
RULES = sorted((DASHBOARDS / "prometheus").glob("*.yaml"))
RULE_TESTS = sorted((DASHBOARDS / "prometheus/tests").glob("*.yaml"))
RUNBOOK = ROOT / "docs/runbook.md"

sys.path.insert(0, str(DASHBOARDS))

# A name of Weir's, and what its selector asks of labels. A recording rule's has a colon.
SELECTOR = re.compile(r"\b((?:[a-z]+:)?weir[_:][a-z0-9_:]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
# What Prometheus gives every series that it scrapes, and what it needs for histograms.
SCRAPED = {"job", "instance", "namespace", "le"}


def dashboards():
    """Each dashboard by its file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((DASHBOARDS / "grafana").glob("*.json"))}


def panels(dashboard):
    """All panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard):
    """Every query of a dashboard with where it is."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield f"annotation {annotation['name']}", annotation["expr"]


def metrics():
    """Every series of docs/metrics.md with its labels."""
    row = re.compile(r"^\| `(weir_\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)
    found = {}
    for name, kind, labels in row.findall((ROOT / "docs/metrics.md").read_text()):
        suffixes = ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]
        found |= {name + suffix: set(re.findall(r"`(\w+)`", labels)) for suffix in suffixes}
    return found


def rules_text():
    return "\n".join(path.read_text() for path in RULES)


def alerts():
    return re.findall(r"^ *- alert: (\w+)$", rules_text(), re.MULTILINE)


def records():
    return re.findall(r"^ *- record: (\S+)$", rules_text(), re.MULTILINE)
