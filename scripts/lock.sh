#!/usr/bin/env bash
# Writes requirements.lock anew: the newest versions that pyproject.toml allows,
# resolved in an environment of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip --disable-pip-version-check install --quiet setuptools wheel '.[dev]'
{
    echo "# Exact versions of all that make installs, to run and to develop, tried together on"
    echo "# Python 3.11. Written by 'make lock'; used as constraints."
    "$work/venv/bin/python" -m pip --disable-pip-version-check list --format=freeze |
        grep -v -E '^(pip|wearable-twin)=='
} >"$work/requirements.lock"
mv "$work/requirements.lock" requirements.lock
