#!/usr/bin/env python3
"""A camera's loop: classifies each image that appears in a folder, as it appears.

    python3 examples/camera.py --url 127.0.0.1:8080 --model resnet20 /var/lib/camera

A camera program writes images into the folder (under another name first, then renamed, so that none is read half). This
prints a line for each: time, file, label, probability, milliseconds. While the cluster refuses (503), it waits and tries
again; frames that became old meanwhile are skipped, for the newest is what counts. --once ends when the folder is done.
"""

import argparse
import sys
import time
from pathlib import Path

from classify import Classifier
from tritonclient.utils import InferenceServerException

IMAGES = {".jpg", ".jpeg", ".png"}
# How long to wait after a refusal; the gateway's Retry-After is a second at least.
PAUSE = 1.0


def new_images(folder, seen):
    """Images that were not there before, the oldest first."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES and path.name not in seen]
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))


def connect(arguments):
    while True:
        try:
            return Classifier(arguments.url, arguments.model, arguments.labels)
        except (InferenceServerException, OSError) as error:
            print(f"waiting: {error}", file=sys.stderr, flush=True)
            time.sleep(PAUSE)


def classify(classifier, path, timeout):
    """A line about the image, or none if it became too old before anybody had time for it."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            _, label, probability = classifier.classify(path, timeout=int(timeout * 1e6))
            return f"{label}\t{probability:.3f}\t{1e3 * (time.monotonic() - began):.1f} ms"
        except InferenceServerException as error:
            if error.status() != "503":
                return f"failed: {error.message()}"
        except OSError as error:
            print(f"waiting: {error}", file=sys.stderr, flush=True)
        time.sleep(PAUSE)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="127.0.0.1:8080", help="host:port of the inference API (default: %(default)s)")
    parser.add_argument("--model", required=True, help="the network that is served, such as resnet20")
    parser.add_argument("--labels", help="file with one label a line, in the order of the classes")
    parser.add_argument("--period", type=float, default=0.2, help="seconds between two looks (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds after which a frame is old (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="end when every image there is has been classified")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"camera.py: {arguments.folder} is no folder")
    classifier, seen = connect(arguments), set()
    while True:
        images = new_images(arguments.folder, seen)
        for path in images:
            seen.add(path.name)
            line = classify(classifier, path, arguments.timeout) or "skipped: too old"
            print(f"{time.strftime('%H:%M:%S')}\t{path.name}\t{line}", flush=True)
        if arguments.once and not images:
            return
        time.sleep(arguments.period)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
