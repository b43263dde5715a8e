"""Alarms against plain thresholds on real recordings: `python -m bench.alarms [FOLDER]`.

FOLDER (the shared data beside the checkout) holds three kinds of them: BIDMC numerics (intensive
care, 8 min at 1 Hz, three vitals), GalaxyPPG (heart rate of a chest strap and of a watch in
everyday tasks, an hour) and Stress-Predict (heart rate of a wrist band, an hour). Every second
person deteriorates from the middle on, for ten minutes at most: by turns SpO2 falls by 14, heart
rate rises by 75 or respiration by 20 within 90 s, added to what was recorded. Plain thresholds are
the same limits on raw values without any delay: an alarm of theirs is a crossing of the outer
limit, a call a crossing of either. Of the twin's alarms somebody takes each two minutes after it
calls; a call is what calls anew (raised by itself, worse, come again). True are alarms beside the
events for which the recording itself was beyond the outer limit for half a minute out of a minute
before, around or after. Both see the same rows in the same run: as recorded, and with a single
false sample about every two minutes in every vital (motion). `preview` compares the page's preview
of limits, on stored estimates, with the twin. Of BIDMC also `scripts`: the other half of the people
deteriorates, or by less, or nobody, or nobody takes an alarm. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Command
from ingest.recording import recording_of
from twin.assessment.limits import DEFAULTS, Rules
from twin.assessment.rules import NEWS2
from twin.backtest import Attendant, is_call
from twin.care.backtest import try_limits
from twin.estimate import EstimateBatch, Output, encode_output
from twin.judgement import Alarm, AlarmEvent, AlarmKind
from twin.offline import assess
from twin.store.embedded import EmbeddedStore
from twin.store.writer import StoreWriter

COLUMNS = {"HR": "heart_rate", "RESP": "respiratory_rate", "SpO2": "spo2"}
SHIFTS = (("spo2", -14.0), ("heart_rate", 75.0), ("respiratory_rate", 20.0))
MILDER = (("spo2", -10.0), ("heart_rate", 60.0), ("respiratory_rate", 14.0))
RAMP_S = 90
SHARED = Path(__file__).parents[2] / "shared" / "data"
EVENT_S = 600
START = 1_790_000_000 * SECOND

#: (patient, signal) → seconds, values.
Ward = dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Told:
    """An alarm or a crossing; at: s after the recording's beginning."""

    patient: str
    signal: str
    side: str
    at: float

    def near(self, other: Told) -> bool:
        same = (self.patient, self.signal, self.side) == (other.patient, other.signal, other.side)
        return same and abs(self.at - other.at) <= 60


def bidmc(folder: Path) -> Ward:
    ward: Ward = {}
    for path in sorted((folder / "bidmc").glob("*Numerics.csv")):
        with path.open(newline="") as file:
            rows = [{k.strip(): v for k, v in row.items()} for row in csv.DictReader(file)]
        for column, signal in COLUMNS.items():
            told = [(float(r["Time [s]"]), float(r[column])) for r in rows if number(r[column])]
            if told:
                at, value = np.array(told).T
                ward[path.stem, signal] = (at, value)
    return ward


def galaxyppg(folder: Path) -> Ward:
    """Chest strap and watch, each as a person: they have clocks of their own."""
    ward: Ward = {}
    for name, stamp in (("PolarH10", "phoneTimestamp"), ("GalaxyWatch", "timestamp")):
        for path in sorted((folder / "galaxyppg").glob(f"*/{name}/HR.csv")):
            with path.open(newline="") as file:
                told = [
                    (float(r[stamp]) / 1e3, float(r["hr"]))
                    for r in csv.DictReader(file)
                    if number(r["hr"])
                ]
            at, value = np.array(sorted(dict(told).items())).T
            ward[f"{path.parts[-3]}-{name}", "heart_rate"] = (at - at[0], value)
    return ward


def stress_predict(folder: Path) -> Ward:
    ward: Ward = {}
    for path in sorted((folder / "stress_predict_e4").glob("*/HR.csv")):
        value = np.array([float(line) for line in path.read_text().split()[2:]])
        ward[path.parts[-2], "heart_rate"] = (np.arange(len(value), dtype=float), value)
    return ward


KINDS = {"bidmc": bidmc, "galaxyppg": galaxyppg, "stress_predict": stress_predict}


def deteriorated(
    recorded: Ward, shifts: Sequence[tuple[str, float]] = SHIFTS, others: bool = False
) -> tuple[Ward, dict[tuple[str, str], float]]:
    """The recordings with their scripted deteriorations, and when each of these begins. others: of
    the other half of the people."""
    ward, begins = dict(recorded), {}
    for n, person in enumerate(sorted({person for person, _ in recorded})):
        choices = [one for one in shifts if (person, one[0]) in recorded]
        signal, shift = choices[n // 2 % len(choices)]
        if n % 2 != others:
            continue
        at, value = recorded[person, signal]
        begin = float(at[len(at) // 2])
        rises = np.clip((at - begin) / RAMP_S, 0, 1)
        falls = np.clip((at - begin - EVENT_S) / RAMP_S, 0, 1)
        moved = value + shift * (rises - falls)
        ward[person, signal] = (at, np.minimum(moved, 100) if signal == "spo2" else moved)
        begins[person, signal] = begin
    return ward, begins


def number(text: str) -> bool:
    try:
        return np.isfinite(float(text)) and float(text) > 0
    except ValueError:
        return False


def crossings(ward: Ward, rules: Rules, priority: str) -> list[Told]:
    """Of the limits of a priority, by raw values."""
    found = []
    for (patient, signal), (at, value) in ward.items():
        rule = rules[signal, priority]
        for side, beyond in (("low", value < rule.low), ("high", value > rule.high)):
            first = beyond & ~np.concatenate([[False], beyond[:-1]])
            found += [Told(patient, signal, side, t) for t in at[first].tolist()]
    return sorted(found, key=lambda one: one.at)


@dataclass
class Listener:
    """Takes alarms as the attendant, if there is one, and keeps the estimates if there is a
    journal."""

    attendant: Attendant | None = field(default_factory=Attendant)
    journal: SqliteJournal | None = None

    def __call__(self, said: Sequence[Output], at: int) -> list[Command]:
        kept = [(0, encode_output(each)) for each in said if isinstance(each, EstimateBatch)]
        if self.journal is not None and kept:
            self.journal.append("estimates", kept)
        return [] if self.attendant is None else self.attendant(said, at)


def ours(ward: Ward, listener: Listener) -> list[Alarm]:
    """Rows of the twin's physiological alarms."""
    import pyarrow as pa

    columns: dict[str, list[object]] = {
        n: [] for n in ("patient", "signal", "value", "measured_at")
    }
    for (patient, signal), (at, value) in ward.items():
        columns["patient"] += [patient] * len(at)
        columns["signal"] += [signal] * len(at)
        columns["value"] += value.tolist()
        columns["measured_at"] += (START + (at * SECOND).astype(np.int64)).tolist()
    done = assess(recording_of(pa.table(columns)), scores=False, answer=listener)
    return [row for row in done.alarms if row.kind == AlarmKind.PHYSIOLOGICAL]


def told_of(rows: Iterable[Alarm]) -> list[Told]:
    return [Told(r.patient, r.signal, r.side, (r.at - START) / SECOND) for r in rows]


def is_event(key: tuple[str, str], begin: float, ward: Ward, rules: Rules) -> bool:
    """Whether the vital was inside its limit for a minute and is beyond it after the ramp."""
    rule, (at, value) = rules[key[1], "medium"], ward[key]
    before = value[(at >= begin - 60) & (at < begin)]
    after = value[(at > begin + RAMP_S) & (at < begin + EVENT_S)]
    if key[1] == "spo2":
        return bool((before >= rule.low).all() and (after < rule.low).mean() > 0.9)
    return bool((before <= rule.high).all() and (after > rule.high).mean() > 0.9)


def spiked(ward: Ward) -> Ward:
    """The same with single false samples."""
    rng = np.random.default_rng(1)
    false = {"spo2": -25.0, "heart_rate": 90.0, "respiratory_rate": 25.0}
    found: Ward = {}
    for (patient, signal), (at, value) in ward.items():
        hit = rng.random(len(at)) < 1 / 120
        spoilt = np.clip(value + hit * false[signal] * rng.uniform(0.5, 1, len(at)), 1, 250)
        found[patient, signal] = (at, spoilt)
    return found


def is_true(ward: Ward, rules: Rules, one: Told) -> bool:
    """Whether the recording was beyond its outer limit for half a minute near it."""
    at, value = ward[one.patient, one.signal]
    rule = rules[one.signal, "medium"]
    out = value < rule.low if one.side == "low" else value > rule.high
    lasts = np.minimum(np.diff(at, append=at[-1]), 5.0)
    minutes = [(at >= one.at + begin) & (at <= one.at + begin + 60) for begin in (-60, -30, 0)]
    return any(lasts[here & out].sum() >= 30.0 for here in minutes)


def within(one: Told, key: tuple[str, str], begin: float) -> bool:
    side = "low" if key[1] == "spo2" else "high"
    till = begin + EVENT_S + RAMP_S
    return (one.patient, one.signal, one.side) == (*key, side) and begin <= one.at <= till


def compared(
    ward: Ward, events: dict[tuple[str, str], float], rules: Rules, listener: Listener | None = None
) -> dict[str, object]:
    """Both on the same rows. events: those of the recording, and when each begins."""
    rows = ours(ward, listener or Listener())
    score = [row for row in rows if row.signal == NEWS2]
    vitals = [row for row in rows if row.signal != NEWS2]
    raised = [row for row in vitals if row.event == AlarmEvent.RAISED]
    calls = [row for row in vitals if is_call(row)]
    outer, sharp = (crossings(ward, rules, priority) for priority in ("medium", "high"))
    sides = {
        "plain": (outer, [*outer, *sharp], outer),
        "twin": (told_of(raised), told_of(calls), told_of(calls)),
    }
    found: dict[str, object] = {}
    firsts = []
    for name, (alarms, called, heard) in sides.items():
        first = {
            key: next((one.at for one in heard if within(one, key, begin)), None)
            for key, begin in events.items()
        }
        firsts.append(first)
        caught = sum(at is not None for at in first.values())
        own = [a for a in alarms if not any(within(a, k, begin) for k, begin in events.items())]
        found[name] = {
            "alarms": len(alarms),
            "calls": len(called),
            "detected": caught,
            "without_event": len(own),
            "of_these_true": sum(is_true(ward, rules, one) for one in own),
            "each_event": round((len(alarms) - len(own)) / max(caught, 1), 2),
        }
    found["twin"] |= {  # type: ignore[operator]
        "joined": sum(bool(row.joined) for row in raised),
        "score_alarms": sum(row.event == AlarmEvent.RAISED for row in score),
    }
    pairs = [(a, firsts[1][k]) for k, a in firsts[0].items() if a is not None]
    extra = [b - a for a, b in pairs if b is not None]
    if extra:
        found["extra_delay_s"] = {"median": statistics.median(extra), "worst": max(extra)}
    return found


def events_of(
    ward: Ward, begins: dict[tuple[str, str], float], rules: Rules
) -> dict[tuple[str, str], float]:
    """Those of the scripted deteriorations that go beyond a limit, and when each begins."""
    return {key: begin for key, begin in begins.items() if is_event(key, begin, ward, rules)}


def scripts(recorded: Ward, rules: Rules) -> dict[str, object]:
    """Other people, other deteriorations, another attendant."""
    wards = {
        "other_half": deteriorated(recorded, others=True),
        "milder": deteriorated(recorded, MILDER),
        "nobody_deteriorates": (recorded, {}),
    }
    found: dict[str, object] = {}
    for name, (ward, begins) in wards.items():
        events = events_of(ward, begins, rules)
        found[name] = {"events": len(events)} | compared(ward, events, rules)
    ward, begins = deteriorated(recorded)
    events = events_of(ward, begins, rules)
    found["nobody_takes"] = compared(ward, events, rules, Listener(attendant=None))
    return found


def previewed(ward: Ward, rules: Rules) -> dict[str, float]:
    """The preview on stored estimates beside the twin itself: alarms of vitals, and how many of
    each have one of the other within a minute."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
        rows = ours(ward, Listener(journal=journal))
        with EmbeddedStore(folder / "store.db") as store:
            writer = StoreWriter(journal, store, "embedded", linger=0.05)
            while writer.position < journal.end("estimates"):
                writer.turn()
            patients = sorted({patient for patient, _ in ward})
            end = START + round(max(at[-1] for at, _ in ward.values()) + 60) * SECOND
            signals = sorted({signal for _, signal in ward})
            trial = try_limits(
                store, {each: [rules] for each in patients}, signals, START, end, 600.0
            )
        journal.close()
    tried = trial.sets[0]
    guessed = [
        Told(patient, one.signal, one.side, (one.at - START) / SECOND)
        for one, patient in zip(tried.raised, tried.patients, strict=True)
    ]
    true = told_of(r for r in rows if r.event == AlarmEvent.RAISED and r.signal != NEWS2)
    return {
        "twin": len(true),
        "preview": len(guessed),
        "twin_found_by_preview": sum(any(one.near(other) for other in guessed) for one in true),
        "preview_found_by_twin": sum(any(one.near(other) for other in true) for one in guessed),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=SHARED)
    folder = options.parse_args().folder
    if not folder.is_dir():
        print(json.dumps({"skipped": f"{folder}: no such folder"}))
        return
    rules, found = dict(DEFAULTS), {}
    for name, read in KINDS.items():
        recorded = read(folder)
        if not recorded:
            continue
        ward, begins = deteriorated(recorded)
        events = events_of(ward, begins, rules)
        seconds = sum(float(at[-1] - at[0]) for at, _ in ward.values())
        found[name] = {
            "recordings": len({patient for patient, _ in ward}),
            "hours_of_vitals": round(seconds / 3600, 1),
            "events": len(events),
            "as_recorded": compared(ward, events, rules),
            "with_spikes": compared(spiked(ward), events, rules),
            "preview": previewed(ward, rules),
            **({"scripts": scripts(recorded, rules)} if name == "bidmc" else {}),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
