#!/usr/bin/env bash
# Builds influxd, the InfluxDB 2 server the tests write to, from its Go module
# and puts it in the user's cache. Needs go, cargo and a C compiler; takes 6 to
# 10 minutes on two cores the first time and nothing afterwards.
#
# Prints the path of the program on stdout, everything else on stderr.
# Exit code 3: a tool that the build needs is missing (it says which).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module="$here/influxd"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wearable-twin"
version=$(sed -n 's|.*github.com/influxdata/influxdb/v2 \(v[0-9.]*\).*|\1|p' "$module/go.mod" | head -n 1)
wanted="$cache/influxd-$version"

say() { echo "influxd: $*" >&2; }

if [[ -x "$wanted" ]]; then
    echo "$wanted"
    exit 0
fi

missing=()
for tool in go cargo cc flock; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
    say "cannot build: ${missing[*]} not installed"
    exit 3
fi

mkdir -p "$cache"
# Two runs at once build once: the second waits here and finds the program.
exec 9>"$cache/influxd.lock"
if ! flock -n 9; then
    say "another run is building it; waiting"
    flock 9
fi
if [[ -x "$wanted" ]]; then
    echo "$wanted"
    exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "building $version (once; 6 to 10 minutes on two cores)"
began=$SECONDS

# The module is built where it was copied to: a checkout stays untouched.
cp "$module/go.mod" "$module/go.sum" "$work/"
cp "$module"/*.go "$work/" 2>/dev/null || true
cd "$work"

# The query engine is Rust and pins an old toolchain; newer compilers warn
# about it and its sources deny warnings. RUSTFLAGS does not reach build
# dependencies, a wrapper does.
printf '#!/bin/sh\nexec "$@" --cap-lints warn\n' >"$work/rustc-cap-lints"
chmod +x "$work/rustc-cap-lints"
export RUSTC_WRAPPER="$work/rustc-cap-lints"
if command -v rustup >/dev/null; then
    export RUSTUP_TOOLCHAIN="${TWIN_RUST_TOOLCHAIN:-stable}"
fi
export CARGO_PROFILE_RELEASE_LTO=off # minutes less, about the same speed
export CGO_ENABLED=1
export GOWORK=off
export GOFLAGS="-mod=readonly -buildvcs=false"

go build -o "$work/pkg-config" github.com/influxdata/pkg-config >&2
# influxdata/pkg-config builds the query engine and then asks the next
# pkg-config on PATH for everything else.
export PKG_CONFIG="$work/pkg-config"
go build -trimpath -ldflags "-s -w" -o "$work/influxd" \
    github.com/influxdata/influxdb/v2/cmd/influxd >&2

"$work/influxd" version >&2
mv "$work/influxd" "$wanted"
say "built in $((SECONDS - began)) s"
echo "$wanted"
