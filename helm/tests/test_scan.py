"""A scanner of others' making (checkov) looks at what every values file renders to. What it finds is mended, or stands below with
the reason why it stays."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml
from support import CASES, render, tool

# The check, the kind that it may be found in, and the reason.
EXCEPTIONS = [
    ("CKV_K8S_11", "StatefulSet", "no CPU limits: a throttled stage slows every request that passes through it"),
    ("CKV_K8S_11", "DaemonSet", "as for StatefulSets"),
    ("CKV_K8S_11", "Pod", "as for StatefulSets; the test's one request is short"),
    ("CKV_K8S_15", "StatefulSet", "image.pullPolicy is the user's; a digest or a tag that stays needs no Always"),
    ("CKV_K8S_15", "DaemonSet", "as for StatefulSets"),
    ("CKV_K8S_15", "Pod", "as for StatefulSets"),
    ("CKV_K8S_43", "StatefulSet", "the images are the user's own; image.digest pins them, as production-values.yaml does"),
    ("CKV_K8S_43", "DaemonSet", "as for StatefulSets"),
    ("CKV_K8S_43", "Pod", "tests.image takes a digest too"),
    ("CKV_K8S_8", "Pod", "the test's container ends by itself within tests.timeoutSeconds"),
    ("CKV_K8S_9", "Pod", "nobody sends the test's container anything"),
]


class Scan(unittest.TestCase):
    def test_what_the_scanner_finds_is_excused_below_and_every_excuse_is_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            for case in CASES:
                (Path(folder) / case.name).write_text(yaml.safe_dump_all(render("--values", case)))
            command = [tool("checkov"), "--directory", folder, "--framework", "kubernetes", "--output", "json"]
            done = subprocess.run([*command, "--skip-download", "--quiet"], capture_output=True, text=True, cwd=folder)
        report = json.loads(done.stdout)
        self.assertGreater(report["summary"]["passed"], 500)
        self.assertEqual(report["summary"]["parsing_errors"], 0)
        found = {(one["check_id"], one["resource"].split(".")[0]) for one in report["results"]["failed_checks"]}
        excused = {(check, kind) for check, kind, _ in EXCEPTIONS}
        self.assertEqual(found - excused, set())
        self.assertEqual(excused - found, set(), "leave out what is excused for nothing")


if __name__ == "__main__":
    unittest.main()
