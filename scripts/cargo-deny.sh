#!/usr/bin/env bash
# Runs cargo-deny at one pinned version, so that the verdict on dependencies is the same everywhere.
#
#   scripts/cargo-deny.sh
#
# The tool comes from crates.io, is built once, and lies in the user's cache: ~/.cargo/bin stays as it was.
#
# Bans, licences and sources need no network and are always checked. Advisories need the RustSec database,
# which lives on GitHub. Where it can be fetched, or an earlier copy is at hand, advisories are checked and count.
# Where neither is so, the script says so loudly and passes, unless WEIR_REQUIRE_ADVISORIES=1 (meant for CI).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VERSION=0.20.2
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weir
readonly DATABASES=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs

say() { printf 'cargo-deny: %s\n' "$*" >&2; }

# An installed cargo-deny of the same version saves the build.
if [[ $(cargo-deny --version 2>/dev/null) == "cargo-deny $VERSION" ]]; then
    deny=cargo-deny
else
    deny=$CACHE/cargo-deny-$VERSION/bin/cargo-deny
    if [[ ! -x $deny ]]; then
        say "building cargo-deny $VERSION from crates.io (once, minutes; CARGO_BUILD_JOBS limits its jobs)"
        mkdir -p "$CACHE"
        # From another folder: this repository's .cargo/config.toml is no business of the tool's build.
        (cd "$CACHE" && cargo install --quiet --locked --root "cargo-deny-$VERSION" "cargo-deny@$VERSION") >&2 || {
            say "error: cargo could not install it (message above)"
            say "remedy: cargo install --locked cargo-deny@$VERSION, or put that version on the PATH"
            exit 1
        }
    fi
fi

"$deny" --all-features check --hide-inclusion-graph bans licenses sources

# Offline below: the check above has fetched the crates, and the database is either here by now or it is not.
if "$deny" fetch db; then
    "$deny" --all-features --offline check advisories
elif compgen -G "$DATABASES/*/crates" >/dev/null; then
    say "warning: the advisory database could not be refreshed; checking against the copy in $DATABASES"
    "$deny" --all-features --offline check advisories
else
    say "=================================================================================="
    say "WARNING: ADVISORIES WERE NOT CHECKED. The RustSec database could not be fetched"
    say "(https://github.com/RustSec/advisory-db), and there is no earlier copy of it here."
    say "=================================================================================="
    if [[ ${WEIR_REQUIRE_ADVISORIES:-0} == 1 ]]; then
        say "error: WEIR_REQUIRE_ADVISORIES=1; remedy: allow this machine to reach github.com"
        exit 1
    fi
fi
