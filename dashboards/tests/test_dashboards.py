"""The dashboards as files: what a person may rely on in each of them."""

import json
import re
import unittest

from files import DASHBOARDS, MATCHER, SCRAPED, SELECTOR, dashboards, expressions, metrics, panels, records, rules_text
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

import generate  # which `files` has put on the path

# Metrics that are on no dashboard and in no rule, with the reason.
NOT_SHOWN = {}

# Variables that Grafana itself fills in.
BUILT_IN = {"__rate_interval", "__range", "__url_time_range", "__field", "__all"}

UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}


def lost(before, after, path=""):
    """What is in the first document and not the same in the second."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after[key], f"{path}.{key}") if key in after else [f"{path}.{key}"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{i}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def links(dashboard):
    """Addresses that a click leads to."""
    return re.findall(r'"url": "(/[^"]*)"', json.dumps(dashboard))


def panel_legends(panel):
    return [target["legendFormat"] for target in panel["targets"]]


class EveryDashboard(unittest.TestCase):
    def each(self, check):
        for name, dashboard in dashboards().items():
            with self.subTest(dashboard=name):
                check(dashboard)

    def each_panel(self, check):
        def of(dashboard):
            for panel in panels(dashboard):
                with self.subTest(panel=panel["title"]):
                    check(panel)

        self.each(of)

    def test_is_what_its_source_gives(self):
        self.assertEqual([], [str(path) for path in generate.stale()], "run dashboards/generate.py")

    def test_says_only_what_grafana_knows(self):
        """Grafana Labs' own types drop what they do not know: nothing may be lost on the way through them."""
        register_default_plugins()

        def check(dashboard):
            back = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
            self.assertEqual([], list(lost(dashboard, back)))

        self.each(check)

    def test_answers_one_question_and_leads_to_the_others(self):
        def check(dashboard):
            self.assertTrue(dashboard["description"].endswith("?"))
            self.assertEqual(["weir"], dashboard["tags"])
            self.assertEqual(["weir"], dashboard["links"][0]["tags"])
            self.assertFalse(dashboard["editable"])
            self.assertNotIn("id", dashboard)

        self.each(check)
        names = list(dashboards())
        self.assertEqual(len(names), len({dashboard["uid"] for dashboard in dashboards().values()}))
        readme = (DASHBOARDS / "README.md").read_text()
        for name, dashboard in dashboards().items():
            self.assertIn(f"| {name} | {dashboard['description']} |", readme)

    def test_links_lead_somewhere_and_pass_variables_that_are_there(self):
        known = {dashboard["uid"]: dashboard for dashboard in dashboards().values()}

        def check(dashboard):
            for url in links(dashboard):
                uid, _, query = url.removeprefix("/d/").partition("?")
                self.assertIn(uid, known, url)
                there = {variable["name"] for variable in known[uid]["templating"]["list"]}
                self.assertLessEqual(set(re.findall(r"var-(\w+)=", query)), there, url)

        self.each(check)

    def test_uses_only_variables_that_it_has(self):
        def check(dashboard):
            there = {variable["name"] for variable in dashboard["templating"]["list"]} | BUILT_IN
            used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
            self.assertEqual(set(), used - there)
            # One that changes nothing would be a lie.
            self.assertEqual(set(), there - BUILT_IN - used)

        self.each(check)

    def test_panels_do_not_overlap_and_fill_each_row(self):
        def check(dashboard):
            taken = set()
            for panel in dashboard["panels"]:
                place = panel["gridPos"]
                cells = {
                    (x, y)
                    for x in range(place["x"], place["x"] + place["w"])
                    for y in range(place["y"], place["y"] + place["h"])
                }
                self.assertEqual(set(), cells & taken, panel["title"])
                taken |= cells
            width, height = (max(cell[i] for cell in taken) + 1 for i in (0, 1))
            self.assertEqual((24, 24 * height), (width, len(taken)))
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            titles = [panel["title"] for panel in dashboard["panels"]]
            self.assertEqual(len(titles), len(set(titles)))

        self.each(check)

    def test_panel_is_explained_and_has_a_unit_that_grafana_knows(self):
        def check(panel):
            defaults = panel["fieldConfig"]["defaults"]
            self.assertTrue(panel["title"])
            self.assertTrue(panel["description"].endswith("."), "the description is a sentence")
            self.assertIn(defaults["unit"], UNITS)
            self.assertTrue(defaults["noValue"], "says why there may be nothing to see")
            for text in [panel["title"], panel["description"], defaults["noValue"], *panel_legends(panel)]:
                self.assertEqual(" ".join(text.split()), text)
            if panel["type"] == "stat":
                self.assertLessEqual(len(defaults["noValue"]), 40, "Grafana would write it too small to be read")
            self.assertEqual(None, defaults["thresholds"]["steps"][0]["value"])

        self.each_panel(check)

    def test_panel_takes_the_data_source_from_above(self):
        wanted = {"type": "prometheus", "uid": "${datasource}"}

        def check(panel):
            self.assertEqual(wanted, panel["datasource"])
            refs = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(refs), len(set(refs)))
            for target in panel["targets"]:
                self.assertEqual(wanted, target["datasource"])

        self.each_panel(check)


class EveryQuery(unittest.TestCase):
    def each(self, check):
        for name, dashboard in dashboards().items():
            for panel, expr in expressions(dashboard):
                for metric, matchers in SELECTOR.findall(expr):
                    with self.subTest(dashboard=name, panel=panel, metric=metric):
                        check(metric, matchers, expr)

    def test_names_metrics_and_labels_that_there_are(self):
        known, recorded = metrics(), set(records())

        def check(metric, matchers, _):
            if metric not in recorded:
                self.assertIn(metric, known, "neither in docs/metrics.md nor a recording rule")
                self.assertLessEqual(set(MATCHER.findall(matchers)), known[metric] | SCRAPED)

        self.each(check)

    def test_is_limited_to_the_chosen_jobs(self):
        def check(metric, matchers, _):
            if not metric.startswith("weir:objective:"):
                self.assertIn('job=~"$job"', matchers)

        self.each(check)

    def test_rates_follow_the_zoom(self):
        for name, dashboard in dashboards().items():
            for panel, expr in expressions(dashboard):
                with self.subTest(dashboard=name, panel=panel):
                    self.assertLessEqual(set(re.findall(r"\[([^\]]+)\]", expr)), {"$__rate_interval", "$__range"})

    def test_every_metric_is_shown_or_there_is_a_reason(self):
        texts = [expr for dashboard in dashboards().values() for _, expr in expressions(dashboard)] + [rules_text()]
        queries = [
            query["query"]["query"]
            for dashboard in dashboards().values()
            for query in dashboard["templating"]["list"]
            if query["type"] == "query"
        ]
        used = {name for text in texts + queries for name, _ in SELECTOR.findall(text)}
        shown = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
        wanted = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics()}
        remedy = "draw it in dashboards/source, or say in NOT_SHOWN why not"
        self.assertEqual(set(NOT_SHOWN), wanted - shown, remedy)


if __name__ == "__main__":
    unittest.main()
