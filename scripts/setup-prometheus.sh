#!/usr/bin/env bash
# Makes Debian's Prometheus available to the tests and prints the folder with `prometheus` and `promtool` on stdout.
#
#   scripts/setup-prometheus.sh
#
# What is on the PATH is used. Otherwise Debian's package is downloaded and unpacked into the user's cache: that needs no
# root, installs nothing into the system, and starts no daemon.
# Always true: a folder with its marker is complete; one without is made again.
set -euo pipefail

readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir/prometheus

say() { printf 'prometheus: %s\n' "$*" >&2; }
die() {
    printf 'prometheus: error: %s\n' "$1" >&2
    printf 'prometheus: remedy: %s\n' "$2" >&2
    exit 1
}
remedy="install prometheus (with promtool) 2.42 or newer and put both on the PATH; on Debian: apt-get install prometheus"

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    dirname "$(command -v prometheus)"
    exit
fi

is_complete() { [[ -f $CACHE/.complete ]] && "$CACHE/usr/bin/promtool" --version >/dev/null 2>&1; }

if ! is_complete; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "prometheus is missing" "$remedy"
    mkdir -p "$(dirname "$CACHE")"
    # One clone downloads, the others wait and then find it done.
    exec 9>"$CACHE.lock"
    flock 9
    if ! is_complete; then
        say "downloading Debian's package (once)"
        rm -rf "$CACHE"
        mkdir -p "$CACHE"
        cd "$CACHE"
        # Without package lists there is nothing to download; root can fetch them.
        if ! apt-get download -q prometheus >&2; then
            [[ $(id -u) == 0 ]] || die "apt-get cannot download prometheus" "sudo apt-get update, or $remedy"
            apt-get update -q >&2 && apt-get download -q prometheus >&2 ||
                die "apt-get cannot download prometheus" "check the network and /etc/apt/sources.list, or $remedy"
        fi
        dpkg-deb -x prometheus_*.deb . || die "the package cannot be unpacked" "$remedy"
        rm prometheus_*.deb
        for tool in prometheus promtool; do
            "usr/bin/$tool" --version >/dev/null 2>&1 || die "the unpacked $tool does not run here" "$remedy"
        done
        touch .complete
        say "ready: $CACHE"
    fi
fi
echo "$CACHE/usr/bin"
