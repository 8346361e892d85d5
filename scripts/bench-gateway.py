#!/usr/bin/env python3
"""Drives the gateway of a small cluster with Triton's perf_analyzer, and a bare route of the same HTTP server beside it.

    scripts/bench-gateway.py --perf-analyzer PROGRAM [--bin DIR] [--echo PROGRAM] [--concurrency 1 4] [--rounds 3] [--traced]

One worker on loopback computes resnet20 (1x3x32x32 in, 10 logits out, both binary). Rounds alternate between the two, so
that what else the machine does meets both. The table has the median round; "compute" is what the gateway says lies behind
it (links, queue and libtorch of the worker), so "gateway adds" is its own share: admission, parsing, ledger, answer. Processor time of a
request is what a busy machine disturbs least.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = {
    "per_second": r"Throughput: ([\d.]+) infer/sec",
    "average": r"Avg HTTP time: (\d+) usec|Avg latency: (\d+) usec",
    "p50": r"p50 latency: (\d+) usec",
    "p99": r"p99 latency: (\d+) usec",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def start(stack, folder, name, *command):
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen([str(part) for part in command], stderr=log, stdout=subprocess.PIPE, text=True)
    stack.callback(lambda: (process.kill(), process.wait()))
    return process


def start_cluster(stack, folder, programs):
    """The address of the gateway of a new cluster, and its two processes."""
    certs, quic, http = folder / "certs", free_port(), free_port()
    run(programs / "weir", "certs", "--out", certs, "--orchestrator", "main", "--worker", "bench")
    weights = ROOT / "models/shapes-resnet20.safetensors"
    common = ["--weights", weights, "--log-format", "json"]
    orchestrator = start(stack, folder, "orchestrator", programs / "weir-orchestrator", *common, "--certs", certs / "orchestrator/main",
          "--arch", "resnet20", "--listen", f"127.0.0.1:{quic}", "--http", f"127.0.0.1:{http}",
          "--admin", f"127.0.0.1:{free_port()}", "--planner", "balanced")  # fmt: skip
    worker = start(stack, folder, "worker", programs / "weir-worker", "serve", *common, "--certs", certs / "worker/bench",
          "--orchestrator", f"127.0.0.1:{quic}", "--listen", f"127.0.0.1:{free_port()}",
          "--admin", f"127.0.0.1:{free_port()}", "--calibration-ms", "0")  # fmt: skip
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{http}/v2/health/ready", timeout=2)
            return f"127.0.0.1:{http}", [orchestrator, worker]
        except OSError:
            if time.monotonic() > until:
                sys.exit((folder / "orchestrator.log").read_text())
            time.sleep(0.1)


def compute_time(address):
    """Requests so far, and seconds that lay behind the gateway."""
    with urllib.request.urlopen(f"http://{address}/v2/models/resnet20/stats") as reply:
        times = json.load(reply)["model_stats"][0]["inference_stats"]["compute_infer"]
    return times["count"], times["ns"] / 1e9


def processor_time(process):
    """Seconds of processor time, of all threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(arguments, address, model, concurrency):
    command = [arguments.perf_analyzer, "-m", model, "-x", "1", "-u", address, "-i", "http", "--shape", "input:1,3,32,32"]
    command += ["--concurrency-range", str(concurrency), "--measurement-interval", str(arguments.interval_ms)]
    # Three windows, however much they differ: rounds and their median answer for what else the machine does.
    command += ["--percentile", "50", "--max-trials", "10", "--stability-percentage", "900"]
    if arguments.traced:
        command += ["-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {}
    for name, pattern in FIGURES.items():
        match = re.search(pattern, done.stdout)
        if done.returncode or not match:
            sys.exit(f"perf_analyzer ended with {done.returncode} and told no {name}:\n{done.stdout}{done.stderr}")
        found[name] = float(next(group for group in match.groups() if group))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perf-analyzer", required=True)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release", help="folder of the programs")
    parser.add_argument("--echo", type=Path, default=ROOT / "target/release/examples/echo")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interval-ms", type=int, default=2000)
    parser.add_argument("--traced", action="store_true", help="send a trace context with each request")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        folder = Path(folder)
        gateway, processes = start_cluster(stack, folder, arguments.bin)
        echo = start(stack, folder, "echo", arguments.echo).stdout.readline().strip()
        print("| concurrency | route | infer/s | average | p50 | p99 | compute | gateway adds | orchestrator CPU | worker CPU |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for concurrency in arguments.concurrency:
            rounds = []
            for _ in range(arguments.rounds):
                bare = measure(arguments, echo, "echo", concurrency)
                used = [processor_time(process) for process in processes]
                before = compute_time(gateway)
                ours = measure(arguments, gateway, "resnet20", concurrency)
                after = compute_time(gateway)
                ours["compute"] = 1e6 * (after[1] - before[1]) / (after[0] - before[0])
                for place, process in enumerate(processes):
                    spent = processor_time(process) - used[place]
                    ours[("orchestrator", "worker")[place]] = 1e6 * spent / (after[0] - before[0])
                rounds.append((bare, ours))
            middle = lambda which, key: statistics.median(one[which][key] for one in rounds)
            ms = lambda microseconds: f"{microseconds / 1e3:.3f} ms"
            row = lambda which, *more: [f"{middle(which, 'per_second'):.0f}", *(ms(middle(which, key)) for key in ("average", "p50", "p99")), *more]
            adds = statistics.median(ours["average"] - ours["compute"] - bare["average"] for bare, ours in rounds)
            print("|", " | ".join([str(concurrency), "bare echo", *row(0, "", "", "", "")]), "|")
            print("|", " | ".join([str(concurrency), "gateway", *row(1, ms(middle(1, "compute")), ms(adds), ms(middle(1, "orchestrator")), ms(middle(1, "worker")))]), "|", flush=True)


if __name__ == "__main__":
    os.environ.pop("WEIR_LOG", None)
    main()
