#!/usr/bin/env bash
# Makes .venv and installs this checkout into it with the locked versions.
#   scripts/venv.sh run   what `twin` needs
#   scripts/venv.sh dev   the tools of make check and make test as well
# Quick when nothing changed: a stamp holds the hash of what was installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what="${1:-dev}"
python="${PYTHON:-python3}"
case "$what" in
run) target="." ;;
dev) target=".[dev]" ;;
*)
    echo "usage: scripts/venv.sh run|dev" >&2
    exit 2
    ;;
esac

say() { echo "venv: $*" >&2; }

command -v "$python" >/dev/null || {
    say "no $python here. On Debian: apt-get install -y python3 python3-venv"
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed, $("$python" --version) found (PYTHON=… names another)"
    exit 1
}

# Two makes at once: the second waits and then finds the work done.
if command -v flock >/dev/null; then
    exec 9>.venv.lock
    flock 9
fi

# Only what changes an installation counts; lint rules do not.
state=$("$python" - <<'PY'
import hashlib, json, os, pathlib, sys, tomllib

config = tomllib.loads(pathlib.Path("pyproject.toml").read_text())
parts = [config["build-system"], config["project"], config["tool"]["setuptools"]]
lock = pathlib.Path("requirements.lock").read_text()
text = json.dumps([parts, lock, sys.version, os.getcwd()], sort_keys=True)
print(hashlib.sha256(text.encode()).hexdigest())
PY
)
installed() { [[ -f ".venv/.installed-$1" && "$(cat ".venv/.installed-$1")" == "$state" ]]; }
if installed "$what" || installed dev; then
    exit 0
fi

rm -f .venv/.installed-run .venv/.installed-dev
# An environment that was moved along with its folder has programs that point at the old place.
if [[ "$(cat .venv/.made-in 2>/dev/null)" != "$PWD" ]] ||
    ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        say "cannot make a virtual environment: Python's venv module is missing or broken."
        say "On Debian: apt-get install -y python3-venv. Then run make again."
        exit 1
    fi
    pwd >.venv/.made-in
fi

say "installing $target with the versions of requirements.lock"
install() {
    .venv/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
        --constraint requirements.lock "$@"
}
install setuptools wheel
# compat: a path entry instead of an import hook, so new packages are seen at once.
install --no-build-isolation --config-settings editable_mode=compat --editable "$target"
# Compiled here on all cores and without the libraries' own tests: faster than pip does it.
.venv/bin/python -m compileall -q -j 0 -x '/(tests|testing)/' .venv/lib/python3*/site-packages \
    >/dev/null 2>&1 || true
# What the worker computes with is compiled once and kept in the user's cache: half a minute that
# the first start need not take. Without it, that start does it.
say "compiling the kernels"
.venv/bin/python -m twin.warm || say "not compiled now; the first start will do it"
echo "$state" >".venv/.installed-$what"
say "done"
