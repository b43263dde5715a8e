"""`twin run` as a process of its own, whole or by roles."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.support.commands import TWIN, eventually
from tests.support.processes import ServerProcess, free_port
from tests.support.servers import InfluxServer

#: Tables of a configuration: {"store.influx": {"url": …}}
Tables = dict[str, Mapping[str, object]]


class TwinRun:
    """`twin run` on a folder and a page port of its own; started on entry, stopped on exit.

    tables: the configuration's tables beside `[care]`. roles: only these, of a process that shares
    data_dir with others; then its port is that of its monitor.
    """

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        roles: Sequence[str] = (),
        data_dir: Path | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir or folder / "data"
        self.port = free_port()
        self.config = folder / "config.toml"
        served = {"monitor" if roles and "care" not in roles else "care": {"port": self.port}}
        self.config.write_text(_toml(self.data_dir, {**served, **tables}))
        command = [*TWIN, "run", "-c", str(self.config)]
        command += [word for role in roles for word in ("--role", role)]
        self._process = ServerProcess(command, port=self.port, directory=folder)
        self._launched = 0.0
        #: Seconds from its last launch until `wait_until_connected` saw its session.
        self.connected_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """File of its embedded store."""
        return self.data_dir / "store.db"

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> float:
        """Start it and wait until its page listens; returns the seconds that took."""
        self._launched = time.monotonic()
        self._process.start(timeout=180.0)
        return time.monotonic() - self._launched

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self._launched = time.monotonic()
        self._process.launch()

    def stop(self) -> int | None:
        """SIGTERM; its exit code, None if it was not running."""
        return self._process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        """End it, gently if it can be; never raises."""
        self._process.close()

    def log(self) -> str:
        return self._process.log()

    def get(self, path: str) -> Any:
        """The body of an answer of its API."""
        answer = httpx2.get(self.url + path, timeout=60.0)
        answer.raise_for_status()
        return answer.json()

    def answers(self) -> bool:
        """Whether its page can be asked."""
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=10.0).status_code == 200
        except httpx2.TransportError:
            return False

    def ledgers(self) -> dict[str, Any]:
        """Device → its ledger."""
        return {each["id"]: each["ledger"] for each in self.get("/api/v1/devices")["devices"]}

    def wait_until_connected(self) -> float:
        """Until it has a session at the broker and its subscription; the seconds that took."""
        took = eventually(
            lambda: self.answers() and metric(self.text("/metrics"), "twin_broker_connected") == 1,
            f"connected; its log ends: {self.log()}",
            180.0,
        )
        self.connected_s = time.monotonic() - self._launched
        return took

    def text(self, path: str) -> str:
        return httpx2.get(self.url + path, timeout=60.0).text

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def metric(text: str, name: str) -> float:
    """The sum of a metric over its labels in a Prometheus page; 0 where it is absent."""
    lines = (line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def influx_tables(server: InfluxServer) -> Tables:
    """The tables that make a run write both stores."""
    address = {
        "url": server.url,
        "org": server.org,
        "bucket": server.bucket,
        "token": server.token,
    }
    return {"store": {"kinds": ["embedded", "influx"]}, "store.influx": address}


def _toml(data_dir: Path, tables: Tables) -> str:
    lines = [f"data_dir = {json.dumps(str(data_dir))}"]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
