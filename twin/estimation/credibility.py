"""How far a model can be believed on recordings: every score of `twin validate`.

A recording is replayed as the twin would take it in; every forecast is compared with the reference,
never with the twin's own mean. Without a reference, the recording's later readings are it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import DAY, SECOND
from ingest.recording import Recording
from twin.estimation import scores
from twin.estimation.alignment import Sides
from twin.estimation.comparators import plain, random_walk, raw_devices
from twin.estimation.device_scores import DeviceScores, device_scores, signed_innovations
from twin.estimation.horizon_scores import HorizonScores, horizon_scores
from twin.estimation.models import ModelFile
from twin.estimation.pairing import Key, Readings, Track, keys_of, readings, rows_of, tracks
from twin.estimation.replay import Order, Replayed, replay


@dataclass(frozen=True, slots=True)
class SignalScores:
    """One signal: what the twin was given, its innovations, its horizons in ascending order.

    days is the sum of the persons' spans; interval_s the median distance of readings; nis should be
    1 in the mean (0.45 in the median) and lag1, the correlation of neighbouring innovations, 0;
    devices: the same of each of its devices.
    """

    signal: str
    persons: int
    observations: int
    days: float
    interval_s: float
    nis: float
    nis_median: float
    lag1: float
    horizons: Sequence[HorizonScores]
    devices: Sequence[DeviceScores] = ()


@dataclass(frozen=True, slots=True)
class Credibility:
    """Scores of every signal, counts of what was not accepted, the replay that they are made of."""

    signals: Sequence[SignalScores]
    counts: Mapping[str, int]
    replayed: Replayed


def credibility(
    recording: Recording,
    reference: Mapping[Key, Readings] | None,
    model: ModelFile,
    horizons: Iterable[float],
    *,
    compare: ModelFile | None = None,
    order: Order = "measured",
    progress: Callable[[str], None] = lambda _: None,
) -> Credibility:
    """Scores of the model on the recording; persons are numbered in the recording's order.

    horizons: seconds ahead, above 0; with a reference, now is judged too. compare: another model on
    the same readings. progress is told what begins.
    """
    ahead = sorted(set(horizons))
    progress("replay")
    done = replay(recording, model=model, order=order, forecast=ahead)
    given = readings(recording, done.taken)
    ours = tracks(recording, done, len(ahead))
    others: dict[str, Mapping[Key, Track]] = {}
    for name, other in (("other model", compare), ("plain Kalman", plain(model))):
        if other is not None:
            progress(name)
            ran = replay(recording, model=other, order=order, forecast=ahead)
            others[name] = tracks(recording, ran, len(ahead))
    progress("random walk")
    others["filterpy random walk"] = {
        key: random_walk(each, key[1], ahead) for key, each in given.items()
    }
    innovations = _innovations(recording, done, 1 + len(ahead))
    devices = device_scores(recording, done, 1 + len(ahead))
    numbers = {patient: n for n, patient in enumerate(dict.fromkeys(recording.patient))}
    signals = []
    for signal in dict.fromkeys(key[1] for key in ours):
        progress(signal)
        raw = {
            f"raw {label}": each
            for label, each in raw_devices(recording, done.taken, signal).items()
        }
        truth = given if reference is None else reference
        sides = Sides(signal, truth, given, ours, others, raw, numbers)
        places = [*enumerate([0.0, *ahead])][reference is None :]
        signals.append(_signal(sides, places, innovations[signal], devices.get(signal, ())))
    return Credibility(signals, done.counts, done)


def _innovations(
    recording: Recording, done: Replayed, each: int
) -> Mapping[str, list[NDArray[np.float64]]]:
    """Signal → standardised innovations of each key, without its first: the prior's, not a step's.

    each: rows of an observation.
    """
    signed = signed_innovations(recording, done, each)
    found: dict[str, list[NDArray[np.float64]]] = {}
    for (_, signal), places in rows_of(recording, done.taken).items():
        run = signed[places[1:]]
        found.setdefault(signal, []).append(run[np.isfinite(run)])
    return found


def _signal(
    sides: Sides,
    places: Sequence[tuple[int, float]],
    innovations: Sequence[NDArray[np.float64]],
    devices: Sequence[DeviceScores],
) -> SignalScores:
    at = [sides.given[key].at for key in keys_of(sides.signal, sides.given)]
    gaps = np.concatenate([np.diff(each) for each in at])
    square = np.concatenate(innovations) ** 2
    nis, middle = (np.mean(square), np.median(square)) if len(square) else (np.nan, np.nan)
    lag1 = scores.lag1(innovations)
    more = {"nis": float(nis), "lag1": lag1}
    return SignalScores(
        sides.signal,
        len(at),
        sum(map(len, at)),
        sum(int(each[-1] - each[0]) for each in at) / DAY,
        float(np.median(gaps)) / SECOND if len(gaps) else np.nan,
        float(nis),
        float(middle),
        lag1,
        [horizon_scores(sides, place, seconds, more) for place, seconds in places],
        devices,
    )
