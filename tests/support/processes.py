"""A server process that ends with the test that started it, also when that test is killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path

# The parent-death signal is set by a small program in between, not by preexec_fn: forking Python
# code out of a process with threads can hang. It fires when the *thread* that started the server
# ends, so servers are started from a thread that outlives them (a fixture's is).
_LAUNCHER = """
import ctypes, os, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, 9)
    if os.getppid() != parent:
        sys.exit("parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServerFailed(Exception):
    """A server ended by itself, or did not come up or go down in time."""

    def __init__(self, program: str, reason: str, log: str) -> None:
        self.program = program
        self.reason = reason
        self.log = log
        super().__init__(f"{program} {reason}; the end of its log:\n{log}")


#: Below the ports that Linux gives to clients (32768 on): a server that is stopped and started on
#: its port would else now and then find a client of somebody there.
_PORTS = range(12_000, 32_000)
#: Given in turn, each once; processes that run at the same time begin far from one another.
_turns = count(os.getpid() * 1_009)


def free_port() -> int:
    """A loopback TCP port that nobody has now, and that no other test of this process is given."""
    for turn in islice(_turns, len(_PORTS)):
        port = _PORTS[turn % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A loopback TCP port that refuses connections, and that nobody can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, and never listening
        yield holder.getsockname()[1]


class ServerProcess:
    """One program that listens on a loopback port; started, stopped, killed and started again."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        directory: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.port = port
        self.directory = directory
        self.log_path = directory / "server.log"
        self._stop_signal = stop_signal
        self._environment = dict(os.environ if environment is None else environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise self._failed("is not running")
        return self._process.pid

    def start(self, timeout: float = 180.0) -> None:
        """Starts the program and returns when its port accepts connections."""
        process = self.launch()
        deadline = time.monotonic() + timeout
        while not self._accepts():
            if (code := process.poll()) is not None:
                self._process = None
                raise self._failed(f"ended by itself with code {code}")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failed(f"did not listen on port {self.port} within {timeout} s")
            time.sleep(0.01)

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts the program and waits for nothing."""
        if self.running:
            raise self._failed("is running already")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", _LAUNCHER, str(os.getpid()), *self.command],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self._process

    def stop(self, timeout: float = 60.0) -> int | None:
        """Asks the program to end, waits until it has, returns its exit code; None if not running.

        One that ended by itself counts as running until this asks for its code.
        """
        if self._process is None:
            return None
        self._process.send_signal(self._stop_signal)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(f"did not stop within {timeout} s") from None
        self._process = None
        return code

    def kill(self) -> None:
        """Ends the program by SIGKILL: it can save nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freezes the program: its port still accepts, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused program go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends the program, gently if it can be; never raises."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.resume()
        with contextlib.suppress(ServerFailed):
            self.stop(timeout=30.0)

    def log(self, characters: int = 2000) -> str:
        """The end of what the program wrote on stdout and stderr."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")[-characters:]

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5):
                return True
        except OSError:
            return False

    def _failed(self, reason: str) -> ServerFailed:
        return ServerFailed(Path(self.command[0]).name, reason, self.log())
