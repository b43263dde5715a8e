"""Where the tests find the programs they start; what is missing skips the test and says so."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

_ADMIN_FOLDERS = ("/usr/sbin", "/usr/local/sbin")  # not on every user's PATH


def skip_missing(what: str, remedy: str) -> NoReturn:
    """Skips the test; the reason names what is missing and how to get it."""
    pytest.skip(f"{what} is missing: {remedy}")


def cache_folder() -> Path:
    """Where programs that were built once are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "wearable-twin"


def mosquitto_path() -> str:
    """The mosquitto broker."""
    return _on_path("mosquitto") or skip_missing("mosquitto", "apt-get install -y mosquitto")


def mosquitto_client_path(name: str) -> str:
    """`mosquitto_pub` or `mosquitto_sub`."""
    return _on_path(name) or skip_missing(name, "apt-get install -y mosquitto-clients")


def nats_server_path() -> str:
    """nats-server: one on PATH, else the one of this Python environment."""
    installed = Path(sys.executable).parent / "nats-server"
    return (
        _on_path("nats-server")
        or (str(installed) if installed.exists() else None)
        or skip_missing("nats-server", "make venv")
    )


def influxd_path() -> str:
    """influxd of InfluxDB 2: one on PATH, else the newest that `make servers` built."""
    built = sorted(cache_folder().glob("influxd-v*"), key=lambda path: path.stat().st_mtime)
    return (
        _on_path("influxd")
        or (str(built[-1]) if built else None)
        or skip_missing("influxd", "make servers (builds it once; needs go, cargo, a C compiler)")
    )


def chromium_path() -> str:
    """A Chromium or Chrome that Playwright can drive by `executable_path`."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := _on_path(name):
            return path
    skip_missing("chromium", "apt-get install -y chromium")


def _on_path(name: str) -> str | None:
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_ADMIN_FOLDERS]
    return shutil.which(name, path=os.pathsep.join(folders))
