"""Bad input through a whole `twin run`: each to quarantine with its reason, none in the way."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import DAY, MILLISECOND, SECOND
from tests.support.commands import eventually, succeeded, twin, twin_json
from tests.support.contents import embedded_content
from tests.support.fleets import write_registry
from tests.support.ingest_line import publish
from tests.support.runs import Tables, TwinRun, metric
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration]

WATCH = "twin/v1/watch-7/telemetry"
NOW = time.time_ns() // SECOND * SECOND


def message(ago: int = 0, values: object = None, **more: object) -> str:
    """A native message stamped `ago` ns before the tests began."""
    said = {"heart_rate": 72} if values is None else values
    return json.dumps({"time": (NOW - ago) // MILLISECOND, "values": said, **more})


#: What is wrong → topic, payload, reason in quarantine.
BAD: dict[str, tuple[str, str | bytes, str]] = {
    "undecodable bytes": (WATCH, b"\xff\xfe\x00 nothing", "undecodable"),
    "unknown device": ("twin/v1/stranger/telemetry", message(), "device_unknown"),
    "unknown signal": (WATCH, message(values={"aura": 7}), "signal_unknown"),
    "wrong unit": (WATCH, message(units={"heart_rate": "furlong"}), "unit_unknown"),
    "value out of range": (WATCH, message(values={"heart_rate": 7_200}), "value_out_of_range"),
    "missing time": (WATCH, '{"values": {"heart_rate": 72}}', "time_missing"),
    "absurd time": (WATCH, '{"time": "noon", "values": {"heart_rate": 72}}', "time_unreadable"),
    "time of no zone": (
        WATCH,
        '{"time": "2026-11-25T08:00:00", "values": {"heart_rate": 72}}',
        "time_without_zone",
    ),
    "ancient time": (WATCH, message(ago=500 * DAY), "ancient"),
    "future time": (WATCH, message(ago=-DAY), "future"),
    "1 MB payload": (WATCH, b"[" + b"1," * 524_288 + b"1]", "payload_too_large"),
    "strange topic": ("twin/v1/watch 7 $é/telemetry", message(), "topic_unknown"),
}
#: Three samples, the one in the middle impossible.
BATCH = json.dumps(
    {
        "times": [(NOW - n * SECOND) // MILLISECOND for n in (30, 20, 10)],
        "values": {"heart_rate": [70, 999, 71]},
    }
)


@pytest.fixture
def run(mosquitto_server: MosquittoServer, tmp_path: Path) -> Iterator[TwinRun]:
    """A run that knows one device, after it was sent everything bad and two good messages."""
    port = mosquitto_server.port
    registry = write_registry(tmp_path / "devices.csv", {"watch-7": "patient-1"})
    tables: Tables = {"mqtt": {"port": port}, "devices": {"file": str(registry)}}
    with TwinRun(tmp_path / "run", tables) as run:
        run.wait_until_connected()
        for topic, payload, _ in BAD.values():
            publish(port, topic, payload)
        publish(port, WATCH, BATCH)
        publish(port, WATCH, message())
        received = len(BAD) + 2
        eventually(
            lambda: metric(run.text("/metrics"), "twin_messages_received_total") == received,
            "received",
        )
        eventually(lambda: run.ledgers()["watch-7"]["stored"] == 3, "stored")
        yield run


def expected_reasons() -> dict[str, int]:
    reasons = {reason: 1 for _, _, reason in BAD.values()}
    return reasons | {"value_out_of_range": 2}


def test_each_is_in_quarantine_with_its_reason_and_the_good_in_the_store(run: TwinRun) -> None:
    listed = twin_json("quarantine", "list", "-c", run.config)
    assert listed["by_reason"] == expected_reasons()
    assert run.get("/api/v1/quarantine")["by_reason"] == expected_reasons()
    assert {item["reason"] for item in listed["items"]} == set(expected_reasons())
    assert run.get("/healthz")["status"] == "ok"
    values = embedded_content(run.store).observations.values()
    assert sorted(values) == [70, 71, 72]


def test_the_ledger_adds_up(run: TwinRun) -> None:
    ledgers = run.ledgers()
    ledger = ledgers["watch-7"]
    of_watch = {reason: 1 for topic, _, reason in BAD.values() if topic == WATCH}
    of_watch["value_out_of_range"] += 1
    assert ledger["refused"] == of_watch
    assert ledger["received"] == ledger["journalled"] + sum(of_watch.values())
    assert [ledger[name] for name in ("journalled", "estimated", "stored")] == [3, 3, 3]
    assert ledgers["stranger"]["refused"] == {"device_unknown": 1}


def test_refused_messages_are_acknowledged_and_not_sent_again(run: TwinRun) -> None:
    assert run.stop() == 0
    run.start()
    run.wait_until_connected()
    publish(broker_port(run), WATCH, message(ago=5 * SECOND))
    eventually(lambda: run.ledgers()["watch-7"]["stored"] == 4, "stored")
    listed = twin_json("quarantine", "list", "-c", run.config)
    assert listed["by_reason"] == expected_reasons()
    assert {item["count"] for item in listed["items"]} == {1}


def test_a_message_that_was_refused_is_used_once_its_device_is_bound(run: TwinRun) -> None:
    replay = ("quarantine", "replay", "--device", "stranger", "-c", run.config)
    assert twin_json(*replay)["used"] == 0
    succeeded(twin("devices", "bind", "stranger", "patient-1", "-c", run.config))
    counts = {"used": 1, "refused": 0, "cut": 0, "dropped": 0, "observations": 1}
    done = twin_json(*replay)
    assert {name: done[name] for name in counts} == counts
    assert [each["outcome"] for each in done["messages"]] == ["used"]
    eventually(lambda: run.ledgers()["stranger"]["stored"] == 1, "stored")
    assert run.ledgers()["stranger"]["refused"] == {}


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("all", "has an ingest process named"),
        ("worker", "has a worker"),
        ("store", "another process writes"),
    ],
)
def test_a_second_one_on_the_same_folder_is_refused(run: TwinRun, role: str, why: str) -> None:
    second = twin("run", "-c", other_port(run), "--role", role)
    assert second.returncode == 1
    assert str(run.data_dir) in second.stderr
    assert why in second.stderr
    assert "Traceback" not in second.stderr
    assert run.get("/healthz")["status"] == "ok"


def other_port(run: TwinRun) -> Path:
    """The same configuration with a page port that is free."""
    config = run.folder / "second.toml"
    config.write_text(run.config.read_text().replace(f"port = {run.port}", "port = 0"))
    return config


def broker_port(run: TwinRun) -> int:
    """Of the broker that its configuration names."""
    port: int = tomllib.loads(run.config.read_text())["mqtt"]["port"]
    return port
