#!/usr/bin/env python3
"""Writes grafana/*.json from source/*.py. Needs nothing but Python.

  dashboards/generate.py            write them
  dashboards/generate.py --check    say which are not what source/ gives, and exit with 1 if any

Change source/, run this, and commit both.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ["overview", "pipeline", "links", "energy", "planning", "gateway"]

sys.path.insert(0, str(HERE / "source"))


def texts():
    """What each file should hold."""
    for name in NAMES:
        dashboard = import_module(name).DASHBOARD
        yield HERE / "grafana" / f"{name}.json", json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def stale():
    """The files that hold something else, or that nothing here writes."""
    wanted = dict(texts())
    there = {path: path.read_text() for path in (HERE / "grafana").iterdir()}
    return sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))


def main():
    if sys.argv[1:] == ["--check"]:
        names = [str(path.relative_to(HERE)) for path in stale()]
        if names:
            sys.exit(
                f"not what source/ gives: {', '.join(names)}; run dashboards/generate.py, and remove what it leaves"
            )
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        for path, text in texts():
            path.write_text(text)


if __name__ == "__main__":
    main()
