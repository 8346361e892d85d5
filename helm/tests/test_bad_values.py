"""Values that cannot be meant are refused before anything is changed, with a message that names the field."""

import unittest
from concurrent.futures import ThreadPoolExecutor

from support import template

# What is set, and what the message must name.
SCHEMA = [
    (["workers.pools.worker.replica=4"], "workers.pools.worker: Additional property replica"),
    (["worker.replicas=4"], "Additional property worker is not allowed"),
    (["workers.pools.Edge_1.replicas=4"], "workers.pools: Additional property Edge_1"),
    (["workers.pools.worker.replicas=-1"], "workers.pools.worker.replicas"),
    (["workers.pools.worker.replicas=many"], "workers.pools.worker.replicas"),
    (["workers.pools.worker.kind=Deployment"], "workers.pools.worker.kind"),
    (["workers.pools.worker.threads=0"], "workers.pools.worker.threads"),
    (["workers.pools.worker.power.idleWatts=2"], "workers.pools.worker.power: maxWatts is required"),
    (["workers.pools.worker.power.idleWatts=-2", "workers.pools.worker.power.maxWatts=3"], "power.idleWatts"),
    (["workers.defaults.power.budgetWatts=0"], "workers.defaults.power.budgetWatts"),
    (["workers.defaults.radio.joulesPerByteSent=2"], "workers.defaults.radio.joulesPerByteSent"),
    (["workers.defaults.reportPeriodMs=5"], "workers.defaults.reportPeriodMs"),
    (["workers.defaults.memoryLimitBytes=1Gi"], "workers.defaults.memoryLimitBytes"),
    (["workers.defaults.cache.size=big"], "workers.defaults.cache.size"),
    (["workers.defaults.podDisruptionBudget.maxUnavailable=half"], "podDisruptionBudget.maxUnavailable"),
    (["workers.defaults.extraArgs={threads}"], "workers.defaults.extraArgs.0"),
    (["network.arch=vgg16"], "network.arch"),
    (["network.weights=weights.safetensors"], "network.weights"),
    (["orchestrator.name=Main"], "orchestrator.name"),
    (["orchestrator.maxBatch=0"], "orchestrator.maxBatch"),
    (["orchestrator.planner=clever"], "orchestrator.planner"),
    (["orchestrator.image.digest=sha256:12"], "orchestrator.image.digest"),
    (["orchestrator.replicas=2"], "orchestrator: Additional property replicas"),
    (["orchestrator.service.port=99999"], "orchestrator.service.port"),
    (["orchestrator.persistence.accessModes={ReadOnlyMany}"], "orchestrator.persistence.accessModes.0"),
    (["orchestrator.admin.tokens.secret=Weir_Tokens"], "orchestrator.admin.tokens.secret"),
    (["orchestrator.admin.tokens.token=hunter2"], "orchestrator.admin.tokens: Additional property token"),
    (["tls.mode=none"], "tls.mode"),
    (["tls.generate.alsoTrust=ca.crt"], "tls.generate.alsoTrust"),
    (["tls.certManager.issuerRef.kind=issuer"], "tls.certManager.issuerRef.kind"),
    (["tls.certManager.duration=90d"], "tls.certManager.duration"),
    (["fullnameOverride=" + "x" * 40], "fullnameOverride"),
    (["ipFamily=6"], "ipFamily"),
    (["congestion=reno"], "congestion"),
    (["log.format=xml"], "log.format"),
    (["networkPolicy.inferenceFrom[0].pods=all"], "networkPolicy.inferenceFrom.0: Additional property pods"),
    (["serviceMonitor.interval=15"], "serviceMonitor.interval"),
    (["security.container.privileged=true"], "security.container: Additional property privileged"),
    (["image.pullPolicy=Sometimes"], "image.pullPolicy"),
]

# What no schema can say; each message begins with the field and tells what to do.
MEANING = [
    (
        ["orchestrator.admin.tokens.secret=t", "orchestrator.admin.tokens.adminKey=", "orchestrator.admin.tokens.viewerKey="],
        "orchestrator.admin.tokens.adminKey: it and viewerKey are empty",
    ),
    (
        ["orchestrator.admin.tokens.secret=t", "orchestrator.admin.tokens.viewerKey=admin"],
        "orchestrator.admin.tokens.viewerKey: it is the same as adminKey",
    ),
    (["workers.pools.worker=null"], "workers.pools: there is no pool"),
    (["workers.pools.orchestrator.replicas=1"], "workers.pools.orchestrator: that name is taken"),
    (["workers.pools.edge.kind=DaemonSet"], "workers.pools.edge.nodes: a DaemonSet needs the names of its nodes"),
    (["workers.pools.worker.nodes={attic}"], "workers.pools.worker.nodes: they are for kind DaemonSet"),
    (
        ["workers.pools.e.kind=DaemonSet", "workers.pools.e.nodes={a.b,a-b}"],
        "workers.pools.e: its worker a-b and one of workers.pools.e would have the same name",
    ),
    (
        ["workers.pools.e.kind=DaemonSet", "workers.pools.e.nodes={a}", "workers.pools.e.cache.persistent=true",
         "workers.pools.e.cache.size=1Gi"],
        "workers.pools.e.cache.persistent",
    ),
    (["workers.pools.worker.autoscaling.enabled=true"], "workers.pools.worker.autoscaling.metrics"),
    (
        ["workers.pools.worker.power.idleWatts=7", "workers.pools.worker.power.maxWatts=6"],
        "workers.pools.worker.power.idleWatts: it is more than maxWatts",
    ),
    (["orchestrator.planner=balanced", "orchestrator.policy=x"], "orchestrator.policy: it is for"),
    (["network.weights=/models/own.safetensors"], "network.volume: nothing is mounted at /models"),
    (["orchestrator.service.nodePort=30080"], "orchestrator.service.nodePort: it is for type NodePort"),
    (["orchestrator.service.loadBalancerSourceRanges={10.0.0.0/8}"], "orchestrator.service.loadBalancerSourceRanges"),
    (["tls.mode=csi"], "tls.csi.issuerRef.name: it is empty"),
    (["tls.generate.days=100"], "tls.generate.renewAfterDays: certificates would run out"),
    (["tls.mode=existingSecret", "tls.existingSecret.workers=shared"], "tls.existingSecret.workers: without {worker}"),
]  # fmt: skip


class BadValues(unittest.TestCase):
    def refused(self, cases):
        ask = lambda case: template(*(part for setting in case[0] for part in ("--set", setting)), check=False)
        with ThreadPoolExecutor(max_workers=2) as two_at_once:
            for (settings, message), done in zip(cases, two_at_once.map(ask, cases)):
                with self.subTest(settings):
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(message, done.stderr)
                    self.assertEqual(done.stdout.strip(), "")

    def test_the_schema_refuses_and_names_the_field(self):
        self.refused(SCHEMA)

    def test_what_does_not_fit_together_is_refused_with_the_remedy(self):
        self.refused(MEANING)

    def test_an_old_cluster_is_refused(self):
        done = template(version="1.26", check=False)
        self.assertIn(">=1.27", done.stderr)


if __name__ == "__main__":
    unittest.main()
