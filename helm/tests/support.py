"""What the chart's tests share: where things are, and how Helm is called."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "weir"
CASES = sorted((CHART / "ci").glob("*-values.yaml"))

# The tools lie beside the Python that scripts/setup-helm.sh made.
TOOLS = Path(sys.executable).parent

# The oldest release that Chart.yaml admits and the newest that the schemas at hand know.
KUBERNETES = ("1.27", "1.37")

# Names are made of these; the namespace is not `default`, as nobody's should be.
RELEASE, NAMESPACE = "home", "weir"


def tool(name):
    """The path of a tool, or an error that says where it comes from."""
    found = TOOLS / name
    if not found.exists():
        found = shutil.which(name)
    if not found:
        raise AssertionError(f"{name} is missing: run these tests by `make test-helm`, which sets it up")
    return str(found)


def helm(*arguments, environment=None, check=True):
    """Runs Helm; with `check`, an exit status other than 0 fails the test with what Helm said."""
    done = subprocess.run(
        [tool("helm"), *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **(environment or {})}
    )
    if check and done.returncode != 0:
        raise AssertionError(f"helm {arguments[0]}: {done.stderr}")
    return done


def template(*arguments, version=KUBERNETES[-1], check=True):
    """Runs `helm template` and returns what the process said."""
    common = ["--namespace", NAMESPACE, "--kube-version", f"{version}.0"]
    return helm("template", RELEASE, CHART, *common, *arguments, check=check)


@functools.cache
def render(*arguments, version=KUBERNETES[-1]):
    """The objects that `helm template` makes. Rendered once: nobody changes them, and keys take long to make."""
    return [one for one in yaml.safe_load_all(template(*arguments, version=version).stdout) if one]


def find(objects, kind, name=None):
    """The objects of that kind, or the one with that name."""
    of_kind = [one for one in objects if one["kind"] == kind]
    if name is None:
        return of_kind
    return next(one for one in of_kind if one["metadata"]["name"] == name)


def binary(name):
    """A program of Weir, as `make build` leaves it."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    path = folder / name
    if not path.exists():
        raise AssertionError(f"{path} is missing: run `make build` first")
    return str(path)
