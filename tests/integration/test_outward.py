"""State and alarms outward, through a real broker: late subscribers, restarts, kills."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from ingest.instant import MINUTE, SECOND
from ingest.journal.sqlite import SqliteJournal
from ingest.registry import Registry
from ingest.registry_devices import withdraw
from ingest.settings import DeviceSettings
from tests.support.commands import eventually
from tests.support.estimates import T0, batch, observed
from tests.support.judged import alarm
from tests.support.publisher import publish_all, reading
from tests.support.servers import MosquittoServer
from tests.support.subscriber import Subscriber
from twin.config import Config
from twin.estimate import Output, encode_output
from twin.judgement import AlarmEvent, AlarmState, Judgements
from twin.outward.record import Record
from twin.runtime.outward import Outward, outward_of
from twin.runtime.pipeline import Pipeline

pytestmark = pytest.mark.integration

CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}
ALL = "twin-out/v1/#"

#: A process that tells until it is killed.
PROGRAM = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from ingest.journal.sqlite import SqliteJournal
from twin.config import Config
from twin.runtime.outward import outward_of
folder, port = Path(sys.argv[1]), int(sys.argv[2])
config = Config.model_validate(
    {"data_dir": folder, "mqtt": {"port": port}, "outward": {"enabled": True}})
with ExitStack() as opened:
    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
    outward = outward_of(config, journal, opened)
    print("begun", flush=True)
    while True:
        time.sleep(0.2)
"""


@pytest.fixture
def broker() -> Iterator[MosquittoServer]:
    with MosquittoServer() as server:
        yield server


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 16)
    yield opened
    opened.close()


def configured(folder: Path, port: int, protocol: str = "5", mode: str = "research") -> Config:
    return Config.model_validate(
        {
            "data_dir": folder,
            "mqtt": {"port": port, "protocol": protocol},
            "purpose": {"mode": mode},
            "outward": {"enabled": True},
        }
    )


def write(journal: SqliteJournal, *outputs: Output) -> None:
    journal.append("estimates", [(0, encode_output(each)) for each in outputs])


def settle(outward: Outward, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while outward.behind and time.monotonic() < deadline:
        time.sleep(0.05)
    assert outward.behind == 0


def events(subscriber: Subscriber, id: str) -> list[str]:  # noqa: A002
    topic = f"twin-out/v1/p1/alarm/{id}"
    said = [payload for at, payload in subscriber.received if at == topic]
    return [json.loads(payload)["event"] if payload else "" for payload in said]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_who_subscribes_late_gets_the_state_and_the_alarms_that_stand(
    broker: MosquittoServer, journal: SqliteJournal, tmp_path: Path, protocol: str
) -> None:
    config = configured(tmp_path, broker.port, protocol)
    with ExitStack() as opened:
        outward = outward_of(config, journal, opened)
        assert outward is not None
        with Subscriber(broker.port, ALL) as early:
            write(journal, batch(observed(T0, 72.0)), Judgements((alarm(), alarm("a2"))))
            write(journal, Judgements((alarm("a2", at=9, **CLOSED),)))
            early.wait_for(5)
            settle(outward)
            assert events(early, "a2") == ["raised", "closed", ""]
        with Subscriber(broker.port, ALL, "late") as late:
            late.wait_for(2)
        topics = sorted(topic for topic, _payload in late.received)
        assert topics == ["twin-out/v1/p1/alarm/a1", "twin-out/v1/p1/state"]
        assert {m.name: m.value for m in outward.metrics()}["twin_outward_connected"] == 1


def test_a_broker_that_was_away_and_forgot_gets_every_transition_and_what_stands(
    broker: MosquittoServer, journal: SqliteJournal, tmp_path: Path
) -> None:
    with ExitStack() as opened, Subscriber(broker.port, ALL) as subscriber:
        outward = outward_of(configured(tmp_path, broker.port), journal, opened)
        assert outward is not None
        write(journal, batch(observed(T0, 72.0)), Judgements((alarm(),)))
        subscriber.wait_for(2)
        settle(outward)
        broker.kill()  # not saved: nothing is retained any more
        write(journal, Judgements((alarm(at=30, event=AlarmEvent.ESCALATED, escalation=1),)))
        eventually(lambda: outward.behind == 1, "behind")
        eventually(lambda: outward.trouble == "broker not connected", "said to be away")
        time.sleep(1.0)
        assert outward.behind == 1
        broker.start()
        settle(outward)
        subscriber.wait_for(3)
        assert events(subscriber, "a1")[-1] == "escalated"
        with Subscriber(broker.port, ALL, "late") as late:
            assert len(late.wait_for(2)) == 2


def test_a_killed_process_loses_no_transition(
    broker: MosquittoServer, journal: SqliteJournal, tmp_path: Path
) -> None:
    record = Record(tmp_path / "care" / "outward.db")
    record.begin(0)  # nothing here is of before it was turned on
    record.close()
    alarms = 1_500
    for n in range(alarms):
        write(
            journal,
            Judgements((alarm(f"a{n}", at=n),)),
            Judgements((alarm(f"a{n}", at=n + 0.5, **CLOSED),)),
        )
    expected = {f"a{n}-{event}" for n in range(alarms) for event in ("raised", "closed")}
    with Subscriber(broker.port, ALL) as subscriber:
        for kill in range(4):
            child = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(tmp_path), str(broker.port)],
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None
            child.stdout.readline()
            subscriber.wait_for(kill * 900 + 100)  # soon, while most is to come
            child.kill()
            child.wait()
            child.stdout.close()
            if kill == 0:
                record = Record(tmp_path / "care" / "outward.db")
                assert (record.position or 0) < 2 * alarms  # it was in the middle
                record.close()
        with ExitStack() as opened:
            outward = outward_of(configured(tmp_path, broker.port), journal, opened)
            assert outward is not None
            settle(outward, 120.0)
            deadline = time.monotonic() + 60
            while expected - transitions(subscriber) and time.monotonic() < deadline:
                time.sleep(0.1)
    assert expected - transitions(subscriber) == set()
    with Subscriber(broker.port, ALL, "late") as late:
        time.sleep(0.5)
        assert late.received == []  # all are closed: nothing is retained


def transitions(subscriber: Subscriber) -> set[str]:
    """Alarm and event of every transition that came."""
    bodies = [json.loads(payload) for _topic, payload in list(subscriber.received) if payload]
    return {f"{body['alarm']}-{body['event']}" for body in bodies if "alarm" in body}


def test_in_wellness_no_alarm_leaves(
    broker: MosquittoServer, journal: SqliteJournal, tmp_path: Path
) -> None:
    with ExitStack() as opened, Subscriber(broker.port, ALL) as subscriber:
        outward = outward_of(configured(tmp_path, broker.port, mode="wellness"), journal, opened)
        assert outward is not None
        write(journal, Judgements((alarm(),)), batch(observed(T0 + MINUTE, 72.0)))
        subscriber.wait_for(1)
        settle(outward)
        assert {topic for topic, _payload in subscriber.received} == {"twin-out/v1/p1/state"}


def test_a_broker_that_refuses_us_is_said_and_nothing_is_skipped(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n", "ascii")
    acl.chmod(0o600)
    with MosquittoServer(settings={"acl_file": str(acl)}) as broker, ExitStack() as opened:
        outward = outward_of(configured(tmp_path, broker.port), journal, opened)
        assert outward is not None
        write(journal, Judgements((alarm(),)))
        eventually(lambda: outward.trouble == "refused: Not authorized", "said")
        assert outward.behind == 1


def test_the_whole_line_tells_states_is_counted_and_holds_the_journals_trim(
    broker: MosquittoServer, tmp_path: Path
) -> None:
    tables = {"mqtt": {"port": broker.port}, "devices": {"unknown": "register"}}
    told = {"outward": {"enabled": True}, "care": {"port": 0}}
    pipeline = Pipeline(Config.model_validate({"data_dir": tmp_path, **tables, **told}))
    pipeline.start()
    try:
        with Subscriber(broker.port, ALL) as subscriber:
            now = time.time_ns() // SECOND * SECOND
            publish_all(broker.port, [reading("watch-1", now, {"heart_rate": 70})])
            subscriber.wait_for(1)
            ((topic, payload), *_) = subscriber.received
        with urlopen(f"{pipeline.address}/metrics") as answer:
            metrics = answer.read().decode()
        with urlopen(f"{pipeline.address}/healthz") as answer:
            assert json.load(answer)["parts"]["outward"] == "ok"
    finally:
        pipeline.stop()
    patient = json.loads(payload)["patient"]
    assert topic == f"twin-out/v1/{patient}/state"
    assert "watch-1" not in payload.decode()
    assert 'twin_outward_messages_total{kind="state"}' in metrics
    assert "twin_outward_behind_records" in metrics
    assert 'twin_watchdog{watchdog="outward_behind"} 0' in metrics
    assert int((tmp_path / "journal" / "readers" / "outward").read_text("ascii")) > 0


def test_a_withdrawn_consent_clears_what_the_broker_retains_of_the_patient_alone(
    broker: MosquittoServer, journal: SqliteJournal, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry", DeviceSettings(), time.time_ns)
    for patient in ("p1", "p2"):
        registry.add_patient(patient=patient)
    with ExitStack() as opened, Subscriber(broker.port, ALL) as subscriber:
        opened.callback(registry.close)
        outward = outward_of(configured(tmp_path, broker.port), journal, opened, registry)
        assert outward is not None
        write(journal, batch(observed(T0, 72.0)), batch(observed(T0, 80.0, patient="p2")))
        write(journal, Judgements((alarm(), alarm("b1", patient="p2"))))
        subscriber.wait_for(4)
        settle(outward)
        mine = {"twin-out/v1/p1/state", "twin-out/v1/p1/alarm/a1"}
        others = {"twin-out/v1/p2/state", "twin-out/v1/p2/alarm/b1"}
        assert retained(broker, mine | others) == mine | others
        # Another process, as `twin patients withdraw` is one.
        other = Registry(tmp_path / "registry", DeviceSettings(), time.time_ns)
        withdraw(other, "p1")
        other.close()
        subscriber.wait_for(6)
        assert retained(broker, others) == others
        write(journal, batch(observed(T0 + MINUTE, 75.0)), Judgements((alarm("a9"),)))
        write(journal, batch(observed(T0 + MINUTE, 90.0, patient="p2")))
        subscriber.wait_for(7)
        settle(outward)
        mine_said = [payload for topic, payload in subscriber.received if "/p1/" in topic]
        assert mine_said[mine_said.index(b"") :] == [b"", b""]
    broker.kill()
    broker.start()  # what it retained was in memory; a new start of ours says p2 alone
    with ExitStack() as opened:
        registry = Registry(tmp_path / "registry", DeviceSettings(), time.time_ns)
        opened.callback(registry.close)
        outward = outward_of(configured(tmp_path, broker.port), journal, opened, registry)
        assert outward is not None
        settle(outward)
        assert retained(broker, others) == others


def retained(broker: MosquittoServer, expected: set[str], seconds: float = 60.0) -> set[str]:
    """Topics of which the broker retains something, as a new subscriber gets them; asked again
    until they are what is expected, or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        with Subscriber(broker.port, ALL, f"late-{time.monotonic_ns()}") as late:
            late.wait_for(len(expected), 5.0)
            topics = {topic for topic, payload in late.received if payload}
        if topics == expected or time.monotonic() > deadline:
            return topics
