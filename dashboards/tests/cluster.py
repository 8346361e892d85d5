"""A small cluster that serves under load, and a real Prometheus that scrapes it.

Three workers with a power budget and a battery, which is being drained, share ResNet-20 on this machine. Everything
here ends with its `with` block.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ["camera", "router", "attic"]

# Every link and stage is in use, and nothing but a new policy changes that.
PLAN = 'workers = ["camera", "router", "attic"]\ncuts = ["layer1.1.conv2", "layer2.1.conv1"]\n'
POLICY = 'minimise = "latency"\n[replan]\nmargin = 10.0\n'
# Other connections on the same partition: a re-plan that moves no weights.
OTHER_POLICY = (
    POLICY.replace("margin", "move_margin") + '[pins]\noff = ["F:layer1.2"]\n[bounds]\naccuracy_loss_points = 5.0\n'
)

# A laptop's battery as the system shows it in files: 40 Wh when full, 22 Wh in the beginning.
BATTERY = ROOT / "worker/tests/fixtures/sysfs/laptop/class/power_supply/BAT0"
BATTERY_WATTS = 9.0
BUDGET_WATTS = 12.0
MODEL = ROOT / "models/shapes-resnet20.safetensors"
PROFILE = ROOT / "models/shapes-resnet20.profile.json"

PATIENCE_SECONDS = 60


def until(story, look, patience=PATIENCE_SECONDS):
    """Waits until `look` returns something true, and returns that; `story` says what never came."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"never came: {story}")


def free_port():
    """A port that was free a moment ago, for TCP and UDP alike."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    pass


def call(url, body=None, method=None, kind="application/json", more=None):
    """The answer's text, or None while there is none."""
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind, **(more or {})})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except (OSError, urllib.error.HTTPError):
        return None


class Processes:
    """Processes that do not outlive their test; each logs into a file of the folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.running = {}

    def start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            command = [str(part) for part in command]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for name in list(self.running):
            self.kill(name)

    def logs(self):
        """The end of every log, for a test that failed."""
        tails = (
            f"-- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self.folder.glob("*.log"))
        )
        return "\n".join(tails)


class Cluster:
    """An orchestrator, its workers, and a client that asks for `rate` answers a second."""

    def __init__(self, folder, binaries, rate=5.0):
        self.folder, self.binaries, self.rate = Path(folder), Path(binaries), rate
        self.processes = Processes(folder)
        self.quic, self.http, self.admin = free_port(), free_port(), free_port()
        self.admins = {name: free_port() for name in WORKERS}
        self.done = threading.Event()
        self.load = threading.Thread(target=self._send)

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.processes.stop()
            raise
        self.load.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.load.join()
        self.processes.stop()

    def targets(self):
        """Where Prometheus scrapes: two jobs, as on Kubernetes."""
        workers = [f"127.0.0.1:{port}" for port in self.admins.values()]
        return {"weir-orchestrator": [f"127.0.0.1:{self.admin}"], "weir-worker": workers}

    def admin_api(self, path, body=None, method=None):
        return call(f"http://127.0.0.1:{self.admin}{path}", body, method, "application/toml", {"If-Match": "*"})

    def change_policy(self):
        """Gives the planner another policy, which makes it choose another plan."""
        epoch = self._epoch()
        assert self.admin_api("/api/v1/policy", OTHER_POLICY.encode(), "PUT") is not None, "the policy is refused"
        until("a plan for the other policy", lambda: self._epoch() > epoch)

    def _sysfs(self, name):
        return self.folder / "sysfs" / name

    def _drain(self, since):
        microwatt_hours = 22e6 - 1e6 * BATTERY_WATTS * (time.monotonic() - since) / 3600
        for name in WORKERS:
            level = self._sysfs(name) / "class/power_supply/BAT0/energy_now"
            level.write_text(f"{max(0, int(microwatt_hours))}\n")

    def _epoch(self):
        return json.loads(self.admin_api("/api/v1/plan") or "{}").get("epoch", 0)

    def _start(self):
        certs = self.folder / "certs"
        weir, orchestrator, worker = (self.binaries / name for name in ["weir", "weir-orchestrator", "weir-worker"])
        names = [part for name in WORKERS for part in ("--worker", name)]
        subprocess.run(
            [weir, "certs", "--out", certs, "--orchestrator", "main", *names], check=True, capture_output=True
        )
        (self.folder / "plan.toml").write_text(PLAN)
        (self.folder / "policy.toml").write_text(POLICY)
        here = "127.0.0.1:"
        self.processes.start(
            "orchestrator",
            orchestrator,
            "--certs",
            certs / "orchestrator/main",
            "--arch",
            "resnet20",
            "--weights",
            MODEL,
            "--profile",
            PROFILE,
            "--workers",
            len(WORKERS),
            "--plan",
            "plan.toml",
            "--policy",
            "policy.toml",
            "--journal",
            "journal",
            "--listen",
            f"{here}{self.quic}",
            "--http",
            f"{here}{self.http}",
            "--admin",
            f"{here}{self.admin}",
        )
        for name, admin in self.admins.items():
            # Without whole percents its charge is energy_now of energy_full, which falls every second.
            battery = self._sysfs(name) / "class/power_supply/BAT0"
            shutil.copytree(BATTERY, battery, ignore=shutil.ignore_patterns("capacity"))
            self.processes.start(
                name,
                worker,
                "serve",
                "--certs",
                certs / "worker" / name,
                "--weights",
                MODEL,
                "--sysfs-root",
                self._sysfs(name),
                "--power-budget-watts",
                BUDGET_WATTS,
                "--orchestrator",
                f"{here}{self.quic}",
                "--listen",
                f"{here}{free_port()}",
                "--admin",
                f"{here}{admin}",
            )
        until("a plan", lambda: self._epoch() > 0)

    def _send(self):
        pixels = [(i * 7919 % 1009) / 504.5 - 1.0 for i in range(3 * 32 * 32)]
        image = {"name": "input", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": pixels}
        body = json.dumps({"inputs": [image]}).encode()
        since = time.monotonic()
        while not self.done.wait(1 / self.rate):
            call(f"http://127.0.0.1:{self.http}/v2/models/resnet20/infer", body)
            self._drain(since)


class Prometheus:
    """Debian's Prometheus with the rules of this folder, scraping once a second."""

    def __init__(self, folder, tools, targets, rules):
        self.folder, self.tools, self.targets, self.rules = Path(folder), Path(tools), targets, rules
        self.processes = Processes(folder)
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self):
        self._configure()
        self.processes.start(
            "prometheus",
            self.tools / "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )
        try:
            until("Prometheus is ready", lambda: call(f"{self.url}/-/ready"))
        except BaseException:
            self.processes.stop()
            raise
        return self

    def __exit__(self, *_):
        self.processes.stop()

    def _configure(self):
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in self.rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": targets, "labels": {"namespace": "edge"}}]}
                for job, targets in self.targets.items()
            ],
        }
        # JSON is YAML.
        (self.folder / "prometheus.yml").write_text(json.dumps(config))

    def add_rules(self, rules):
        """Reads the configuration again, with more rules."""
        path = self.folder / "more.rules"
        path.write_text(json.dumps(rules))
        self.rules = [*self.rules, path]
        self._configure()
        self.processes.running["prometheus"].send_signal(signal.SIGHUP)

    def api(self, path, **parameters):
        """Data of an answer; an error of Prometheus's is raised with its text."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression):
        return self.api("query", query=expression)["result"]

    def number(self, expression):
        """The value of a query's only series, or None."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


def binaries():
    """Folder of the built programs."""
    folder = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    assert (folder / "weir-worker").exists(), f"{folder} has no weir-worker: run `make build`"
    return folder


def tools():
    """Folder of prometheus and promtool."""
    folder = os.environ.get("WEIR_TEST_PROMETHEUS")
    assert folder, (
        "WEIR_TEST_PROMETHEUS is not set: run `make test-dashboards`, or set it to scripts/setup-prometheus.sh's output"
    )
    return Path(folder)
