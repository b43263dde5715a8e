#!/usr/bin/env bash
# Builds Telegraf, the peer of `twin bench peers`, from its Go module, with only the plugins that the
# comparison needs, and puts it in the user's cache. Needs go; takes 1 to 10 minutes the first time.
#
# Prints the path of the program on stdout, everything else on stderr.
# Exit code 3: go is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wearable-twin"
version=$(sed -n 's|.*github.com/influxdata/telegraf \(v[0-9.]*\).*|\1|p' "$here/telegraf/go.mod" | head -n 1)
wanted="$cache/telegraf-$version"

if [[ -x "$wanted" ]]; then
    echo "$wanted"
    exit 0
fi
command -v go >/dev/null || {
    echo "telegraf: cannot build: go not installed" >&2
    exit 3
}
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here/telegraf/go.mod" "$here/telegraf/go.sum" "$work/"
cd "$work"
export GOWORK=off GOFLAGS="-mod=readonly -buildvcs=false"
tags=custom,inputs.mqtt_consumer,outputs.influxdb_v2,parsers.json_v2,parsers.influx
go build -trimpath -ldflags "-s -w" -tags "$tags" -o "$work/telegraf" \
    github.com/influxdata/telegraf/cmd/telegraf >&2
mv "$work/telegraf" "$wanted"
echo "$wanted"
