#!/usr/bin/env bash
# Makes Triton's perf_analyzer available and prints its path on stdout.
#
#   scripts/setup-perf-analyzer.sh
#
# In:  WEIR_PERF_ANALYZER   one to use instead of the pinned one, for machines that it does not fit (optional)
#
# NVIDIA ships it in the wheel of its Python client; this is the newest that runs with glibc 2.36. It lies in the user's cache.
# Always true: a folder with its marker is complete; one without is made again.
set -euo pipefail

readonly CLIENT=tritonclient==2.41.0
readonly CLIENT_SHA256=cf4ed5df836fa99937678a9fd852f86ba05c7b83656dd0a540e20afdb9ab4629
# The program wants it, and without a GPU calls nothing in it.
readonly CUDA=nvidia-cuda-runtime-cu12==12.9.79
readonly CUDA_SHA256=25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir/perf-analyzer-2.41.0

say() { printf 'perf_analyzer: %s\n' "$*" >&2; }
die() {
    printf 'perf_analyzer: error: %s\n' "$1" >&2
    printf 'perf_analyzer: remedy: %s\n' "$2" >&2
    exit 1
}
remedy="put a perf_analyzer that runs here into WEIR_PERF_ANALYZER"

if [[ -n ${WEIR_PERF_ANALYZER:-} ]]; then
    echo "$WEIR_PERF_ANALYZER"
    exit
fi
[[ $(uname -m) == x86_64 ]] || die "NVIDIA ships none for $(uname -m)" "$remedy"

# With -h it says how it is used, and its status is not 0.
runs() { [[ $("$CACHE/perf_analyzer" -h 2>&1) == *measurement-interval* ]]; }
is_complete() { [[ -f $CACHE/.complete ]] && runs; }

fetch_wheel() {
    python3 -m pip download --quiet --no-deps --only-binary :all: --disable-pip-version-check --dest "$CACHE" "$1" >&2 ||
        die "pip could not fetch $1" "check the network and pip's index settings, or $remedy"
    local wheel=("$CACHE"/*.whl) found
    found=$(sha256sum "${wheel[0]}" | cut -d ' ' -f 1)
    [[ $found == "$2" ]] || die "the SHA-256 of $1 is $found, not $2" "do not use it; report this"
    python3 -m zipfile -e "${wheel[0]}" "$CACHE/wheel"
    rm "${wheel[0]}"
}

if ! is_complete; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || die "its library libb64 comes from Debian" "$remedy"
    mkdir -p "$(dirname "$CACHE")"
    # One clone downloads, the others wait and then find it done.
    exec 9>"$CACHE.lock"
    flock 9
    if ! is_complete; then
        say "downloading it (once)"
        rm -rf "$CACHE"
        mkdir -p "$CACHE/lib"
        fetch_wheel "$CLIENT" "$CLIENT_SHA256"
        fetch_wheel "$CUDA" "$CUDA_SHA256"
        if ! (cd "$CACHE" && apt-get download -q libb64-0d) >&2; then
            [[ $(id -u) == 0 ]] || die "apt-get cannot download libb64-0d" "sudo apt-get update, or $remedy"
            apt-get update -q >&2 && (cd "$CACHE" && apt-get download -q libb64-0d) >&2 ||
                die "apt-get cannot download libb64-0d" "check the network and /etc/apt/sources.list, or $remedy"
        fi
        dpkg-deb -x "$CACHE"/libb64-0d_*.deb "$CACHE/deb"
        find "$CACHE/deb" "$CACHE/wheel/nvidia" -name '*.so*' -exec cp -d {} "$CACHE/lib" \;
        install -m 755 "$CACHE/wheel/tritonclient-2.41.0.data/data/bin/perf_analyzer" "$CACHE/program"
        rm -r "$CACHE/wheel" "$CACHE/deb" "$CACHE"/*.deb
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$CACHE/lib" "$CACHE/program" >"$CACHE/perf_analyzer"
        chmod 755 "$CACHE/perf_analyzer"
        runs || die "the downloaded program does not run here" "$remedy"
        touch "$CACHE/.complete"
        say "ready: $CACHE"
    fi
fi
echo "$CACHE/perf_analyzer"
