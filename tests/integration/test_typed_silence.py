"""Every reason for which a device is silent, through a real broker and the whole line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest.instant import HOUR, format_instant
from tests.support.commands import eventually
from tests.support.fleets import write_registry
from tests.support.ingest_line import publish
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEVICES = ("never", "late", "off", "low", "will", "gw/ring", "gw/patch", "clock", "vain", "well")
#: What each is after a minute in which only `clock`, `vain` and `well` speak.
EXPECTED = {
    "never": "never_seen",
    "late": "late",
    "off": "body_off",
    "low": "battery",
    "will": "radio",
    "gw/ring": "gateway",
    "gw/patch": "gateway",
    "clock": "clock",
    "vain": "unusable",
    "well": "",
}
#: A minute on a machine that does much else.
PATIENCE = 180.0


class Line:
    """Ingest and the rest as two processes, so that one can go without the other."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.broker = opened.enter_context(MosquittoServer())
        known = {device: f"patient-{n}" for n, device in enumerate(DEVICES)}
        registry = write_registry(folder / "devices.csv", known)
        devices = {"file": str(registry), "gateways": ["gw"]}
        tables = {"mqtt": {"port": self.broker.port}, "devices": devices}
        data = folder / "data"
        roles = ("worker", "store", "care")
        self.rest = opened.enter_context(TwinRun(folder / "rest", tables, roles, data))
        self.ingest = opened.enter_context(TwinRun(folder / "ingest", tables, ("ingest",), data))
        self.ingest.wait_until_connected()
        self._spoke = 0.0

    def say(self, device: str, ahead: int = 0, **state: object) -> None:
        """One heart rate of now, or of so many ns later."""
        words = "".join(f',"{key}":{said}' for key, said in state.items())
        stamp = format_instant(time.time_ns() + ahead)
        message = f'{{"time":"{stamp}","values":{{"heart_rate":70}}{words}}}'
        publish(self.broker.port, f"twin/v1/{device}/telemetry", message)

    def silences(self, *speaking: str) -> dict[str, str | None]:
        """What each device is by now; `clock`, `vain`, `well` and these go on speaking."""
        if time.monotonic() - self._spoke > 2:
            self._spoke = time.monotonic()
            for device in ("well", *speaking):
                self.say(device)
            self.say("clock", ahead=9 * HOUR)
            publish(self.broker.port, "twin/v1/vain/telemetry", '{"time":"today","values":{}}')
        return self.told()

    def told(self) -> dict[str, str | None]:
        devices = self.rest.get("/api/v1/devices")["devices"]
        states = {each["id"]: each["state"] for each in devices}
        return {each: None if of is None else of["silence"] for each, of in states.items()}

    def events(self) -> dict[str, Any]:
        """What silences many: cause → (gateway, devices, patients)."""
        return {
            each["cause"]: (each["gateway"], each["devices"], each["patients"])
            for each in self.rest.get("/api/v1/devices")["silences"]
        }


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with ExitStack() as opened:
        yield Line(tmp_path, opened)


def test_each_reason_is_told_and_taken_back(line: Line) -> None:
    for device in ("late", "will", "gw/ring", "gw/patch", "well", "clock"):
        line.say(device)
    line.say("off", contact="false")
    line.say("low", battery=0.02)
    die_with_a_last_will(line.broker.port, "twin/v1/will/status")
    publish(line.broker.port, "twin/v1/gw/status", "offline")
    eventually(lambda: line.silences() == EXPECTED, f"{EXPECTED}; now {line.told()}", PATIENCE)
    eventually(lambda: line.events() == {"gateway": ("gw", 2, 2)}, "one event")
    states = {each["id"]: each["state"] for each in line.rest.get("/api/v1/devices")["devices"]}
    assert states["vain"]["reason"] == "time_unreadable"
    assert states["clock"]["reason"] == "future"
    assert states["late"]["reason"] is None

    line.ingest.kill()
    eventually(lambda: line.told()["well"] == "ingest", "without ingest")
    eventually(lambda: line.events().get("ingest") == (None, 1, 1), "one event")
    line.ingest.start()
    eventually(lambda: line.silences()["well"] == "", "heard again")
    eventually(lambda: "ingest" not in line.events(), "no event")

    line.broker.kill()
    eventually(lambda: line.told()["late"] == "broker", "without broker")
    eventually(lambda: line.told()["low"] == "broker", "without broker")
    assert line.told()["off"] == "body_off"
    line.broker.start()
    line.ingest.wait_until_connected()
    publish(line.broker.port, "twin/v1/gw/status", "online")
    again = ("late", "gw/ring", "gw/patch")
    heard = dict.fromkeys((*again, "well"), "")
    eventually(lambda: heard.items() <= line.silences(*again).items(), "all heard again")
    eventually(lambda: line.events() == {}, "no event is left")


def die_with_a_last_will(port: int, topic: str) -> None:
    """A client whose broker tells its last will, as its connection just ends."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="will")
    client.will_set(topic, "offline", qos=1)
    client.connect("127.0.0.1", port)
    eventually(lambda: client.loop(0.1) == 0 and client.is_connected(), "connected")
    ended = client.socket()
    assert ended is not None
    ended.close()
