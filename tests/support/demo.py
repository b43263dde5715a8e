"""`twin demo` as a process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from signal import SIGSTOP
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.support.commands import TWIN, eventually
from tests.support.stopwatch import Stopwatch


class DemoRun:
    """`twin demo --json` on a folder; started on entry, ended on exit."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [*TWIN, "demo", "--json", "--data-dir", str(folder / "data"), *options]
        self._out, self._words = folder / "stdout", folder / "stderr"
        self._process: subprocess.Popen[bytes] | None = None
        self.announced: dict[str, str] = {}

    def start(self) -> float:
        """Start it and wait for what it announces; returns the seconds that took."""
        with self._out.open("wb") as out, self._words.open("ab") as words:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=words)
        took = eventually(
            lambda: self.stdout().endswith("\n") or not self.running, "announced", 180.0
        )
        assert self.running, f"twin demo ended: {self._words.read_text()[-2000:]}"
        self.announced = json.loads(self.stdout())
        return took

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def mqtt_port(self) -> int:
        return int(self.announced["mqtt"].rsplit(":", 1)[1])

    def stdout(self) -> str:
        return self._out.read_text()

    def stderr(self) -> str:
        return self._words.read_text()

    def patients(self) -> list[dict[str, Any]]:
        """/api/v1/patients."""
        found: list[dict[str, Any]] = self.get("/api/v1/patients")["patients"]
        return found

    def get(self, path: str) -> Any:
        """The body of an answer of its API."""
        answer = httpx2.get(self.announced["url"] + path, timeout=60.0)
        answer.raise_for_status()
        return answer.json()

    def wait(self, seconds: float) -> int:
        """Until it has ended by itself; its exit code."""
        return self._started().wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and 10 s to end, of a machine that has them to spare; its exit code."""
        watch = Stopwatch()
        self._started().terminate()
        code = self._started().wait(90.0)
        assert watch.unhindered < 10.0
        return code

    def pause(self) -> None:
        """Freeze the main process alone (SIGSTOP): its broker goes on without it."""
        self._started().send_signal(SIGSTOP)

    def kill(self) -> None:
        """SIGKILL of the main process alone."""
        self._started().kill()
        self._started().wait()

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
