#!/usr/bin/env bash
# Makes the Python environment of the tests and prints the path of its python on stdout.
#
#   scripts/setup-python.sh [REQUIREMENTS]
#
# It lies in the user's cache, under a key made of the requirements and of the Python that it was made for:
# change either and a new one is made; all clones with the same requirements share one.
# Always true: an environment with its marker is complete; one without is made again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly REQUIREMENTS=${1:-orchestrator/tests/requirements.txt}
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir/python

say() { printf 'python: %s\n' "$*" >&2; }
die() {
    printf 'python: error: %s\n' "$1" >&2
    printf 'python: remedy: %s\n' "$2" >&2
    exit 1
}

python3 -c 'import ensurepip, venv' 2>/dev/null ||
    die "python3 with venv is missing" "apt-get install -y python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old for the pinned numpy" "put Python 3.11 or newer first on the PATH"

base=$(python3 -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])')
key=$({ echo "$base" && cat "$REQUIREMENTS"; } | sha256sum | cut -c 1-16)
venv=$CACHE/$key

# Running it proves that the Python underneath still exists.
is_complete() { [[ -f $venv/.complete ]] && "$venv/bin/python" -c '' 2>/dev/null; }

if ! is_complete; then
    mkdir -p "$CACHE"
    # One clone installs, the others wait and then find it done.
    exec 9>"$CACHE/lock"
    flock 9
    if ! is_complete; then
        say "installing the tests' client libraries (once)"
        rm -rf "$venv"
        python3 -m venv "$venv" >&2 || die "python3 -m venv failed" "apt-get install -y python3-venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$REQUIREMENTS" >&2 ||
            die "pip could not install $REQUIREMENTS" "check the network and pip's index settings"
        touch "$venv/.complete"
        say "ready: $venv"
    fi
fi
echo "$venv/bin/python"
