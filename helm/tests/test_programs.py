"""The manifests against the real programs: they accept the arguments, and serve an inference when started as Kubernetes would."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from pods import PROGRAMS, Cluster, Pod, image, templates
from support import CASES, ROOT, binary, find, render, tool


def get(url, token=None):
    """Status and body, also of a refusal; 0 where nobody answers."""
    if token:
        url = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(url, timeout=15) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Load:
    """Sends one image after the other while it is entered, and keeps the status of each answer."""

    def __init__(self, url):
        image = {"name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": [0.5] * 3072}
        self.request = urllib.request.Request(url, json.dumps({"inputs": [image]}).encode())
        self.answers, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        while not self.over.wait(0.03):
            self.answers.append(get(self.request)[0])


class Programs(unittest.TestCase):
    def test_the_programs_accept_the_arguments(self):
        for case in CASES:
            seen = set()
            for name, node, workload in templates(render("--values", case)):
                if workload["metadata"]["name"] in seen:
                    continue
                seen.add(workload["metadata"]["name"])
                with self.subTest(case=case.name, pod=name):
                    address = "[2001:db8::1]" if "csi" in case.name else "192.0.2.1"
                    done = Pod(name, node, workload, address.strip("[]")).accepted()
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_programs_explain_the_variables(self):
        """A program passes over a variable that it does not know."""
        for role, (program, *_) in PROGRAMS.items():
            words = ["serve"] if role == "worker" else []
            text = subprocess.run([binary(program), *words, "--help"], capture_output=True, text=True, check=True).stdout
            # The help is wrapped, anywhere.
            text = " ".join(text.split())
            for name, node, workload in templates(render()):
                pod = Pod(name, node, workload, "192.0.2.1")
                for variable in set(pod.environment) - {"WEIR_LOG"}:
                    if pod.role == role and variable.startswith("WEIR_"):
                        self.assertIn(f"[env: {variable}=", text)

    def serves(self, objects, meanwhile=None):
        """Starts the pods, runs what `helm test` runs, asks what the probes ask, and stops them in order. `meanwhile` is
        done to the cluster while it runs."""
        with tempfile.TemporaryDirectory() as folder, Cluster(objects, folder) as cluster:
            orchestrator, *workers = cluster.pods
            test = find(objects, "Pod")[0]["spec"]["containers"][0]
            environment = {one["name"]: one["value"] for one in test["env"]}
            environment |= {"PATH": os.environ["PATH"], "URL": f"http://{orchestrator.address}:8080"}
            command = [*test["command"], *test["args"]]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
            self.assertEqual(done.returncode, 0, f"{done.stderr}\n{cluster.logs()}")
            self.assertIn("answers an image of shape [1,3,32,32]", done.stdout)

            for pod in cluster.pods:
                ports = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    asked = pod.container[probe]["httpGet"]
                    status, body = get(f"http://{pod.address}:{ports[asked['port']]}{asked['path']}")
                    self.assertEqual(status, 200, f"{pod.name} {probe}: {body}")
                if "admin" in ports:
                    status, body = get(f"http://{pod.address}:{ports['admin']}/metrics")
                    self.assertIn("weir_build_info", body)
                if pod in workers:
                    # The container's limit is what the worker reckons with.
                    limit = next(line for line in body.splitlines() if line.startswith("weir_worker_memory_limit_bytes "))
                    self.assertEqual(float(limit.split()[1]), 1 << 30)
            if meanwhile:
                meanwhile(cluster)
            joined = get(f"http://{orchestrator.address}:7610/api/v1/workers")[1]
            self.assertEqual(cluster.stop(), [0] * len(cluster.pods), cluster.logs())
            return joined

    def test_pools_with_certificates_made_by_helm_answer_helm_test(self):
        """With the admin API within the orchestrator's pod, so probes ask the inference API."""
        settings = ["--set", "workers.pools.worker.replicas=1,workers.pools.attic.replicas=1,orchestrator.firstWorkers=2"]
        settings += ["--set", "orchestrator.admin.expose=false"]
        settings += ["--set-string", "orchestrator.policy=[bounds]\naccuracy_loss_points = 1.0\n"]
        joined = self.serves(render(*settings))
        for worker in ("home-weir-worker-0", "home-weir-attic-0"):
            self.assertIn(worker, joined)

    def test_a_worker_on_each_node_is_called_like_its_node(self):
        """With the plan written by hand that edge-nodes-values.yaml carries, and the host's /sys."""
        case = next(case for case in CASES if "edge-nodes" in case.name)
        joined = self.serves(render("--values", case, "--set", "orchestrator.firstWorkers=2"))
        for worker in ("camera-1-home", "attic"):
            self.assertIn(worker, joined)

    def test_certificates_of_weir_certs_do_as_secrets_and_are_renewed_without_a_lost_request(self):
        """As docs/kubernetes.md says it: new Secrets, and nothing restarts."""
        names = ["home-weir-worker-0", "home-weir-worker-1"]
        objects = render("--set", "tls.mode=existingSecret,workers.pools.worker.replicas=2,orchestrator.firstWorkers=2")

        def secrets(folder):
            command = [binary("weir"), "certs", "--out", folder, "--orchestrator", "main"]
            subprocess.run([*command, *(f"--worker={name}" for name in names)], check=True, capture_output=True)
            made = {"home-weir-orchestrator-tls": "orchestrator/main"} | {f"{name}-tls": f"worker/{name}" for name in names}
            encoded = lambda place: {
                path.name: base64.b64encode(path.read_bytes()).decode() for path in (Path(folder) / place).iterdir()
            }
            return [{"kind": "Secret", "metadata": {"name": name}, "data": encoded(place)} for name, place in made.items()]

        def expiry(pod):
            port = 7610 if pod.role == "orchestrator" else 7602
            metrics = get(f"http://{pod.address}:{port}/metrics")[1]
            return re.search(r"^weir_certificate_expiry_timestamp_seconds (\S+)$", metrics, re.MULTILINE)[1]

        def renew(cluster):
            before = {pod.name: expiry(pod) for pod in cluster.pods}
            for role in ("orchestrator", "worker"):
                shutil.rmtree(f"{certs}/{role}")
            with Load(f"http://{cluster.pods[0].address}:8080/v2/models/resnet20/infer") as load:
                cluster.renew([*objects, *secrets(certs)])
                until = time.monotonic() + 30
                while any(expiry(pod) == before[pod.name] for pod in cluster.pods):
                    self.assertLess(time.monotonic(), until, cluster.logs())
                    time.sleep(0.1)
                # Some more requests than those that met the change.
                time.sleep(2)
            self.assertGreater(len(load.answers), 50)
            self.assertEqual(set(load.answers), {200}, cluster.logs())
            self.assertEqual([process.poll() for process in cluster.processes], [None] * 3)

        with tempfile.TemporaryDirectory() as certs:
            joined = self.serves([*objects, *secrets(certs)], meanwhile=renew)
        for name in names:
            self.assertIn(name, joined)

    def test_tokens_let_in_and_probes_need_none(self):
        tokens = {"admin": "an-admins-token-0123", "viewer": "a-viewers-token-0123"}
        encoded = {key: base64.b64encode(f"{token}\n".encode()).decode() for key, token in tokens.items()}
        secret = {"kind": "Secret", "metadata": {"name": "weir-tokens"}, "data": encoded}
        settings = "orchestrator.admin.tokens.secret=weir-tokens,workers.pools.worker.replicas=1"

        def ask(cluster):
            base = f"http://{cluster.pods[0].address}:7610"
            for path in ("/livez", "/readyz", "/metrics"):
                self.assertEqual(get(base + path)[0], 200, path)
            self.assertEqual(get(f"{base}/api/v1/workers")[0], 401)
            self.assertEqual(get(f"{base}/api/v1/workers", tokens["admin"][:-1])[0], 401)
            for token in tokens.values():
                status, joined = get(f"{base}/api/v1/workers", token)
                self.assertEqual(status, 200)
                self.assertIn("home-weir-worker-0", joined)

        refused = self.serves([*render("--set", settings), secret], meanwhile=ask)
        self.assertIn("needs a token", refused)

    def test_a_worker_without_its_certificate_says_which_file_is_missing(self):
        worker = next(one for one in templates(render()) if "orchestrator" not in one[0])
        pod = Pod(*worker, "127.0.0.1")
        with tempfile.TemporaryDirectory() as folder:
            arguments = [argument.replace("=/etc/weir/tls", f"={folder}") for argument in pod.arguments()]
            done = subprocess.run([binary("weir-worker"), *arguments], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{pod.name}/tls.crt", done.stderr)


class Image(unittest.TestCase):
    def test_an_image_holds_every_library_that_its_programs_need(self):
        """The loader of the image finds all of them in the image, and the programs run."""
        for role, programs in PROGRAMS.items():
            root = image(role)
            loader = next(root.glob("lib*/ld-linux*"))
            places = sorted({str(path.parent) for path in root.rglob("*.so*")})
            command = [loader, "--inhibit-cache", "--library-path", ":".join(places)]
            for program in programs:
                path = root / "usr/bin" / program
                listed = subprocess.run([*command, "--list", path], capture_output=True, text=True, check=True).stdout
                outside = [line for line in listed.splitlines() if "=> /" in line and f"=> {root}" not in line]
                self.assertEqual(outside, [])
                done = subprocess.run([*command, path, "--version"], capture_output=True, text=True)
                self.assertTrue(done.stdout.startswith(f"{program} "), done.stdout + done.stderr)

    def test_images_and_manifests_agree(self):
        """On user, ports, programs, and where the network of the default values lies."""
        text = (ROOT / "Dockerfile").read_text()
        stages = dict(re.findall(r"^FROM scratch AS (\w+)\n(.*?)(?=^FROM |\Z)", text, re.DOTALL | re.MULTILINE))
        for name, node, workload in templates(render()):
            pod = Pod(name, node, workload, "192.0.2.1")
            stage = stages[pod.role]
            security = pod.spec["securityContext"]
            self.assertIn(f"USER {security['runAsUser']}:{security['runAsGroup']}\n", stage)
            exposed = set(re.search(r"EXPOSE (.*)", stage)[1].split())
            self.assertEqual(exposed, {f"{one['containerPort']}/{one['protocol'].lower()}" for one in pod.container["ports"]})
            self.assertIn(f'ENTRYPOINT ["/usr/bin/{PROGRAMS[pod.role][0]}"]', stage)
            for argument in pod.arguments():
                if "/usr/share/weir/" in argument:
                    folder, file = argument.split("=")[1].rsplit("/", 1)
                    self.assertIn(f"-t /root-orchestrator{folder}", text)
                    self.assertIn(f"models/{file}", text)
                    self.assertTrue((ROOT / "models" / file).exists())

    def test_dockerfile_lints(self):
        done = subprocess.run([tool("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


if __name__ == "__main__":
    unittest.main()
