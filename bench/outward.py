"""A large ward told to other systems: `python -m bench.outward [--patients 10000] [--seconds 20]`.

Every patient has five signals that are estimated each second, and one in a thousand an alarm each
second: states and transitions go through the journal and the teller to a real mosquitto while a
subscriber, a process of its own, reads. Twice: `moving`, each number is another one beyond what is
shown, so that each state is due; `calm`, each wanders as at rest (0.2 of a unit a second). Prints
one JSON object: messages, what was behind at the end and how long until it was told, CPU of the
teller for each state (the broker's and the subscriber's are not in it), and how old states and
alarms were when the subscriber had them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.frames import Delivery
from ingest.instant import SECOND, parse_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.mqtt_bulk import BulkClient
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
    """What a system that subscribes to everything got; in its own process, `read_on`."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "bench.outward", "--read", str(port)]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        if self._child.stdout is None or self._child.stdout.readline() != "subscribed\n":
            raise RuntimeError("the subscriber did not begin")

    def ended(self) -> Any:
        """States and transitions it had, and their ages in seconds."""
        said, _ = self._child.communicate("")
        return json.loads(said)


def read_on(port: int) -> None:
    """Subscribe; told to end, print what came."""
    states, stamps, alarms = [0], list[float](), list[float]()
    subscribed = threading.Event()

    def take(messages: list[Delivery], _size: int) -> None:
        client.acknowledge([each.mid for each in messages if each.mid])
        for each in messages:
            if b'"alarm":' in each.payload:
                made = parse_instant(json.loads(each.payload)["at"])
                alarms.append((each.received_at - made) / SECOND)
                continue
            states[0] += 1
            if states[0] % 100 == 0:
                made = parse_instant(json.loads(each.payload)["as_of"])
                stamps.append((each.received_at - made) / SECOND)

    client = BulkClient("bench-reader", True, time.time_ns, lambda: 1, take)
    client.on_connect = lambda *_: client.subscribe("twin-out/v1/#", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    subscribed.wait(30)
    print("subscribed", flush=True)
    sys.stdin.read()
    client.loop_stop()
    found = {"states": states[0], "transitions": len(alarms)}
    print(json.dumps(found | {"age_s": aged(stamps), "alarm_age_s": aged(alarms)}))


def aged(ages: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(ages or [float("nan")]), 2),
        "worst": round(max(ages, default=float("nan")), 2),
    }


def second_of(means: NDArray[np.float64], now: float) -> EstimateBatch:
    """Everybody's five estimates. means: by patient, five each."""
    patients = len(means) // 5
    rows = np.zeros(5 * patients, ESTIMATE_ROW)
    rows["kind"], rows["verdict"], rows["status"] = Kind.VERDICT, Verdict.ACCEPTED, Status.FRESH
    rows["patient"] = np.repeat(np.arange(patients), 5)
    rows["signal"] = np.tile(np.arange(5), patients)
    rows["device"] = NO_DEVICE
    rows["as_of"] = rows["measured_at"] = rows["received_at"] = round(now * SECOND)
    rows["mean"], rows["std"], rows["scale95"] = means, 1.0, 1.0
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


def measured(patients: int, seconds: int, folder: Path, wander: float) -> dict[str, object]:
    """wander: standard deviation of what a number moves each second, in its unit."""
    broker = BrokerChild("mosquitto", folder / "broker")
    port = broker.start()
    given = {"data_dir": folder, "mqtt": {"port": port}, "outward": {"enabled": True}}
    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
    try:
        with ExitStack() as opened:
            outward = outward_of(Config.model_validate(given), journal, opened)
            if outward is None:
                raise RuntimeError("outward is not enabled")
            return told(outward, journal, Reader(port), patients, seconds, wander)
    finally:
        journal.close()
        broker.stop()


def told(
    outward: Outward,
    journal: SqliteJournal,
    reader: Reader,
    patients: int,
    seconds: int,
    wander: float,
) -> dict[str, object]:
    rng, means = np.random.default_rng(1), np.full(5 * patients, 70.0)
    begun, cpu, own, behind = time.time(), time.process_time(), 0.0, 0
    for second in range(seconds):
        mine = time.thread_time()
        now = time.time()
        means += rng.normal(0, wander, len(means)) if wander < 1 else wander * (-1) ** second
        estimates = encode_output(second_of(means, now))
        alarms = encode_output(alarms_of(patients, second, time.time()))
        journal.append("estimates", [(0, estimates), (0, alarms)])
        own += time.thread_time() - mine
        behind = max(behind, outward.behind)
        threading.Event().wait(max(0.0, begun + second + 1 - time.time()))
    ended, left = time.time(), outward.behind
    states, spent = outward.teller.states, time.process_time() - cpu - own
    while outward.behind and time.time() - ended < 300:
        threading.Event().wait(0.05)
    caught = time.time() - ended
    read = reader.ended()
    return {
        "patients": patients,
        "seconds": seconds,
        "ward": "calm" if wander < 1 else "moving",
        "states_told": states,
        "states_each_second": round(states / (ended - begun), 1),
        "transitions_told": outward.teller.transitions,
        "read": {name: read[name] for name in ("states", "transitions")},
        "behind_at_most_records": behind,
        "behind_at_the_end_records": left,
        "caught_up_after_s": round(caught, 1),
        "cpu_us_each_state": round(spent / max(states, 1) * 1e6, 1),
        "cpu_share_of_a_core": round(spent / (ended - begun), 3),
        "age_s": read["age_s"],
        "alarm_age_s": read["alarm_age_s"],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, nargs="*", default=[1_000, 10_000])
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--read", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.read is not None:
        read_on(given.read)
        return
    found = []
    for patients in given.patients:
        for wander in (2.0, 0.2):
            with tempfile.TemporaryDirectory() as name:
                found.append(measured(patients, given.seconds, Path(name), wander))
    print(json.dumps({"sizes": found}, indent=1))


if __name__ == "__main__":
    main()
