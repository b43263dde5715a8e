"""Alarms against plain thresholds on real recordings: `python -m bench.alarms [FOLDER]`.

FOLDER (the shared data beside the checkout) holds three kinds of them: BIDMC numerics (intensive
care, 8 min at 1 Hz, three vitals), GalaxyPPG (heart rate of a chest strap and of a watch in
everyday tasks, an hour) and Stress-Predict (heart rate of a wrist band, an hour). Every second
person deteriorates from the middle on, for ten minutes at most: by turns SpO2 falls by 14, heart
rate rises by 75 or respiration by 20 within 90 s, added to what was recorded. Plain thresholds are
the same outer limits on raw values without any delay; an alarm of theirs is a crossing. Both see
the same rows in the same run: once as recorded, once with a single false sample about every two
minutes in every vital (motion). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.recording import recording_of
from twin.assessment.limits import DEFAULTS, Rules
from twin.judgement import AlarmEvent, AlarmKind
from twin.offline import assess

COLUMNS = {"HR": "heart_rate", "RESP": "respiratory_rate", "SpO2": "spo2"}
SHIFTS = (("spo2", -14.0), ("heart_rate", 75.0), ("respiratory_rate", 20.0))
RAMP_S = 90
SHARED = Path(__file__).parents[2] / "shared" / "data"
EVENT_S = 600
START = 1_790_000_000 * SECOND

#: (patient, signal) → seconds, values.
Ward = dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.float64]]]
#: (patient, signal, side) → seconds at which an alarm was raised.
Raised = dict[tuple[str, str, str], list[float]]


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


def deteriorated(recorded: Ward) -> tuple[Ward, dict[tuple[str, str], float]]:
    """The recordings with their scripted deteriorations, and when each of these begins."""
    ward, begins = dict(recorded), {}
    for n, person in enumerate(sorted({person for person, _ in recorded})):
        choices = [one for one in SHIFTS if (person, one[0]) in recorded]
        signal, shift = choices[n // 2 % len(choices)]
        if n % 2:
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


def plain(ward: Ward, rules: Rules) -> Raised:
    """Crossings of the outer limits by raw values."""
    raised: Raised = {}
    for (patient, signal), (at, value) in ward.items():
        rule = rules[signal, "medium"]
        for side, beyond in (("low", value < rule.low), ("high", value > rule.high)):
            first = beyond & ~np.concatenate([[False], beyond[:-1]])
            raised[patient, signal, side] = at[first].tolist()
    return raised


def ours(ward: Ward) -> Raised:
    """The same of the rules of the twin, physiological alarms of vitals."""
    import pyarrow as pa

    columns: dict[str, list[object]] = {
        n: [] for n in ("patient", "signal", "value", "measured_at")
    }
    for (patient, signal), (at, value) in ward.items():
        columns["patient"] += [patient] * len(at)
        columns["signal"] += [signal] * len(at)
        columns["value"] += value.tolist()
        columns["measured_at"] += (START + (at * SECOND).astype(np.int64)).tolist()
    done = assess(recording_of(pa.table(columns)), scores=False)
    raised: Raised = {}
    for row in done.alarms:
        if row.event == AlarmEvent.RAISED and row.kind == AlarmKind.PHYSIOLOGICAL:
            at = (row.at - START) / SECOND
            raised.setdefault((row.patient, row.signal, row.side), []).append(at)
    return raised


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


def compared(ward: Ward, events: dict[tuple[str, str], float], rules: Rules) -> dict[str, object]:
    """Both on the same rows. events: those of the recording, and when each begins."""
    found: dict[str, object] = {}
    firsts = []
    for name, raised in (("plain", plain(ward, rules)), ("twin", ours(ward))):
        vitals = {k: v for k, v in raised.items() if k[1] in COLUMNS.values()}
        first = {}
        for (patient, signal), begin in events.items():
            side = "low" if signal == "spo2" else "high"
            till = begin + EVENT_S + RAMP_S
            times = [t for t in raised.get((patient, signal, side), []) if begin <= t <= till]
            first[patient, signal] = times[0] if times else None
        firsts.append(first)
        alarms, caught = sum(map(len, vitals.values())), sum(v is not None for v in first.values())
        found[name] = {"alarms": alarms, "detected": caught, "without_event": alarms - caught}
    pairs = [(a, firsts[1][k]) for k, a in firsts[0].items() if a is not None]
    extra = [b - a for a, b in pairs if b is not None]
    if extra:
        found["extra_delay_s"] = {"median": statistics.median(extra), "worst": max(extra)}
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=SHARED)
    folder = options.parse_args().folder
    if not folder.is_dir():
        print(json.dumps({"skipped": f"{folder}: no such folder"}))
        return
    rules, found = dict(DEFAULTS), {}
    for name, read in KINDS.items():
        ward, begins = deteriorated(read(folder))
        if not ward:
            continue
        events = {key: begin for key, begin in begins.items() if is_event(key, begin, ward, rules)}
        seconds = sum(float(at[-1] - at[0]) for at, _ in ward.values())
        found[name] = {
            "recordings": len({patient for patient, _ in ward}),
            "hours_of_vitals": round(seconds / 3600, 1),
            "events": len(events),
            "as_recorded": compared(ward, events, rules),
            "with_spikes": compared(spiked(ward), events, rules),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
