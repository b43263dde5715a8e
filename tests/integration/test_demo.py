"""`twin demo`, as somebody types it: one process, a child for the broker, nothing to configure."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.instant import MILLISECOND, SECOND, parse_instant
from tests.support.commands import eventually
from tests.support.demo import DemoRun
from tests.support.ingest_line import publish
from tests.support.programs import mosquitto_path, nats_server_path
from tests.support.publisher import publish_all, reading
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.integration]


def heart_rate(value: float, stamp: int) -> str:
    return json.dumps({"time": stamp // MILLISECOND, "values": {"heart_rate": value}})


def test_it_shows_estimates_within_a_minute_and_ends_cleanly(tmp_path: Path) -> None:
    demo = DemoRun(tmp_path, "--patients", "3")
    watch = Stopwatch()
    with demo:
        assert set(demo.announced) == {"url", "mqtt", "data_dir"}
        assert demo.announced["data_dir"] == str(tmp_path / "data")
        page = httpx2.get(demo.announced["url"], timeout=60.0, follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        eventually(lambda: len(estimated(demo)) == 3, "three patients with estimates")
        assert watch.unhindered < 60
        eventually(lambda: demo.get("/healthz")["status"] == "ok", "well")
        for patient in estimated(demo):
            estimate = patient["estimates"]["heart_rate"]
            assert estimate["lo95"] < estimate["mean"] < estimate["hi95"]
        assert demo.stop() == 0
    assert demo.stdout().count("\n") == 1
    assert "Traceback" not in demo.stderr()
    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert not [path for path in made if path.stat().st_mode & 0o077], "for its own user alone"


def estimated(demo: DemoRun) -> list[dict[str, Any]]:
    return [each for each in demo.patients() if each["estimates"].get("heart_rate")]


def test_one_message_of_an_unknown_device_makes_a_patient(tmp_path: Path) -> None:
    with DemoRun(tmp_path, "--patients", "0") as demo:
        assert demo.patients() == []
        stamp = time.time_ns()
        publish(demo.mqtt_port, "twin/v1/watch-7/telemetry", heart_rate(72, stamp))
        watch, found = Stopwatch(), []
        eventually(lambda: found.extend(estimated(demo)) or found, "on the page")
        assert watch.unhindered < 5
        (patient,) = found
        estimate = patient["estimates"]["heart_rate"]
        assert (round(estimate["mean"]), estimate["unit"]) == (72, "/min")
        assert estimate["status"] == "fresh"
        assert parse_instant(estimate["as_of"]) == stamp // MILLISECOND * MILLISECOND
        assert demo.stop() == 0


def test_it_ends_by_itself_after_its_duration(tmp_path: Path) -> None:
    with DemoRun(tmp_path, "--patients", "1", "--duration", "2") as demo:
        assert demo.wait(90) == 0
    assert demo.stdout().count("\n") == 1


@pytest.mark.fault
@pytest.mark.parametrize("broker", ["nats", "mosquitto"])
def test_killed_it_goes_on_and_nothing_that_was_acknowledged_is_missing(
    broker: str, tmp_path: Path
) -> None:
    (nats_server_path if broker == "nats" else mosquitto_path)()
    with DemoRun(tmp_path, "--patients", "2", "--broker", broker) as demo:
        eventually(lambda: len(estimated(demo)) == 2, "two patients with estimates")
        before, port = {each["id"] for each in demo.patients()}, demo.mqtt_port
        page = demo.announced["url"]
        with Watch(port) as watch:
            eventually(lambda: len(watch.acknowledged) > 300, "acknowledged")
            demo.pause()  # from here on the broker acknowledges what nobody takes off it
            seen = len(watch.acknowledged)
            eventually(lambda: len(watch.acknowledged) > seen + 500, "acknowledged by the broker")
            demo.kill()
        demo.start()
        assert (demo.announced["url"], demo.mqtt_port) == (page, port)
        eventually(lambda: before <= {each["id"] for each in demo.patients()}, "all patients")
        sent = set(watch.acknowledged)
        eventually(lambda: sent <= stamps_of(demo, before), "all that was acknowledged there")
        assert demo.stop() == 0


@pytest.mark.fault
def test_a_broker_that_was_killed_is_started_again_and_what_it_acknowledged_arrives(
    tmp_path: Path,
) -> None:
    nats_server_path()
    with DemoRun(tmp_path, "--patients", "0", "--broker", "nats") as demo:
        sent: list[int] = []

        def send(count: int) -> None:
            newest = time.time_ns() // MILLISECOND * MILLISECOND
            stamps = [newest - i * MILLISECOND for i in reversed(range(count))]
            messages = [
                reading("watch-9", stamp, {"heart_rate": 60.0 + stamp // MILLISECOND % 30})
                for stamp in stamps
            ]
            assert publish_all(demo.mqtt_port, messages) == count
            sent.extend(stamps)

        send(200)
        (broker,) = psutil.Process(demo.pid).children()
        broker.kill()
        eventually(
            lambda: {each.pid for each in psutil.Process(demo.pid).children()} - {broker.pid},
            "a broker again",
            60.0,
        )
        eventually(lambda: demo.get("/healthz")["status"] == "ok", "connected again", 120.0)
        send(200)
        eventually(lambda: set(sent) <= stamps_of(demo, set()), "all of it there", 60.0)
        assert "it is started again" in demo.stderr()
        assert demo.stop() == 0


def stamps_of(demo: DemoRun, others: set[str]) -> set[int]:
    """Stamps (ns) of the observations of the one patient who is none of the others."""
    new = [each["id"] for each in demo.patients() if each["id"] not in others]
    found: set[int] = set()
    path = f"/api/v1/patients/{new[0]}/signals/heart_rate" if new else None
    while path:
        page = demo.get(path)
        found |= {as_ns(stamp) for stamp in page["observations"]["time"]}
        path = page.get("next")
    return found


def as_ns(stamp: str | int) -> int:
    return parse_instant(stamp) if isinstance(stamp, str) else stamp * MILLISECOND


class Watch:
    """A device that publishes while it is entered; stamps (ns) of what the broker acknowledged."""

    def __init__(self, port: int) -> None:
        self.acknowledged: deque[int] = deque()
        self._stamps: dict[int, int] = {}
        self._stop = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="watch-9")
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", port)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        first = (time.time_ns() - 60 * SECOND) // MILLISECOND
        for number in range(60_000):
            if self._stop.wait(0.002):
                return
            stamp = (first + number) * MILLISECOND
            sent = self._client.publish(
                "twin/v1/watch-9/telemetry", heart_rate(60 + number % 30, stamp), qos=1
            )
            self._stamps[sent.mid] = stamp

    def _on_publish(self, _client: object, _userdata: object, mid: int, *_: object) -> None:
        while mid not in self._stamps:  # the publishing thread is about to note it
            time.sleep(0.001)
        self.acknowledged.append(self._stamps[mid])

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()
