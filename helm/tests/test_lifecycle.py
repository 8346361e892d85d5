"""Real Helm against an emulated API server: install, upgrade, roll back, uninstall, and what the cluster holds after each."""

import base64
import subprocess
import tempfile
import unittest
from pathlib import Path

from kube_api import KubeApi
from support import CHART, NAMESPACE, RELEASE, binary, helm, tool

VERSION = "1.33"
FILES = ("ca.crt", "tls.crt", "tls.key")
FULL = f"{RELEASE}-weir"
AUTHORITY, MAIN, WORKER = f"{FULL}-authority", f"{FULL}-orchestrator-tls", f"{FULL}-worker-0-tls"


class Lifecycle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.api = self.enterContext(KubeApi(VERSION))
        self.api.put("v1", "configmaps", NAMESPACE, "kube-root-ca.crt", data={"ca.crt": ""})
        config = self.folder / "kubeconfig"
        config.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
            f"clusters: [{{name: here, cluster: {{server: {self.api.url}}}}}]\n"
            "users: [{name: here, user: {}}]\ncontexts: [{name: here, context: {cluster: here, user: here}}]\n"
        )
        # Helm and its client library keep files about what they have seen.
        self.environment = {"KUBECONFIG": str(config), "HOME": str(self.folder)}

    def helm(self, verb, *arguments, check=True):
        # Validity is checked strictly in test_render.py; the emulator has no schema to offer.
        extra = ["--disable-openapi-validation"] if verb in ("install", "upgrade") else []
        return helm(verb, RELEASE, *arguments, "--namespace", NAMESPACE, *extra, environment=self.environment, check=check)

    def secret(self, name):
        found = self.api.get("v1", "secrets", NAMESPACE, name)
        return found and {key: base64.b64decode(text) for key, text in found["data"].items()}

    def pool(self, name="worker"):
        return self.api.get("apps/v1", "statefulsets", NAMESPACE, f"{FULL}-{name}")

    def mine(self):
        """What is stored apart from Helm's own records and what was there before."""
        names = {(plural, name) for _, plural, _, name in self.api.objects}
        return {(p, n) for p, n in names if not n.startswith("sh.helm.release") and n != "kube-root-ca.crt"}

    def test_install_upgrade_rollback_uninstall(self):
        self.helm("install", CHART)
        authority, worker = self.secret(AUTHORITY), self.secret(WORKER)
        template = self.pool()["spec"]["template"]["metadata"]
        self.assertEqual(worker["ca.crt"], authority["tls.crt"])
        self.assertEqual(self.pool()["spec"]["replicas"], 3)

        # Two more workers: two more certificates of the same authority, and no other key changes.
        self.helm("upgrade", CHART, "--set", "workers.pools.worker.replicas=5")
        self.assertEqual((self.secret(AUTHORITY), self.secret(WORKER)), (authority, worker))
        newest = self.secret(f"{FULL}-worker-4-tls")
        self.assertEqual(newest["ca.crt"], authority["tls.crt"])
        self.assertEqual(self.pool()["spec"]["replicas"], 5)
        self.assertEqual(self.pool()["spec"]["template"]["metadata"], template)

        self.helm("rollback", "1")
        self.assertEqual((self.secret(AUTHORITY), self.secret(WORKER)), (authority, worker))
        self.assertEqual(self.pool()["spec"]["replicas"], 3)
        self.assertIsNone(self.secret(f"{FULL}-worker-4-tls"))

        self.helm("uninstall")
        self.assertEqual(self.mine(), {("secrets", AUTHORITY)}, "only the authority is left")

        # The same name again goes on with the authority that is there.
        self.helm("install", CHART)
        self.assertEqual(self.secret(AUTHORITY), authority)
        self.assertEqual(self.secret(WORKER)["ca.crt"], authority["tls.crt"])

    def test_scaling_up_to_the_certificates_that_are_there_restarts_nobody(self):
        self.helm("install", CHART, "--set", "workers.pools.worker.replicas=2,workers.pools.worker.certificates=4")
        before = self.pool()["spec"]["template"]
        self.helm("upgrade", CHART, "--set", "workers.pools.worker.replicas=4,workers.pools.worker.certificates=4")
        self.assertEqual(self.pool()["spec"]["replicas"], 4)
        self.assertEqual(self.pool()["spec"]["template"], before)

    def test_certificates_are_made_anew_when_asked_and_when_old_and_nobody_restarts(self):
        self.helm("install", CHART)
        pods = lambda: [self.pool(name)["spec"]["template"] for name in ("worker", "orchestrator")]
        before = pods()
        authority, first = self.secret(AUTHORITY), self.secret(WORKER)
        self.helm("upgrade", CHART, "--set", "tls.generate.rotation=june")
        second = self.secret(WORKER)
        self.assertNotEqual(first["tls.key"], second["tls.key"])
        self.assertEqual(self.secret(AUTHORITY), authority)
        self.helm("upgrade", CHART, "--set", "tls.generate.rotation=june")
        self.assertEqual(self.secret(WORKER), second)

        # As if it had been made long ago.
        stored = self.api.get("v1", "secrets", NAMESPACE, WORKER)
        stored["metadata"]["annotations"]["weir.internal/issued-at"] = "1000000000"
        others = self.secret(MAIN)
        self.helm("upgrade", CHART, "--set", "tls.generate.rotation=june")
        self.assertNotEqual(self.secret(WORKER), second)
        self.assertEqual(self.secret(MAIN), others)
        self.assertEqual(pods(), before)

    def test_an_authority_is_replaced_by_way_of_both(self):
        """As docs/kubernetes.md says it, with an authority made by `weir certs`."""
        subprocess.run([binary("weir"), "certs", "--out", self.folder / "new"], check=True, capture_output=True)
        made = {file: (self.folder / "new/ca" / file).read_bytes() for file in ("ca.crt", "ca.key")}
        self.helm("install", CHART)
        old, first = self.secret(AUTHORITY)["tls.crt"], self.secret(WORKER)
        trust = lambda file: self.helm("upgrade", CHART, "--set-file", f"tls.generate.alsoTrust={file}")

        trust(self.folder / "new/ca/ca.crt")
        self.assertEqual(self.secret(WORKER), first | {"ca.crt": old + made["ca.crt"]})

        (self.folder / "old.crt").write_bytes(old)
        stored = self.api.get("v1", "secrets", NAMESPACE, AUTHORITY)
        stored["data"] = {
            "tls.crt": base64.b64encode(made["ca.crt"]).decode(), "tls.key": base64.b64encode(made["ca.key"]).decode()
        }
        trust(self.folder / "old.crt")
        second = self.secret(WORKER)
        self.assertNotEqual(second["tls.key"], first["tls.key"])
        self.assertEqual(second["ca.crt"], made["ca.crt"] + old)

        self.helm("upgrade", CHART, "--set", "tls.generate.alsoTrust=")
        self.assertEqual(self.secret(WORKER), second | {"ca.crt": made["ca.crt"]})
        for file, content in self.secret(WORKER).items():
            (self.folder / file).write_bytes(content)
        subprocess.run(
            ["openssl", "verify", "-x509_strict", "-CAfile", "ca.crt", "tls.crt"], cwd=self.folder, check=True, capture_output=True
        )

    def test_certificates_say_who_their_holder_is(self):
        self.helm("install", CHART, "--set", "orchestrator.name=kitchen")
        for secret, name in (
            (MAIN, "kitchen.orchestrator.weir.internal"),
            (WORKER, f"{FULL}-worker-0.worker.weir.internal"),
        ):
            for file, content in self.secret(secret).items():
                (self.folder / file).write_bytes(content)
            openssl = lambda *arguments: subprocess.run(
                ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=True
            ).stdout
            openssl("verify", "-x509_strict", "-CAfile", "ca.crt", "tls.crt")
            text = openssl("x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName,extendedKeyUsage")
            self.assertIn(f"DNS:{name}\n", text)
            self.assertIn("NIST CURVE: P-256", openssl("x509", "-in", "tls.crt", "-noout", "-text"))
            self.assertIn("TLS Web Server Authentication, TLS Web Client Authentication", text)

    def test_missing_secrets_are_named_and_nothing_is_changed(self):
        mode = ["--set", "tls.mode=existingSecret", "--set", "workers.pools.worker.replicas=2"]
        done = self.helm("install", CHART, *mode, check=False)
        self.assertIn(f"tls.existingSecret.orchestrator: there is no Secret {MAIN} in namespace {NAMESPACE}", done.stderr)
        self.assertEqual(self.mine(), set())

        data = {file: base64.b64encode(b"x").decode() for file in FILES}
        self.api.put("v1", "secrets", NAMESPACE, MAIN, data=data)
        self.api.put("v1", "secrets", NAMESPACE, WORKER, data=data)
        self.api.put("v1", "secrets", NAMESPACE, f"{FULL}-worker-1-tls", data={"tls.crt": "eA==", "tls.key": "eA=="})
        done = self.helm("install", CHART, *mode, check=False)
        self.assertIn(f"the Secret {FULL}-worker-1-tls has no ca.crt", done.stderr)

        self.api.put("v1", "secrets", NAMESPACE, f"{FULL}-worker-1-tls", data=data)
        self.helm("install", CHART, *mode)
        given = self.api.get("v1", "secrets", NAMESPACE, MAIN)
        self.helm("uninstall")
        self.assertEqual(self.api.get("v1", "secrets", NAMESPACE, MAIN), given, "what others made stays")

    def test_an_upgrade_that_is_refused_changes_nothing(self):
        self.helm("install", CHART)
        before, changes = dict(self.api.objects), len(self.api.changes)
        done = self.helm("upgrade", CHART, "--set", "orchestrator.replicas=2", check=False)
        self.assertIn("orchestrator: Additional property replicas", done.stderr)
        self.assertEqual((dict(self.api.objects), len(self.api.changes)), (before, changes))

    def test_every_change_of_settings_can_be_rolled_out(self):
        """No setting but those of volumes touches what cannot be changed about a StatefulSet."""
        self.helm("install", CHART)
        for settings in (
            "workers.pools.worker.threads=2,image.tag=v2",
            "tls.mode=certManager",
            "network.arch=resnet56,orchestrator.firstWorkers=2,commonLabels.team=vision",
            "workers.pools.worker.hostSysfs=true,workers.pools.worker.certificates=7",
            "workers.pools.attic.replicas=1,serviceMonitor.enabled=true,dashboards.enabled=true,prometheusRule.enabled=true",
        ):
            with self.subTest(settings):
                self.helm("upgrade", CHART, "--set", settings)
        self.helm("rollback", "1")

    def test_a_packaged_chart_installs_too(self):
        helm("package", CHART, "--destination", self.folder)
        self.helm("install", next(self.folder.glob("weir-*.tgz")), "--set", "dashboards.enabled=true")
        dashboards = [name for plural, name in self.mine() if plural == "configmaps"]
        self.assertTrue(dashboards)


if __name__ == "__main__":
    tool("helm")
    unittest.main()
