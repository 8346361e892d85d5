#!/usr/bin/env bash
# Makes what the live page's test needs available, and prints the folder with `python`, `chromium` and `axe.min.js` on stdout.
#
#   scripts/setup-browser.sh
#
# In:  WEIR_CHROMIUM   a Chromium or Chrome to use instead of the one on the PATH (optional)
#
# Playwright and axe-core are pinned; the browser is the system's, because distributions keep only the newest one. The folder
# lies in the user's cache, under a key made of all versions: change one and a new one is made.
# Always true: a folder with its marker is complete; one without is made again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The rules of accessibility, as npm has them; the digest is that of axe.min.js.
readonly AXE=axe-core@4.14.1
readonly AXE_SHA256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c

# The page's style needs what browsers have since 2024 (light-dark(), :has()).
readonly CHROMIUM_MIN=123

readonly REQUIREMENTS=orchestrator/tests/page/requirements.txt
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir/browser

say() { printf 'browser: %s\n' "$*" >&2; }
die() {
    printf 'browser: error: %s\n' "$1" >&2
    printf 'browser: remedy: %s\n' "$2" >&2
    exit 1
}

# Debian's packages, where this is root's machine; otherwise the remedy is told.
install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || die "$1 is missing" "sudo apt-get install -y $1"
    say "installing $1"
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$1" >&2 ||
        die "apt-get could not install $1" "apt-get update && apt-get install -y $1"
}

find_chromium() {
    local name
    if [[ -n ${WEIR_CHROMIUM:-} ]]; then
        command -v "$WEIR_CHROMIUM" || die "WEIR_CHROMIUM is $WEIR_CHROMIUM, which is no program" "set it to a Chromium's path"
        return
    fi
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

python3 -c 'import ensurepip, venv' 2>/dev/null ||
    die "python3 with venv is missing" "apt-get install -y python3 python3-venv"
chromium=$(find_chromium) || { install chromium && chromium=$(find_chromium); }
version=$("$chromium" --version 2>/dev/null) || die "$chromium does not run here" "set WEIR_CHROMIUM to one that does"
[[ $version =~ ([0-9]+)\. && ${BASH_REMATCH[1]} -ge $CHROMIUM_MIN ]] ||
    die "$version is older than $CHROMIUM_MIN" "install a newer Chromium, or set WEIR_CHROMIUM to one"

base=$(python3 -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])')
key=$({ echo "$base $AXE_SHA256" && cat "$REQUIREMENTS"; } | sha256sum | cut -c 1-16)
home=$CACHE/$key

# Running it proves that the Python underneath still exists.
is_complete() { [[ -f $home/.complete ]] && "$home/bin/python" -c '' 2>/dev/null; }

fetch_axe() {
    local work=$home/download found
    command -v npm >/dev/null || install npm
    mkdir "$work"
    (cd "$work" && npm pack --silent "$AXE" >/dev/null) >&2 ||
        die "npm could not fetch $AXE" "check the network and npm's registry settings"
    tar -xzf "$work"/*.tgz -C "$work" package/axe.min.js
    found=$(sha256sum "$work/package/axe.min.js" | cut -d ' ' -f 1)
    [[ $found == "$AXE_SHA256" ]] || die "the SHA-256 of $AXE's axe.min.js is $found, not $AXE_SHA256" "do not use it; report this"
    mv "$work/package/axe.min.js" "$home/bin/"
    rm -r "$work"
}

if ! is_complete; then
    mkdir -p "$CACHE"
    # One clone installs, the others wait and then find it done.
    exec 9>"$CACHE/lock"
    flock 9
    if ! is_complete; then
        say "installing the tests' libraries (once)"
        rm -rf "$home"
        python3 -m venv "$home" >&2 || die "python3 -m venv failed" "apt-get install -y python3-venv"
        "$home/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$REQUIREMENTS" >&2 ||
            die "pip could not install $REQUIREMENTS" "check the network and pip's index settings"
        fetch_axe
        touch "$home/.complete"
        say "ready: $home"
    fi
fi
ln -sfn "$chromium" "$home/bin/chromium"
echo "$home/bin"
