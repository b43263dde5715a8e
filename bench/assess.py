"""Judging every patient each second, as share of one core: `python -m bench.assess`.

A ward of 10 000 with five vitals measured each second, alarms on, one in fifty beyond a limit: what
a tick of the assessment costs (conditions, scores, lives of alarms, rows), what taking the
observations in costs beside the bank's own update in the same run, and the whole step. CPU time of
this process; prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from ingest.observation import OBSERVATION_ROW, Command, ObservationBatch, Tick
from twin.assessment.news2 import SIGNAL_OF
from twin.part import Moment, Said, Seen
from twin.step import Placed, TwinState, assessment_of, new_state, step

START = 1_790_000_000 * 10**9
USUAL = np.array([16.0, 97.0, 125.0, 72.0, 37.0])
NOISE = np.array([0.8, 0.4, 2.0, 1.0, 0.05])
#: SpO2 of the one in fifty.
BAD = 83.0


class Clocked:
    """Measures the CPU seconds of the assessment's part of a step."""

    def __init__(self, state: TwinState) -> None:
        self.assessment = assessment_of(state)
        self.observed, self.ticked = 0.0, 0.0
        place = list(state.parts).index(self.assessment)
        state.parts = (*state.parts[:place], self, *state.parts[place + 1 :])

    def __getattr__(self, name: str) -> object:
        return getattr(self.assessment, name)

    def observe(self, seen: Seen) -> Said:
        began = time.process_time()
        said = self.assessment.observe(seen)
        self.observed = time.process_time() - began
        return said

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        began = time.process_time()
        said = self.assessment.tick(tick, moment, heard)
        self.ticked = time.process_time() - began
        return said


def batch(patients: int, second: int, rng: np.random.Generator) -> ObservationBatch:
    """Everybody's five vitals of a second."""
    rows = np.zeros((patients, 5), OBSERVATION_ROW)
    rows["patient"] = np.arange(patients)[:, None]
    rows["device"] = np.arange(patients)[:, None]
    rows["signal"] = np.arange(5)[None, :]
    rows["value"] = np.round(USUAL + rng.normal(0, 1, (patients, 5)) * NOISE, 1)
    rows["value"][::50, 1] = BAD
    rows["value"][:, 1] = np.minimum(rows["value"][:, 1], 100)
    rows["noise_std"] = rows["quality"] = np.nan
    rows["measured_at"] = rows["device_stamp"] = START + second * 10**9
    rows["received_at"] = rows["measured_at"] + 10**8
    rows["device_sequence"] = -1
    names = tuple(f"patient-{n:05d}" for n in range(patients))
    offsets = np.arange(0, 5 * patients + 1, 5, "<i4")
    return ObservationBatch(
        names, tuple(f"w-{name}" for name in names), SIGNAL_OF, offsets.tobytes(), rows.tobytes()
    )


def measured(patients: int, seconds: int, warm: int) -> dict[str, float]:
    """Medians of CPU seconds of a second of journal time, after `warm` seconds of it."""
    rng = np.random.default_rng(1)
    state = new_state(1)
    clocked = Clocked(state)
    on = Command("on", "alarm_settings", "bench", START, {"alarms": True, "mode": "research"})
    step(state, [Placed(0, 1, on)])
    position, found = 1, []
    for second in range(1, warm + seconds + 1):
        given = batch(patients, second, rng)
        began = time.process_time()
        records = (given, Tick(START + second * 10**9, True))
        step(state, [Placed(0, position + n, one) for n, one in enumerate(records, 1)])
        position += 2
        if second > warm:
            found.append((clocked.ticked, clocked.observed, time.process_time() - began))
    ticked, observed, whole = (statistics.median(column) for column in zip(*found, strict=True))
    return {
        "patients": patients,
        "signals": len(SIGNAL_OF),
        "open_alarms": len(clocked.assessment.known.open.by_id),
        "tick_share_of_a_core": ticked,
        "worst_tick_share": max(each[0] for each in found),
        "observe_share_of_a_core": observed,
        "step_share_of_a_core": whole,
        "observe_ns_each": observed / (5 * patients) * 1e9,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, nargs="*", default=[1_000, 10_000])
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--warm", type=int, default=75)
    given = options.parse_args()
    sizes = [measured(patients, given.seconds, given.warm) for patients in given.patients]
    print(json.dumps({"budget_tick_share_of_a_core": 0.1, "sizes": sizes}, indent=1))


if __name__ == "__main__":
    main()
