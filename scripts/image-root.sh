#!/usr/bin/env bash
# Makes the root file system of a container image: programs, the shared libraries that they need, and nothing else.
#
#   scripts/image-root.sh OUT PROGRAM...
#
# The Dockerfile copies OUT into an empty image. No shell, no package manager, no other program is in it, so there is nothing to
# update but Weir and the few libraries that the last line lists; the loader finds them where it found them here.
# Symbols for debuggers are left out; the names of functions stay in the programs, for backtraces.
# Always true: OUT holds every library that `ldd` names for a program, or the script fails.
set -euo pipefail

die() {
    printf 'image-root: error: %s\n' "$1" >&2
    printf 'image-root: remedy: %s\n' "$2" >&2
    exit 1
}
(($# >= 2)) || die "an argument is missing" "scripts/image-root.sh OUT PROGRAM..."
out=$1
shift
[[ ! -e $out ]] || die "$out exists" "remove it, or name another folder"

# 65532 is what others call `nonroot`; the chart runs pods as it.
readonly USER_ID=65532

command -v strip >/dev/null || die "strip is missing" "apt-get install -y binutils"

mkdir -p "$out"/{etc,tmp,usr/bin,var/lib/weir}
printf 'weir:x:%d:%d::/var/lib/weir:/sbin/nologin\n' $USER_ID $USER_ID >"$out/etc/passwd"
printf 'weir:x:%d:\n' $USER_ID >"$out/etc/group"
# Names of Services are looked up by DNS; without this line glibc asks services that are not there.
printf 'hosts: files dns\n' >"$out/etc/nsswitch.conf"
chmod 1777 "$out/tmp"

for program; do
    [[ -x $program ]] || die "$program is no program" "build it first: make build"
    strip --strip-debug -o "$out/usr/bin/$(basename "$program")" "$program"
    # Lines are `name => path (address)`, or `path (address)` for the loader itself.
    needed=$(ldd "$program")
    ! grep -q 'not found' <<<"$needed" ||
        die "$program misses $(grep 'not found' <<<"$needed" | xargs)" "run make setup and make build again"
    while read -r library; do
        [[ ! -e $out$library ]] || continue
        cp --dereference --parents "$library" "$out"
        strip --strip-unneeded "$out$library"
    done < <(grep -o '/[^ ]*' <<<"$needed" | sort -u)
done
# Whoever runs it is not who made it.
chmod -R a+rX "$out"
(cd "$out" && find . -type f -printf '%10s %p\n' | sort -k2) >&2
