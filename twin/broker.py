"""The demo's broker: NATS or mosquitto as a child process, on loopback, its sessions in a folder.

The child ends with its parent, however that ends: on Linux a parent-death signal is set before the
broker is executed. The kernel sends it when the *thread* that forked ends, so `start` belongs to
the main thread. On other systems the child outlives a killed parent and keeps the port.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["nats", "mosquitto"]

#: How long a new broker waits for the port of the last one, and then until it answers, in seconds.
PORT_PATIENCE_S = 10.0
START_PATIENCE_S = 15.0
#: A graceful stop; mosquitto writes its database in it. Below the 10 s in which the demo ends.
STOP_PATIENCE_S = 7.0

# Run by a fresh interpreter: code between fork and exec of a threaded process may dead-lock.
# A parent that died before prctl was called sends no signal, hence the look at getppid.
_LAUNCH = """
import ctypes, os, sys
parent, signal_number, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
os.execv(program[0], program)
"""

_CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x05\x00\x02up"  # MQTT 3.1.1, clean session, id "up"
_CONNACK = b"\x20\x02\x00\x00"
_DISCONNECT = b"\xe0\x00"


class BrokerFailed(Exception):
    """The broker cannot be started. kind and port say which; why is for people."""

    def __init__(self, kind: str, port: int | None, why: str) -> None:
        super().__init__(f"{kind} on port {port}: {why}" if port else f"{kind}: {why}")
        self.kind, self.port, self.why = kind, port, why


def broker_program(kind: Kind) -> str | None:
    """Path of the broker's program: on PATH, in this environment or among the system's, or None."""
    name = {"nats": "nats-server", "mosquitto": "mosquitto"}[kind]
    places = (None, str(Path(sys.prefix) / "bin"), "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    for place in places:
        found = shutil.which(name, path=place)
        if found is not None:
            return found
    return None


def default_kind() -> Kind | None:
    """NATS if it can be had, else mosquitto, else None (docs/adr/0004-demo-broker.md)."""
    kinds: tuple[Kind, ...] = ("nats", "mosquitto")
    return next((kind for kind in kinds if broker_program(kind) is not None), None)


@dataclass(slots=True)
class BrokerChild:
    """One broker process on 127.0.0.1. port None: the folder's last one, at first a free one.

    The folder holds configuration, sessions, log (`broker.log`) and the port (`mqtt-port`). Not
    safe to use from several threads; `start` only from the main thread.
    """

    kind: Kind
    folder: Path
    port: int | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return None if self._child is None else self._child.pid

    def start(self) -> int:
        """Start the broker, wait until it answers, return its port. Raises BrokerFailed.

        Blocks up to PORT_PATIENCE_S while an earlier broker still holds the port, and up to
        START_PATIENCE_S until the new one takes connections.
        """
        if threading.current_thread() is not threading.main_thread():
            raise BrokerFailed(self.kind, self.port, "must be started from the main thread")
        program = broker_program(self.kind)
        if program is None:
            raise BrokerFailed(self.kind, self.port, "no such program on this machine")
        port = self._chosen_port()
        self._wait_for_port(port)
        try:
            argv = [program, *self._configuration(port)]
        except OSError as error:
            raise BrokerFailed(self.kind, port, f"its folder is of no use: {error}") from error
        launch = [str(os.getpid()), str(int(_ENDING_SIGNAL[self.kind])), *argv]
        with (self.folder / "broker.log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, *launch],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is the parent's: it stops the broker last
            )
        self.port = port
        self._wait_until_it_answers(port)
        (self.folder / "mqtt-port").write_text(f"{port}\n")
        return port

    def stop(self) -> None:
        """End the broker gracefully (sessions are saved); kill it if that takes too long."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()
        self._child = None

    def _chosen_port(self) -> int:
        if self.port is not None:
            return self.port
        try:
            return int((self.folder / "mqtt-port").read_text())
        except (FileNotFoundError, ValueError):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                return int(probe.getsockname()[1])

    def _wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + PORT_PATIENCE_S
        while not is_free(port):
            if time.monotonic() > deadline:
                why = "the port is in use: by a demo on the same folder, or by another program"
                raise BrokerFailed(self.kind, port, why)
            time.sleep(0.05)

    def _wait_until_it_answers(self, port: int) -> None:
        deadline = time.monotonic() + START_PATIENCE_S
        while not _answers(port):
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise BrokerFailed(self.kind, port, f"did not start: {self._last_words()}")
            time.sleep(0.02)

    def _last_words(self) -> str:
        lines = (self.folder / "broker.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def _configuration(self, port: int) -> list[str]:
        """Write the broker's configuration; its command line."""
        place = self.folder / f"{self.kind}.conf"
        store = self.folder / self.kind
        store.mkdir(parents=True, exist_ok=True)
        place.write_text(_nats(store, port) if self.kind == "nats" else _mosquitto(store, port))
        return ["-c", str(place)]


# mosquitto saves its database at SIGTERM; killed by SIGKILL it loses what it acknowledged.
_ENDING_SIGNAL = {"nats": signal.SIGTERM, "mosquitto": signal.SIGTERM}


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answers(port: int) -> bool:
    """Whether an MQTT CONNECT on the port is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(_CONNECT)
            answer = connection.recv(4)
            connection.sendall(_DISCONNECT)
            return answer == _CONNACK
    except OSError:
        return False


def _nats(store: Path, port: int) -> str:
    """What a lost subscriber held comes again only ack_wait (30 s by default) after it was sent;
    what is newer overtakes it until then. max_ack_pending bounds how much is held."""
    return f"""server_name: twin-demo
listen: "127.0.0.1:-1"
jetstream {{ store_dir: {_quoted(store)} }}
mqtt {{ host: "127.0.0.1", port: {port}, ack_wait: "2s", max_ack_pending: 200 }}
"""


def _mosquitto(store: Path, port: int) -> str:
    """With mosquitto's defaults (20 in flight, 1 000 queued, not saved) QoS 1 messages are lost
    silently. Started as root it changes its user, which would clear the parent-death signal.
    """
    user = "user root\n" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    return f"""{user}listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {store}/
autosave_interval 30
persistent_client_expiration 30d
max_inflight_messages 2000
max_queued_messages 1000000
max_queued_bytes 1000000000
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
