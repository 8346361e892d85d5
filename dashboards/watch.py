#!/usr/bin/env python3
"""Tells Prometheus where a cluster on this machine is, for as long as it runs. Needs nothing but Python.

  dashboards/watch.py               start a small cluster under load (after `make build`), and watch that
  dashboards/watch.py target/demo   watch what `make demo` plays: start this first, then the demo

Weir's processes log where they answer `/metrics`. This reads it from the logs in the folder and keeps the list of those
that answer in target/dashboards/targets.json, which provisioning/prometheus.yaml reads.
"""

import json
import os
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ROOT / "target/dashboards/targets.json"
STARTED = re.compile(r" started .*\badmin=(\S+:\d+)")
PERIOD_SECONDS = 1.0


def answers(address):
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def targets(folder):
    """Addresses that a log names last and that answer now."""
    named = (STARTED.findall(log.read_text(errors="replace")) for log in Path(folder).rglob("*.log"))
    return sorted({found[-1] for found in named if found and answers(found[-1])})


def write(addresses):
    """The whole list at once: Prometheus must not read half of it."""
    TARGETS.parent.mkdir(parents=True, exist_ok=True)
    half = TARGETS.with_suffix(".new")
    half.write_text(json.dumps([{"targets": addresses}]) + "\n")
    os.replace(half, TARGETS)


def watch(folder):
    known = None
    while True:
        found = targets(folder)
        if found != known:
            write(found)
            print(f"{len(found)} processes: {' '.join(found) or 'none answers yet'}", flush=True)
            known = found
        time.sleep(PERIOD_SECONDS)


def main():
    arguments = sys.argv[1:]
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    try:
        if arguments:
            watch(arguments[0])
        else:
            sys.path.insert(0, str(ROOT / "dashboards/tests"))
            from cluster import Cluster, binaries

            with tempfile.TemporaryDirectory() as folder, Cluster(folder, binaries()):
                watch(folder)
    except KeyboardInterrupt:
        write([])


if __name__ == "__main__":
    main()
