"""The NetworkPolicies let through what Weir needs, and nothing that it does not, by the rules of networking.k8s.io/v1."""

import unittest

from support import CASES, NAMESPACE, RELEASE, find, render

HOME = {"kubernetes.io/metadata.name": NAMESPACE}
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}


def selects(selector, labels):
    """Whether a label selector fits; an empty one fits everything."""
    for wanted in selector.get("matchExpressions", []):
        assert wanted["operator"] == "In", wanted
        if labels.get(wanted["key"]) not in wanted["values"]:
            return False
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def is_peer(peer, pod, space):
    """Whether a pod with these labels, in a namespace with those, is the peer."""
    if "namespaceSelector" not in peer and space != HOME:
        return False
    return selects(peer.get("namespaceSelector", {}), space) and selects(peer.get("podSelector", {}), pod)


def one_way(objects, direction, subject, other, space, port):
    """Whether the policies of `subject` allow the direction. Without a policy everything is allowed."""
    key, side = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
    policies = [one["spec"] for one in find(objects, "NetworkPolicy") if selects(one["spec"]["podSelector"], subject)]
    policies = [one for one in policies if direction in one["policyTypes"]]
    fits = lambda rule: any((one["port"], one["protocol"]) == port for one in rule["ports"]) and (
        not rule.get(side) or any(is_peer(peer, other, space) for peer in rule[side])
    )
    return not policies or any(fits(rule) for policy in policies for rule in policy.get(key, []))


class Network(unittest.TestCase):
    def setUp(self):
        self.objects = render()
        workloads = find(self.objects, "StatefulSet")
        labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in workloads}
        self.orchestrator = labels[f"{RELEASE}-weir-orchestrator"]
        self.worker = labels[f"{RELEASE}-weir-worker"]
        self.test = find(self.objects, "Pod")[0]["metadata"]["labels"]

    def flows(self, sender, receiver, port, space=HOME):
        out = space != HOME or one_way(self.objects, "Egress", sender, receiver, HOME, port)
        return out and one_way(self.objects, "Ingress", receiver, sender, space, port)

    def test_peers_reach_each_other(self):
        self.assertTrue(self.flows(self.worker, self.orchestrator, (7600, "UDP")))
        self.assertTrue(self.flows(self.orchestrator, self.worker, (7601, "UDP")))
        self.assertTrue(self.flows(self.worker, self.worker, (7601, "UDP")))
        for protocol in ("UDP", "TCP"):
            self.assertTrue(one_way(self.objects, "Egress", self.worker, {}, {}, (53, protocol)))

    def test_clients_and_prometheus_reach_what_is_theirs(self):
        client = {"app": "camera"}
        self.assertTrue(self.flows(client, self.orchestrator, (8080, "TCP")))
        self.assertTrue(self.flows(self.test, self.orchestrator, (8080, "TCP")))
        self.assertTrue(self.flows({"app": "prometheus"}, self.orchestrator, (7610, "TCP"), MONITORING))
        self.assertTrue(self.flows({"app": "prometheus"}, self.worker, (7602, "TCP"), MONITORING))

    def test_nobody_else_reaches_anything(self):
        client = {"app": "camera"}
        elsewhere = {"kubernetes.io/metadata.name": "elsewhere"}
        for receiver, port in (
            (self.orchestrator, (7600, "UDP")),
            (self.orchestrator, (7610, "TCP")),
            (self.worker, (7601, "UDP")),
            (self.worker, (7602, "TCP")),
        ):
            self.assertFalse(self.flows(client, receiver, port), port)
        self.assertFalse(self.flows(client, self.orchestrator, (8080, "TCP"), elsewhere))
        # Not even each other's admin ports, or the world.
        self.assertFalse(self.flows(self.worker, self.orchestrator, (7610, "TCP")))
        self.assertFalse(one_way(self.objects, "Egress", self.orchestrator, client, HOME, (443, "TCP")))
        self.assertFalse(one_way(self.objects, "Egress", self.worker, client, HOME, (443, "TCP")))

    def test_the_test_is_let_in_where_clients_are_listed(self):
        self.objects = render("--set", "networkPolicy.inferenceFrom[0].podSelector.matchLabels.app=camera")
        self.assertTrue(self.flows(self.test, self.orchestrator, (8080, "TCP")))
        self.assertTrue(self.flows({"app": "camera"}, self.orchestrator, (8080, "TCP")))
        self.assertFalse(self.flows({"app": "other"}, self.orchestrator, (8080, "TCP")))

    def test_operators_are_let_in_by_name(self):
        self.objects = render("--values", next(case for case in CASES if "production" in case.name))
        operators = {"kubernetes.io/metadata.name": "operators"}
        self.assertTrue(self.flows({}, self.orchestrator, (7610, "TCP"), operators))


if __name__ == "__main__":
    unittest.main()
