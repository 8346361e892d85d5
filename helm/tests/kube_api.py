"""As much of a Kubernetes API server as Helm needs to install, upgrade, roll back and uninstall a chart.

It stores objects and runs nothing. Like the real one it refuses to change what cannot be changed about a StatefulSet, because an
upgrade that tries is the fault that a chart makes most easily.
"""

import copy
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# Group and version, then plural and kind of each resource.
RESOURCES = {
    "v1": {
        "namespaces": "Namespace",
        "configmaps": "ConfigMap",
        "secrets": "Secret",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "pods": "Pod",
    },
    "apps/v1": {"statefulsets": "StatefulSet", "daemonsets": "DaemonSet"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "cert-manager.io/v1": {"certificates": "Certificate", "issuers": "Issuer"},
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"},
}

# All else in a StatefulSet's spec stays as it was made.
CHANGEABLE = {"replicas", "template", "updateStrategy", "minReadySeconds", "persistentVolumeClaimRetentionPolicy"}


class Refusal(Exception):
    """An answer other than success."""

    REASONS = {404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}

    def __init__(self, code, message):
        super().__init__(message)
        reason = self.REASONS.get(code, "BadRequest")
        self.code = code
        self.body = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }  # fmt: skip


def merged(old, patch):
    """RFC 7396, and of the strategic patches what Helm sends: lists whose entries have names are merged by name."""
    if isinstance(old, dict) and isinstance(patch, dict):
        result = {} if patch.get("$patch") == "replace" else dict(old)
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(result.get(key), value)
        return result
    named = lambda entries: isinstance(entries, list) and all(isinstance(one, dict) and "name" in one for one in entries)
    if named(old) and named(patch):
        result = {one["name"]: one for one in old}
        for one in patch:
            if one.get("$patch") == "delete":
                result.pop(one["name"], None)
            else:
                result[one["name"]] = merged(result.get(one["name"]), one)
        return list(result.values())
    return patch


class KubeApi:
    """A server on a port of the loopback that the system chooses. Use it as a context."""

    def __init__(self, version):
        major, minor = version.split(".")
        self.version = {"major": major, "minor": minor, "gitVersion": f"v{version}.0"}
        self.objects = {}
        self.changes = []
        self.lock = threading.Lock()
        self.counter = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body in one packet, or each answer waits for an acknowledgement.
            wbufsize = -1
            disable_nagle_algorithm = True

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                try:
                    with api.lock:
                        code, reply = 200, api.handle(self.command, self.path, body)
                except Refusal as refusal:
                    code, reply = refusal.code, refusal.body
                text = json.dumps(reply).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def put(self, group, plural, namespace, name, **content):
        """Places an object that somebody else made."""
        kind = RESOURCES[group][plural]
        metadata = {"name": name, "namespace": namespace}
        self.objects[group, plural, namespace, name] = {"apiVersion": group, "kind": kind, "metadata": metadata, **content}

    def get(self, group, plural, namespace, name):
        """An object as it is stored, or None."""
        return self.objects.get((group, plural, namespace, name))

    def handle(self, method, target, body):
        url = urlsplit(target)
        parts = url.path.strip("/").split("/")
        if parts == ["version"]:
            return self.version
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self.group(one) for one in RESOURCES if "/" in one]}
        group, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        if group not in RESOURCES:
            raise Refusal(404, f"there is no {url.path}")
        if not rest:
            return self.resources(group)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name = rest[0], (rest[1] if len(rest) > 1 else None)
        if plural not in RESOURCES[group]:
            raise Refusal(404, f"there is no {plural} in {group}")
        if name is None:
            return self.listed(group, plural, namespace, url) if method == "GET" else self.create(group, plural, namespace, body)
        return self.single(method, (group, plural, namespace, name), body)

    @staticmethod
    def group(group_version):
        group, version = group_version.split("/")
        one = {"groupVersion": group_version, "version": version}
        return {"name": group, "versions": [one], "preferredVersion": one}

    @staticmethod
    def resources(group):
        verbs = ["get", "list", "create", "update", "patch", "delete"]
        listed = [
            {"name": plural, "singularName": kind.lower(), "namespaced": plural != "namespaces", "kind": kind, "verbs": verbs}
            for plural, kind in RESOURCES[group].items()
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": listed}

    def listed(self, group, plural, namespace, url):
        wanted = parse_qs(url.query).get("labelSelector", [""])[0]
        wanted = dict(pair.split("=", 1) for pair in wanted.split(",") if pair)
        items = []
        for (of_group, of_plural, of_namespace, _), one in self.objects.items():
            labels = one["metadata"].get("labels") or {}
            here = (of_group, of_plural) == (group, plural) and namespace in ("", of_namespace)
            if here and all(labels.get(key) == value for key, value in wanted.items()):
                items.append(one)
        kind = RESOURCES[group][plural]
        return {"kind": f"{kind}List", "apiVersion": group, "metadata": {"resourceVersion": "1"}, "items": items}

    def create(self, group, plural, namespace, body):
        key = (group, plural, namespace, body["metadata"]["name"])
        if key in self.objects:
            raise Refusal(409, f"{plural} {key[3]!r} already exists")
        return self.store(key, body, "POST")

    def single(self, method, key, body):
        old = self.objects.get(key)
        if old is None:
            raise Refusal(404, f"{key[1]} {key[3]!r} not found")
        if method == "GET":
            return old
        if method == "DELETE":
            self.changes.append((method, *key))
            return self.objects.pop(key)
        new = merged(old, body) if method == "PATCH" else body
        if key[1] == "statefulsets":
            fixed = lambda one: {field: value for field, value in one["spec"].items() if field not in CHANGEABLE}
            if fixed(old) != fixed(new):
                raise Refusal(422, f"StatefulSet {key[3]!r} is invalid: spec: Forbidden: updates to other fields are forbidden")
        return self.store(key, new, method)

    def store(self, key, body, method):
        self.counter += 1
        one = copy.deepcopy(body)
        metadata = one["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata["resourceVersion"] = str(self.counter)
        if key[2]:
            metadata["namespace"] = key[2]
        # What is written as text is stored as data.
        for name, text in one.pop("stringData", {}).items():
            raise Refusal(422, f"stringData.{name}: the emulator knows data only ({text[:10]})")
        self.objects[key] = one
        self.changes.append((method, *key))
        return one
