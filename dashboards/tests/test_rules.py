"""Recording and alerting rules: promtool's opinion, and a runbook for every alert."""

import re
import subprocess
import unittest

from cluster import tools
from files import (
    DASHBOARDS,
    MATCHER,
    RULE_TESTS,
    RULES,
    RUNBOOK,
    SCRAPED,
    SELECTOR,
    alerts,
    dashboards,
    expressions,
    metrics,
    panels,
    records,
    rules_text,
)


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run([tools() / "promtool", *arguments], capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_promtool_accepts_them(self):
        self.promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)

    def test_promtool_accepts_the_configuration(self):
        self.assertIn(
            "2 rule files found", self.promtool("check", "config", DASHBOARDS / "provisioning/prometheus.yaml")
        )

    def test_rule_tests_pass(self):
        self.promtool("test", "rules", *RULE_TESTS)

    def test_a_rule_test_fires_each_alert(self):
        text = "\n".join(path.read_text() for path in RULE_TESTS)
        # Labels of a sample that must be there.
        samples = re.findall(r"labels: 'ALERTS\{([^}]*)\}'", text)
        fired = {re.search('alertname="(\\w+)"', labels)[1] for labels in samples if 'alertstate="firing"' in labels}
        self.assertEqual(set(), set(alerts()) - fired)

    def test_each_alert_says_what_and_how_bad(self):
        for rule in re.split(r"^ *- alert: ", rules_text(), flags=re.MULTILINE)[1:]:
            name = rule.split()[0]
            with self.subTest(alert=name):
                self.assertRegex(name, "^Weir[A-Z]")
                self.assertRegex(rule, r"\n +for: \d+[mh]\n")
                self.assertRegex(rule, r"\n +labels: \{ severity: (critical|warning|info) \}\n")
                self.assertRegex(rule, r"\n +summary: '.+'\n")
                self.assertRegex(rule, r"\n +description: ")
                self.assertIn(f"\n          runbook_url: docs/runbook.md#{name.lower()}\n", rule + "\n")

    def test_the_runbook_has_a_section_for_each_alert_in_the_same_order(self):
        text = RUNBOOK.read_text()
        self.assertEqual(alerts(), re.findall(r"^### (Weir\w+)$", text, re.MULTILINE))
        for section in re.split("^### ", text, flags=re.MULTILINE)[1:]:
            section = re.split("^## ", section, flags=re.MULTILINE)[0]
            with self.subTest(section=section.split()[0]):
                for part in ["**Means.**", "**Look.**", "**Do.**"]:
                    self.assertIn(part, section)

    def test_panels_that_texts_send_people_to_are_there(self):
        titles = {panel["title"] for dashboard in dashboards().values() for panel in panels(dashboard)}
        titles |= {dashboard["title"] for dashboard in dashboards().values()}
        text = RUNBOOK.read_text() + re.sub(r"#.*|summary:.*", "", rules_text())
        named = {" ".join(name.split()) for name in re.findall(r'"([A-Z][^"]+)"', text)}
        self.assertGreater(len(named), 20)
        self.assertEqual(set(), named - titles)
        anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)}
        self.assertEqual(set(), set(re.findall(r"\(#([^)]*)\)", RUNBOOK.read_text())) - anchors)

    def test_they_name_metrics_and_labels_that_there_are(self):
        known, recorded = metrics(), set(records())
        lines = [
            line for line in rules_text().splitlines() if not line.strip().startswith(("#", "summary:", "description:"))
        ]
        for name, matchers in SELECTOR.findall("\n".join(lines)):
            with self.subTest(metric=name):
                self.assertIn(name, known.keys() | recorded)
                self.assertLessEqual(set(MATCHER.findall(matchers)), known.get(name, set()) | SCRAPED)

    def test_each_recorded_figure_is_used(self):
        drawn = "\n".join(expr for dashboard in dashboards().values() for _, expr in expressions(dashboard))
        text = drawn + re.sub(r"- record: \S+", "", rules_text())
        self.assertEqual([], [name for name in records() if name not in text])


if __name__ == "__main__":
    unittest.main()
