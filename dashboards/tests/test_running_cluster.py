"""A real Prometheus scrapes a small cluster under load, and every panel of every dashboard has something to show."""

import json
import math
import re
import tempfile
import time
import unittest

from cluster import Cluster, Prometheus, binaries, tools, until
from files import DASHBOARDS, RULES, dashboards, expressions

# Queries that may find nothing while all is well, with the reason.
MAY_BE_EMPTY = {
    ("overview", "Alerts"): "nothing is wrong",
    **{(name, "annotation Alerts firing"): "nothing is wrong" for name in dashboards()},
}

# What Grafana would put in for a dashboard that is opened now, for a cluster that is as young as this one.
VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    "$before": "5s",
    "$job": ".+",
    "$worker": ".+",
    "$src": ".+",
    "$dst": ".+",
}


def filled_in(expr):
    for name, value in VARIABLES.items():
        expr = re.sub(re.escape(name) + r"\b", value, expr)
    assert "$" not in expr, f"a variable is left: {expr}"
    return expr


def numbers(result):
    return [value for one in result if not math.isnan(value := float(one["value"][1]))]


class RunningCluster(unittest.TestCase):
    def test_every_panel_has_data_every_rule_works_and_a_lost_worker_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            with (
                Cluster(folder, binaries()) as cluster,
                Prometheus(folder, tools(), cluster.targets(), RULES) as prometheus,
            ):
                self.prometheus = prometheus
                try:
                    until("some answers", lambda: (prometheus.number('weir_requests_total{outcome="ok"}') or 0) > 20)
                    cluster.change_policy()
                    self.every_query_finds_something()
                    self.every_choice_has_values()
                    self.every_rule_works()
                    self.every_alert_reads_well()
                    cluster.processes.kill("attic")
                    self.alerts_wait("WeirWorkerLost", "WeirTargetDown")
                except BaseException:
                    print(cluster.processes.logs())
                    raise

    def every_query_finds_something(self):
        """At some time: a mark of a re-plan passes."""
        there = [
            ((name, panel), filled_in(expr))
            for name, dashboard in dashboards().items()
            for panel, expr in expressions(dashboard)
        ]
        missing = [one for one in there if one[0] not in MAY_BE_EMPTY]
        deadline = time.monotonic() + 25
        while missing and time.monotonic() < deadline:
            missing = [(where, query) for where, query in missing if not numbers(self.prometheus.query(query))]
            time.sleep(1)
        self.assertEqual([], missing, "these found nothing")
        for where, query in there:
            if where in MAY_BE_EMPTY:
                # It is one that Prometheus understands, at least.
                self.prometheus.query(query)

    def every_choice_has_values(self):
        for name, dashboard in dashboards().items():
            for variable in dashboard["templating"]["list"]:
                if variable["type"] == "query":
                    with self.subTest(dashboard=name, variable=variable["name"]):
                        series, label = re.fullmatch(
                            r"label_values\((.+), (\w+)\)", variable["query"]["query"]
                        ).groups()
                        values = self.prometheus.api(f"label/{label}/values", **{"match[]": filled_in(series)})
                        self.assertTrue(values)

    def rules(self):
        return [rule for group in self.prometheus.api("rules")["groups"] for rule in group["rules"]]

    def every_rule_works(self):
        for rule in self.rules():
            with self.subTest(rule=rule["name"]):
                self.assertEqual(("ok", ""), (rule["health"], rule.get("lastError", "")))
                if rule["type"] == "recording":
                    self.comes(rule["name"])
        self.assertEqual([], self.prometheus.query('ALERTS{alertstate="firing"}'))

    def every_alert_reads_well(self):
        """Texts are templates that Prometheus fills in only when an alert fires: a second set of them fires at once."""
        labels = "0.5 * weir_worker_trusted"
        for label in ["src", "dst", "reason"]:
            labels = f'label_replace({labels}, "{label}", "some-{label}", "", "")'
        rules = [
            {"alert": f"Read{rule['name']}", "expr": labels, "annotations": rule["annotations"]}
            for rule in self.rules()
            if rule["type"] == "alerting"
        ]
        self.prometheus.add_rules({"groups": [{"name": "read", "rules": rules}]})
        firing = until("all alerts", lambda: self.all_read(len(rules)), patience=20)
        for alert in firing:
            with self.subTest(alert=alert["labels"]["alertname"]):
                text = json.dumps(alert["annotations"])
                self.assertNotRegex(text, "error expanding|no value|{{|}}|NaN|%!")

    def all_read(self, count):
        alerts = [
            alert
            for alert in self.prometheus.api("alerts")["alerts"]
            if alert["labels"]["alertname"].startswith("Read")
        ]
        return alerts if len({alert["labels"]["alertname"] for alert in alerts}) == count else None

    def alerts_wait(self, *names):
        for name in names:
            self.comes(f'ALERTS{{alertname="{name}"}}')

    def comes(self, query):
        until(query, lambda: numbers(self.prometheus.query(query)), patience=20)


class Provisioning(unittest.TestCase):
    def test_compose_mounts_what_is_there_and_pins_what_it_runs(self):
        text = (DASHBOARDS / "compose.yaml").read_text()
        mounted = [DASHBOARDS / path for path in re.findall(r"^ +- (\.[^:]*):", text, re.MULTILINE)]
        self.assertEqual(4, len(mounted))
        for path in mounted:
            # Only the list of targets is made, by watch.py.
            self.assertTrue(path.exists() or path == DASHBOARDS / "../target/dashboards", path)
        images = re.findall(r"^ +image: (\S+)$", text, re.MULTILINE)
        for image in images:
            self.assertRegex(image, r":v?\d+\.\d+\.\d+$")
        home = re.search(r"HOME_DASHBOARD_PATH: /var/lib/grafana/dashboards/(\S+)", text)[1]
        self.assertTrue((DASHBOARDS / "grafana" / home).exists())
        self.assertIn(
            "path: /var/lib/grafana/dashboards\n",
            (DASHBOARDS / "provisioning/grafana/dashboards/weir.yaml").read_text(),
        )


if __name__ == "__main__":
    unittest.main()
