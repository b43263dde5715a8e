#!/usr/bin/env bash
# Gets the servers and the browser that the tests start: mosquitto and Chromium
# from Debian, influxd built once into the user's cache. What cannot be had is
# named here, and the tests that need it are skipped with that reason.
# nats-server comes with the Python environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/sbin:/usr/local/sbin"

say() { echo "servers: $*" >&2; }
have() { command -v "$1" >/dev/null; }

packages=()
have mosquitto || packages+=(mosquitto)
have mosquitto_pub || packages+=(mosquitto-clients)
have chromium || have chromium-browser || have google-chrome || packages+=(chromium)
if ((${#packages[@]})); then
    if ! have apt-get; then
        say "missing: ${packages[*]}; no apt-get here to install them"
    elif [[ "$(id -u)" != 0 ]]; then
        say "missing: ${packages[*]}; as root: apt-get install -y ${packages[*]}"
    else
        say "installing ${packages[*]}"
        log=$(mktemp)
        if ! { apt-get update && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
            tail -n 5 "$log" >&2
            say "apt-get failed; the tests that need ${packages[*]} are skipped"
        fi
        rm -f "$log"
    fi
fi

if [[ -n "${TWIN_TEST_INFLUX_URL:-}" ]]; then
    say "influxd: the one at TWIN_TEST_INFLUX_URL"
elif have influxd; then
    say "influxd: $(command -v influxd)"
elif influxd=$(tests/servers/build_influxd.sh); then
    say "influxd: $influxd"
else
    say "influxd cannot be had; the tests that need it are skipped"
fi
for program in mosquitto mosquitto_pub chromium; do
    have "$program" && say "$program: $(command -v "$program")"
done
exit 0
