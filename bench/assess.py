"""Judging every patient each second, as share of one core: `python -m bench.assess`.

A ward of 10 000 with five vitals measured each second, alarms on, one in fifty beyond a limit: what
a tick of the assessment costs (conditions, scores, lives of alarms, rows) and one of the change
index (of people whose usual is known; each has its turn once an hour), what taking the observations
in costs each of them beside the whole step of the same run (the bank's own update and tick are the
rest of it). CPU time of this process, as shares of one core and of the step, which a busy machine
changes less; prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from ingest.observation import OBSERVATION_ROW, Command, ObservationBatch, Tick
from twin.assessment.change_index import ChangeIndex
from twin.assessment.news2 import SIGNAL_OF
from twin.judgement import Judgements
from twin.part import Moment, Said, Seen
from twin.step import Part, Placed, TwinState, assessment_of, new_state, step

START = 1_790_000_000 * 10**9
USUAL = np.array([16.0, 97.0, 125.0, 72.0, 37.0])
NOISE = np.array([0.8, 0.4, 2.0, 1.0, 0.05])
#: SpO2 of the one in fifty.
BAD = 83.0


class Clocked:
    """Measures the CPU seconds of a part of the state in a step."""

    def __init__(self, state: TwinState, name: str) -> None:
        place = [part.name for part in state.parts].index(name)
        self.part: Part = state.parts[place]
        self.observed, self.ticked = 0.0, 0.0
        state.parts = (*state.parts[:place], self, *state.parts[place + 1 :])

    def __getattr__(self, name: str) -> object:
        return getattr(self.part, name)

    def observe(self, seen: Seen) -> Said:
        began = time.process_time()
        said = self.part.observe(seen)
        self.observed = time.process_time() - began
        return said

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        began = time.process_time()
        said = self.part.tick(tick, moment, heard)
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


def learn(index: ChangeIndex, at: int) -> None:
    """Everybody's usual is known, as after a month: what is due is judged in full."""
    rows = [index.signals.index(code) for code in SIGNAL_OF]
    index.of["departed_at"][:, rows] = at
    index.of["hours"][:, rows] = 720.0
    index.of["varied_h"][:, rows] = 720.0
    index.of["varies"][:] = np.eye(len(index.signals))


def measured(patients: int, seconds: int, warm: int) -> dict[str, float]:
    """Medians of CPU seconds of a second of journal time, after `warm` seconds of it."""
    rng = np.random.default_rng(1)
    state, told = new_state(1), 0
    alarms = assessment_of(state)
    judged, changed = Clocked(state, "assessment"), Clocked(state, "change")
    on = Command("on", "alarm_settings", "bench", START, {"alarms": True, "mode": "research"})
    step(state, [Placed(0, 1, on)])
    position, found = 1, []
    for second in range(1, warm + seconds + 1):
        given = batch(patients, second, rng)
        began = time.process_time()
        records = (given, Tick(START + second * 10**9, True))
        said = step(state, [Placed(0, position + n, one) for n, one in enumerate(records, 1)])[1]
        position += 2
        if second == warm:
            learn(changed.part, START + second * 10**9)
        if second > warm:
            whole = time.process_time() - began
            spent = (judged.ticked, judged.observed, changed.ticked, changed.observed, whole)
            found.append(spent)
            rows = [each for each in said.get(0, ()) if isinstance(each, Judgements)]
            told += sum(one.known for each in rows for one in each.changes)
    columns = list(zip(*found, strict=True))
    ticked, observed, tick, observe, whole = map(statistics.median, columns)
    return {
        "patients": patients,
        "signals": len(SIGNAL_OF),
        "open_alarms": len(alarms.known.open.by_id),
        "tick_share_of_a_core": ticked,
        "worst_tick_share": max(columns[0]),
        "observe_share_of_a_core": observed,
        "change_tick_share_of_a_core": tick,
        "change_indexes_known_each_second": told / seconds,
        "worst_change_tick_share": max(columns[2]),
        "change_observe_share_of_a_core": observe,
        "step_share_of_a_core": whole,
        "judging_share_of_the_step": (ticked + observed) / whole,
        "change_share_of_the_step": (tick + observe) / whole,
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
