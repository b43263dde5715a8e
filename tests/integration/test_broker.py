"""The demo's broker as a child process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ingest.fleet.publish import Publisher
from ingest.fleet.settings import Connection
from tests.support.subscriber import Subscriber
from twin.broker import BrokerChild, BrokerFailed, Kind, broker_program, default_kind

pytestmark = pytest.mark.integration

_PARENT = """
import sys, time
from pathlib import Path
from twin.broker import BrokerChild
child = BrokerChild(sys.argv[1], Path(sys.argv[2]))
print(child.start(), child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["nats", "mosquitto"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    if broker_program(kind) is None:
        pytest.skip(f"no {kind} on this machine")
    return kind


@pytest.fixture
def child(kind: Kind, tmp_path: Path) -> Iterator[BrokerChild]:
    child = BrokerChild(kind, tmp_path / "broker")
    yield child
    child.stop()


def publish(port: int, count: int) -> None:
    publisher = Publisher(Connection(), "127.0.0.1", port)
    publisher.start()
    stop = threading.Event()
    try:
        for i in range(count):
            publisher.publish("w", "twin/v1/w/telemetry", b"%d" % i, lambda: None, stop)
        assert publisher.settle(90)
        assert publisher.counts().acknowledged == count
    finally:
        publisher.close()


def ended(pid: int, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return not psutil.pid_exists(pid)


def test_broker_answers_on_loopback_alone_and_stops_when_asked(child: BrokerChild) -> None:
    port = child.start()
    assert child.alive
    assert child.pid is not None
    listening = psutil.Process(child.pid).net_connections("inet")
    assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert port in {c.laddr.port for c in listening}
    pid = child.pid
    child.stop()
    assert not child.alive
    assert ended(pid)
    child.stop()


def test_restarted_broker_has_its_port_and_its_sessions(child: BrokerChild) -> None:
    port = child.start()
    with Subscriber(port):
        pass
    publish(port, 500)
    child.stop()
    again = BrokerChild(child.kind, child.folder)
    try:
        assert again.start() == port
        with Subscriber(port) as subscriber:
            assert len(subscriber.wait_for(500)) == 500
        assert subscriber.resumed == [True]
    finally:
        again.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_broker_ends_with_its_killed_parent_and_keeps_what_it_acknowledged(
    kind: Kind, tmp_path: Path
) -> None:
    folder = tmp_path / "broker"
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, kind, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        port, pid = map(int, parent.stdout.readline().split())
        with Subscriber(port):
            pass
        publish(port, 2_000)
        os.kill(parent.pid, signal.SIGKILL)
    finally:
        parent.kill()
        parent.communicate()
    again = BrokerChild(kind, folder)
    try:
        assert again.start() == port
        assert ended(pid)
        with Subscriber(port) as subscriber:
            assert len(subscriber.wait_for(2_000)) == 2_000
        assert subscriber.resumed == [True]
    finally:
        again.stop()


def test_start_from_another_thread_is_refused(child: BrokerChild) -> None:
    refused: list[BrokerFailed] = []

    def start() -> None:
        try:
            child.start()
        except BrokerFailed as failure:
            refused.append(failure)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in refused[0].why
    assert not child.alive


def test_port_of_another_program_is_waited_for_and_then_refused(
    child: BrokerChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.broker.PORT_PATIENCE_S", 0.3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        child.port = other.getsockname()[1]
        with pytest.raises(BrokerFailed, match="in use") as failure:
            child.start()
    assert failure.value.port == child.port
    assert child.start() == failure.value.port


def test_broker_that_cannot_start_says_why(child: BrokerChild) -> None:
    child.folder.mkdir(parents=True)
    (child.folder / child.kind).write_text("a file where its store should be")
    with pytest.raises(BrokerFailed, match="of no use"):
        child.start()
    assert not child.alive


def test_a_kind_is_chosen_where_one_is_there() -> None:
    kind = default_kind()
    assert kind is None or broker_program(kind) is not None
