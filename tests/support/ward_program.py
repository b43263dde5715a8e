"""A page on a scripted ward: the program that browser tests start, kill and start again.

python -m tests.support.ward_program FOLDER PORT [TOKEN]. Estimates of five patients each second
through a real journal, a history of 26 h with a gap of 45 min. What tests change lies in FOLDER:
`labels.json` (patient → label), `silent` (p2's device stops, its text in seconds ago), `dead`
(all stop), `ingest-dead` (the pulse stops too), `judged-*` (records of alarms and scores, appended
in the order of their names), `purpose` (the mode).
"""

from __future__ import annotations

import json
import math
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ingest.instant import MILLISECOND, MINUTE, SECOND
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Bound, Refused
from tests.support.onboarding import hear, hear_announce, onboarding_in
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine, Said, batch_of
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.purpose import Purpose
from twin.care.server import PageServer
from twin.care.settings import CareSettings
from twin.estimate import Kind, Status, Verdict, encode_output

#: What each signal swings about: mean, swing, std.
VITALS = {
    "heart_rate": (76.0, 9.0, 1.4),
    "respiratory_rate": (15.0, 2.5, 0.9),
    "spo2": (96.5, 1.2, 0.6),
    "body_temperature": (36.9, 0.35, 0.08),
}
PATIENTS = {"p1": "Bed 1", "p2": "Bed 2", "p3": "Bed 10", "p4": "", "p5": "Bed 12 by the window"}
#: The gap in p1's history, in minutes before the start.
GAP_MIN = (100, 55)


def value_at(patient: str, code: str, at: float) -> float:
    """A smooth curve, in the signal's unit; at in s."""
    mean, swing, _std = VITALS[code]
    phase = at / 600 + int(patient[1:]) * 1.3 + len(code)
    slow = 0.6 * math.sin(phase) + 0.4 * math.sin(phase * 3.7)
    return mean + swing * (slow + 0.15 * math.sin(at / 4))


def noise_at(code: str, at: float, std: float) -> float:
    """The same for the same stamp."""
    return std * 2 * (random.Random(f"{code}{at:.3f}").random() * 2 - 1)


class FolderPeople(MemoryPeople):
    """Labels out of the folder's labels.json."""

    def __init__(self, folder: Path) -> None:
        super().__init__(dict(PATIENTS), [])
        self.bound = [Bound("watch-1", "p1"), Bound("ring-2", "p2"), Bound("spare-9", None)]
        self._file = folder / "labels.json"

    def labels(self) -> Mapping[str, str]:
        changed = json.loads(self._file.read_text()) if self._file.exists() else {}
        return {**self.names, **changed, "p6": "Bed 20"}


def main(folder: Path, port: int, token: str | None) -> None:
    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 20)
    history = MemoryHistory()
    started = time.time_ns()
    (folder / "started").write_text(str(started // MILLISECOND))
    for patient in PATIENTS:
        for code in VITALS:
            fill(history, patient, code, started)
    counts = {"watch-1": 40, "ring-2": 41, "watch-4": 121}
    history.counts = counts
    refused = [
        Refused(
            "q1", "signal_unknown", "values.pulse", "a code", "pulse", "watch-1", started, 60, 3
        ),
        Refused("q2", "range", "values.heart_rate", "15 to 320", "900", "ring-2", started, 74, 1),
    ]
    beats = Beats(folder)
    feed = Feed(
        journal,
        FolderPeople(folder),
        time.time_ns,
        saved=folder / "care" / "latest.bin",
        pulses={"ingest": beats},
    )
    said = folder / "purpose"
    purpose = Purpose(said.read_text())  # type: ignore[arg-type]
    settings = CareSettings(
        simulated=True, token=token, zone="Europe/Paris", build="test", purpose=purpose
    )
    opened = ExitStack()
    onboarding = opened.enter_context(onboarding_in(folder / "registry", time.time_ns, journal))
    hear(onboarding, "ring-9")
    hear_announce(onboarding, "ring-9")
    app = create_app(
        settings,
        feed,
        history,
        FolderPeople(folder),
        MemoryQuarantine(refused),
        onboarding=onboarding,
    )
    server = PageServer(app, port=port)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    said = once(started / SECOND)
    journal.append("estimates", [(0, encode_output(batch_of(*said, t0=0)))])
    server.start()
    print(server.address, flush=True)
    while not stop.wait(0.5):
        for record in sorted(folder.glob("judged-*")):
            journal.append("estimates", [(0, record.read_bytes())])
            record.unlink()
        rows = second(folder, history, time.time())
        if rows:
            journal.append("estimates", [(0, encode_output(batch_of(*rows, t0=0)))])
    server.stop()
    opened.close()
    journal.close()


class Beats:
    """Ingest's pulse; it stands still while the folder says so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._beat = 0

    def __call__(self) -> int:
        self._beat += not (self._folder / "ingest-dead").exists()
        return self._beat


def fill(history: MemoryHistory, patient: str, code: str, now: int) -> None:
    """26 h, a row each 30 s; p1's temperature only each 10 min."""
    std = VITALS[code][2]
    rows = []
    step = 600 if patient == "p1" and code == "body_temperature" else 30
    for at in (now - k * SECOND for k in range(26 * 3600, 0, -step)):
        if patient == "p1" and GAP_MIN[1] * MINUTE < now - at < GAP_MIN[0] * MINUTE:
            continue
        mean = value_at(patient, code, at / SECOND)
        noise = noise_at(code, at / SECOND, std)
        rows.append((at, mean, std, mean + noise, "watch-1"))
    history.rows[patient, code] = rows


def once(now: float) -> Sequence[Said]:
    """What stands at the start: statuses of every kind, and a ledger with something in it."""
    kinds = (Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.BELATED)
    rows = [
        Said(
            "p5", code, "ring-2", now - age, mean=value_at("p5", code, now), std=std, status=status
        )
        for code, age, std, status in (
            ("heart_rate", 45, 1.5, Status.LATE),
            ("respiratory_rate", 200, 1, Status.STALE),
            ("spo2", 4_000, 1, Status.NONE),
            ("body_temperature", 12, 0.6, Status.FRESH),
        )
    ]
    rows += [Said("p1", "heart_rate", "watch-1", now - 500, verdict=verdict) for verdict in kinds]
    return rows


def second(folder: Path, history: MemoryHistory, now: float) -> Sequence[Said]:
    """The rows of one step of the script."""
    if (folder / "dead").exists():
        return []
    rows = []
    for patient in ("p1", "p2", "p3", "p4"):
        device = "ring-2" if patient == "p2" else "watch-1"
        if patient == "p2" and (folder / "silent").exists():
            age = float((folder / "silent").read_text() or 0)
            status = Status.STALE if age > 60 else Status.LATE
            rows += [Said("p2", code, "", now, kind=Kind.STATUS, status=status) for code in VITALS]
            continue
        for code, (_mean, _swing, std) in VITALS.items():
            mean = value_at(patient, code, now)
            trend = (value_at(patient, code, now + 30) - value_at(patient, code, now - 30)) / 1.0
            noise = noise_at(code, now, std)
            value = mean + noise
            rows.append(Said(patient, code, device, now, None, mean, std, value, trend))
            at = round(now * SECOND)
            history.rows[patient, code].append((at, mean, std, value, device))
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
