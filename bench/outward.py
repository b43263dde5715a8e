"""A large ward told to other systems: `python -m bench.outward [--patients 10000] [--seconds 20]`.

Every patient has five signals that change each second, and one in a thousand an alarm each second:
states and transitions go through the journal and the teller to a real mosquitto, QoS 1, while a
subscriber reads. Prints one JSON object: messages, what was behind at the end and how long until it
was told, CPU of this process for each state (the broker's is not in it), and how old states were
when the subscriber had them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt

from ingest.instant import SECOND, parse_instant
from ingest.journal.sqlite import SqliteJournal
from twin.assessment.news2 import SIGNAL_OF
from twin.broker import BrokerChild
from twin.config import Config
from twin.estimate import (
    ESTIMATE_ROW,
    NO_DEVICE,
    EstimateBatch,
    Kind,
    Status,
    Verdict,
    encode_output,
)
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState, Judgements, Priority
from twin.runtime.outward import Outward, outward_of

ONE_IN = 1_000


class Reader:
    """A system that subscribes to everything; ages: s, of states by the time they came."""

    def __init__(self, port: int) -> None:
        self.states = self.transitions = 0
        self.ages: list[float] = []
        self.alarm_ages: list[float] = []
        self.cpu = 0.0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "bench-reader")
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("twin-out/v1/#", 1)
        self._client.loop_start()

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.cpu = time.thread_time()
        if "/alarm/" in message.topic:
            self.transitions += 1
            made = parse_instant(json.loads(message.payload)["at"]) / SECOND
            self.alarm_ages.append(time.time() - made)
            return
        self.states += 1
        if self.states % 100 == 0:
            made = parse_instant(json.loads(message.payload)["as_of"]) / SECOND
            self.ages.append(time.time() - made)

    def stop(self) -> None:
        self._client.loop_stop()


def second_of(patients: int, now: float) -> EstimateBatch:
    """Everybody's five estimates, which change each second."""
    rows = np.zeros(5 * patients, ESTIMATE_ROW)
    rows["kind"], rows["verdict"], rows["status"] = Kind.VERDICT, Verdict.ACCEPTED, Status.FRESH
    rows["patient"] = np.repeat(np.arange(patients), 5)
    rows["signal"] = np.tile(np.arange(5), patients)
    rows["device"] = NO_DEVICE
    rows["as_of"] = rows["measured_at"] = rows["received_at"] = round(now * SECOND)
    rows["mean"], rows["std"], rows["scale95"] = now % 1000, 1.0, 1.0
    names = tuple(f"patient-{n:05d}" for n in range(patients))
    return EstimateBatch("bench", names, (), SIGNAL_OF, ("",), rows)


def alarms_of(patients: int, second: int, now: float) -> Judgements:
    at = round(now * SECOND)
    rows = [
        Alarm(
            f"a{n}-{second}", f"patient-{n:05d}", "spo2", AlarmKind.PHYSIOLOGICAL, "spo2/low",
            Priority.HIGH, AlarmState.ACTIVE, AlarmEvent.RAISED, at, at, 83.0, 0.7, 82.0, 85.0,
            "low", 0.97, "below_limit",
        )
        for n in range(0, patients, ONE_IN)
    ]  # fmt: skip
    return Judgements(tuple(rows))


def measured(patients: int, seconds: int, folder: Path) -> dict[str, object]:
    broker = BrokerChild("mosquitto", folder / "broker")
    port = broker.start()
    given = {"data_dir": folder, "mqtt": {"port": port}, "outward": {"enabled": True}}
    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
    try:
        with ExitStack() as opened:
            outward = outward_of(Config.model_validate(given), journal, opened)
            if outward is None:
                raise RuntimeError("outward is not enabled")
            return told(outward, journal, Reader(port), patients, seconds)
    finally:
        journal.close()
        broker.stop()


def told(
    outward: Outward, journal: SqliteJournal, reader: Reader, patients: int, seconds: int
) -> dict[str, object]:
    begun, cpu, own, behind = time.time(), time.process_time(), 0.0, 0
    for second in range(seconds):
        mine = time.thread_time()
        now = time.time()
        outputs = (second_of(patients, now), alarms_of(patients, second, now))
        journal.append("estimates", [(0, encode_output(each)) for each in outputs])
        own += time.thread_time() - mine
        behind = max(behind, outward.behind)
        threading.Event().wait(max(0.0, begun + second + 1 - time.time()))
    ended, left = time.time(), outward.behind
    while outward.behind and time.time() - ended < 300:
        threading.Event().wait(0.05)
    caught = time.time() - ended
    reader.stop()
    spent = time.process_time() - cpu - own - reader.cpu
    states = outward.teller.states
    return {
        "patients": patients,
        "seconds": seconds,
        "states_told": states,
        "states_each_second": round(states / (seconds + caught), 1),
        "transitions_told": outward.teller.transitions,
        "read": {"states": reader.states, "transitions": reader.transitions},
        "behind_at_most_records": behind,
        "behind_at_the_end_records": left,
        "caught_up_after_s": round(caught, 1),
        "cpu_us_each_state": round(spent / max(states, 1) * 1e6, 1),
        "cpu_share_of_a_core": round(spent / (seconds + caught), 3),
        "age_s": {
            "median": round(statistics.median(reader.ages or [float("nan")]), 2),
            "worst": round(max(reader.ages, default=float("nan")), 2),
        },
        "alarm_age_s": {
            "median": round(statistics.median(reader.alarm_ages or [float("nan")]), 2),
            "worst": round(max(reader.alarm_ages, default=float("nan")), 2),
        },
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, nargs="*", default=[1_000, 10_000])
    options.add_argument("--seconds", type=int, default=20)
    given = options.parse_args()
    found = []
    for patients in given.patients:
        with tempfile.TemporaryDirectory() as name:
            found.append(measured(patients, given.seconds, Path(name)))
    print(json.dumps({"sizes": found}, indent=1))


if __name__ == "__main__":
    main()
