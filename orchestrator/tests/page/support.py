"""A running demonstration with emulated links, and a browser that looks at it. Both end with their `with` block."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PICTURES = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "page"
PATIENCE_SECONDS = 60

SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (320, 640)}


def until(story, look, patience=PATIENCE_SECONDS):
    """Waits until `look` returns something true, and returns that; `story` says what never came."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"never came: {story}")


def binaries():
    """Folder of the built programs."""
    folder = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    assert (folder / "weir").exists(), f"{folder} has no weir: run `make build`"
    return folder


def tools():
    """Folder of chromium and axe.min.js."""
    folder = os.environ.get("WEIR_TEST_BROWSER")
    assert folder, "WEIR_TEST_BROWSER is not set: run `make test-page`, or set it to scripts/setup-browser.sh's output"
    return Path(folder)


class Demo:
    """`weir demo` with the scenario of this folder: three workers, emulated links, a stream of images."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.out = Path(self.folder.name)
        with open(self.out / "demo.log", "wb") as log:
            command = [binaries() / "weir", "demo", "--scenario", HERE / "scenario.toml", "--out", self.out]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            self.url = f"http://{until('the admin port', self._admin)}"
            until("a plan", lambda: self.state() and self.state()["plan"])
        except BaseException:
            print(self.logs())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # It stops its cluster before it ends.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.folder.cleanup()

    def _admin(self):
        assert self.process.poll() is None, f"the demonstration has ended:\n{self.logs()}"
        for log in self.out.rglob("main.log"):
            found = re.search(r"orchestrator started.* admin=(\S+)", log.read_text(errors="replace"))
            if found:
                return found[1]

    def call(self, path, method=None, body=None, **headers):
        """Status and text of an answer; None while nobody answers."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            data=None if body is None else body.encode(),
            method=method,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def state(self):
        text = self.call("state")
        return text and json.loads(text)

    def still(self):
        """Stops the orchestrator's process in its tracks, as a machine that hangs; `SIGCONT` wakes it."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        ids = [int(one) for path in children for one in path.read_text().split()]
        found = next(one for one in ids if Path(f"/proc/{one}/comm").read_text().startswith("weir-orch"))
        os.kill(found, signal.SIGSTOP)
        return found

    def logs(self):
        """The end of every log, for a test that failed."""
        tails = (
            f"-- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            for log in sorted(self.out.rglob("*.log"))
        )
        return "\n".join(tails)


class Guarded:
    """An orchestrator alone, that answers only to those who have a token."""

    admin = "the-token-of-an-admin"
    viewer = "the-token-of-a-viewer"

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        certs = [
            binaries() / "weir",
            "certs",
            "--out",
            folder / "certs",
            "--orchestrator",
            "main",
            "--worker",
            "camera",
        ]
        subprocess.run(certs, check=True, capture_output=True)
        flags = ["--certs", folder / "certs/orchestrator/main", "--arch", "resnet20"]
        flags += ["--weights", ROOT / "models/shapes-resnet20.safetensors"]
        for flag in ["--listen", "--http", "--admin"]:
            flags += [flag, "127.0.0.1:0"]
        for role in ["admin", "viewer"]:
            (folder / role).write_text(getattr(self, role) + "\n")
            flags += [f"--{role}-token-file", folder / role]
        log = folder / "log"
        with open(log, "wb") as file:
            self.process = subprocess.Popen([binaries() / "weir-orchestrator", *flags], stdout=file, stderr=file)
        found = until("the admin port", lambda: re.search(r"started.* admin=(\S+)", log.read_text()))
        self.url = f"http://{found[1]}"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Browser:
    """Chromium without a window."""

    def __enter__(self):
        self.playwright = sync_playwright().start()
        # Root may not use Chromium's sandbox, and CI's containers are root's.
        sandbox = os.geteuid() != 0
        self.browser = self.playwright.chromium.launch(
            executable_path=tools() / "chromium", chromium_sandbox=sandbox, args=["--disable-dev-shm-usage"]
        )
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def open(self, url, size="desktop", scheme="light", motion="no-preference"):
        """A page in a browser of its own, which remembers what the console said."""
        width, height = SIZES[size]
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.said = []
        page.on("console", lambda message: message.type in ("error", "warning") and page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on(
            "request",
            lambda request: page.said.append(f"asked {request.url}") if not request.url.startswith(url) else None,
        )
        page.goto(url)
        return page


def picture(page, name):
    """Saves the whole page for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def faults(page):
    """What axe finds that is serious or worse."""
    # The page's policy lets no script in from elsewhere: axe comes through the debugger.
    page.evaluate((tools() / "axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {fault['help']}: {[node['html'][:160] for node in fault['nodes']][:4]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
