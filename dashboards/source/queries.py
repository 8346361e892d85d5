"""What every query has in common.

Always true: every selector of a Weir metric is limited to the jobs chosen above the dashboard.
"""

import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

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


def of_worker(expr, chosen=""):
    """An expression over workers' own series, which are known by their instance, with the worker's name."""
    name = f"group by (job, instance, worker) (weir_worker_energy_joules_total{chosen})"
    return f"{expr} * on (job, instance) group_left (worker) {name}"
