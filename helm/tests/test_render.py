"""Every values file of helm/weir/ci renders to objects that Kubernetes takes, in the oldest and the newest release."""

import json
import re
import tempfile
import unittest
import warnings

import jsonschema
import kubernetes_validate
import yaml
from support import CASES, CHART, KUBERNETES, RELEASE, ROOT, find, helm, render, template

# Kinds that no schema of Kubernetes describes, with the fields that their own documents know.
CUSTOM = {
    "Issuer": {"selfSigned", "ca"},
    "Certificate": {
        "isCA", "commonName", "secretName", "dnsNames", "duration", "renewBefore", "usages", "privateKey", "issuerRef",
    },
    "ServiceMonitor": {"jobLabel", "selector", "endpoints"},
    "PrometheusRule": {"groups"},
}  # fmt: skip


class Render(unittest.TestCase):
    def test_lint_is_strict_and_silent(self):
        for case in CASES:
            with self.subTest(case.name):
                done = helm("lint", "--strict", CHART, "--values", case)
                self.assertNotIn("[WARNING]", done.stdout)

    def test_every_object_is_strictly_valid(self):
        for version in KUBERNETES:
            for case in CASES:
                objects = render("--values", case, version=version)
                identities = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
                self.assertEqual(len(identities), len(set(identities)), "no object twice")
                for one in objects:
                    with self.subTest(case=case.name, version=version, kind=one["kind"], name=one["metadata"]["name"]):
                        self.check(one, version)

    def check(self, one, version):
        self.assertEqual(one["metadata"]["labels"]["app.kubernetes.io/instance"], RELEASE)
        self.assertTrue(one["metadata"]["namespace"])
        if one["kind"] in CUSTOM:
            self.assertLessEqual(set(one["spec"]), CUSTOM[one["kind"]])
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kubernetes_validate.validate(one, version, strict=True)

    def test_what_is_selected_is_there(self):
        for case in CASES:
            objects = render("--values", case)
            pods = [one["spec"]["template"] for one in objects if one["kind"] in ("StatefulSet", "DaemonSet")]
            pods += find(objects, "Pod")
            labels = [pod["metadata"]["labels"] for pod in pods]
            selectors = [(one, one["spec"]["selector"]) for one in find(objects, "Service")]
            selectors += [(one, one["spec"]["selector"]["matchLabels"]) for one in find(objects, "PodDisruptionBudget")]
            selectors += [(one, one["spec"]["podSelector"]["matchLabels"]) for one in find(objects, "NetworkPolicy")]
            for one, selector in selectors:
                with self.subTest(case=case.name, kind=one["kind"], name=one["metadata"]["name"]):
                    chosen = [pod for pod in labels if selector.items() <= pod.items()]
                    self.assertTrue(chosen, f"{selector} selects nothing")

    def test_pods_are_restricted(self):
        """The Pod Security Standard `restricted`, and a root file system that cannot be written."""
        for case in CASES:
            objects = render("--values", case)
            specs = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in ("StatefulSet", "DaemonSet")]
            specs += [one["spec"] for one in find(objects, "Pod")]
            for spec in specs:
                with self.subTest(case.name):
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    self.assertFalse(spec["automountServiceAccountToken"])
                    for container in spec["containers"]:
                        context = container["securityContext"]
                        self.assertTrue(context["readOnlyRootFilesystem"])
                        self.assertFalse(context["allowPrivilegeEscalation"])
                        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    volumes = {volume["name"] for volume in spec.get("volumes", []) if "hostPath" in volume}
                    self.assertLessEqual(volumes, {"host-sys"})

    def test_dashboards_and_rules_are_those_of_the_repository(self):
        """One copy of each: the chart reaches them by links, which packaging follows."""
        self.assertEqual((CHART / "files/dashboards").resolve(), ROOT / "dashboards/grafana")
        self.assertEqual((CHART / "files/rules").resolve(), ROOT / "dashboards/prometheus")
        objects = render("--set", "dashboards.enabled=true", "--set", "prometheusRule.enabled=true")
        carried = {}
        for one in find(objects, "ConfigMap"):
            self.assertEqual(one["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertLess(len(json.dumps(one)), 1 << 20, "a ConfigMap holds at most 1 MiB")
            carried.update(one["data"])
        theirs = {path.name: path.read_text() for path in (ROOT / "dashboards/grafana").glob("*.json")}
        self.assertTrue(theirs)
        self.assertEqual({name: json.loads(text) for name, text in carried.items()}, {n: json.loads(t) for n, t in theirs.items()})
        groups = [group for one in find(objects, "PrometheusRule") for group in one["spec"]["groups"]]
        files = sorted((ROOT / "dashboards/prometheus").glob("*.yaml"))
        self.assertEqual(groups, [group for path in files for group in yaml.safe_load(path.read_text())["groups"]])

    def test_large_numbers_are_written_with_all_digits(self):
        """Helm reads the numbers of a values file as floats, and writes large ones like 1e+06 where nobody prevents it."""
        values = {
            "orchestrator": {"maxInFlight": 2000000, "deadlineMs": 3000000},
            "tls": {"mode": "csi", "csi": {"issuerRef": {"name": "private"}}},
            "workers": {"pools": {"worker": {"memoryLimitBytes": 8589934592}}},
            "security": {"pod": {key: 1000660000 for key in ("runAsUser", "runAsGroup", "fsGroup")}},
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            objects = render("--values", file.name)
        self.assertNotRegex(json.dumps(objects), r"\de\+\d\d")
        for one in find(objects, "StatefulSet"):
            self.check(one, KUBERNETES[-1])

    def test_the_examples_of_the_docs_render(self):
        text = (ROOT / "docs/kubernetes.md").read_text()
        keys = set(yaml.safe_load((CHART / "values.yaml").read_text()))
        blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        ours = [block for block in blocks if set(yaml.safe_load(block)) <= keys]
        self.assertGreaterEqual(len(ours), 3)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
            for block in ours:
                values.truncate(0)
                values.seek(0)
                values.write(block)
                values.flush()
                with self.subTest(block):
                    template("--values", values.name)
        for document in (text, (ROOT / "README.md").read_text()):
            for command in re.findall(r"^helm install home helm/weir (.*?)(?: *#.*)?$", document, re.MULTILINE):
                settings = [word for word in command.split() if word not in ("--create-namespace",)]
                with self.subTest(command):
                    template(*settings)

    def test_the_schema_describes_every_value_and_no_other(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        values = yaml.safe_load((CHART / "values.yaml").read_text())

        def described(node):
            while True:
                if "$ref" in node:
                    node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
                elif "allOf" in node:
                    node = node["allOf"][0]
                else:
                    return node

        def walk(node, value, path):
            node = described(node)
            if not isinstance(value, dict) or "properties" not in node:
                return
            self.assertIs(node.get("additionalProperties"), False, path)
            self.assertLessEqual(set(value), set(node["properties"]), path)
            for key, inner in value.items():
                walk(node["properties"][key], inner, f"{path}.{key}")

        walk(schema, values, "values")
        self.assertEqual(set(schema["properties"]) - {"global"}, set(values))
        self.assertEqual(set(schema["definitions"]["pool"]["properties"]), set(values["workers"]["defaults"]))


if __name__ == "__main__":
    unittest.main()
