"""The change index: how unusual the last day of a person is for that person (docs/change.md).

The open form of LINK-HF's multivariate index (Stehlik et al. 2020): r is the mean over a day of the
signals' departures from what is usual for the person, in the person's own standard deviations; C is
how r usually varies in this person, shrunk towards what is usual in people while little is known;
T² = r' C⁻¹ r, the index is the chi-squared cdf of T² at as many degrees as there are signals, and
r_i (C⁻¹ r)_i says what each signal contributes. It calls nobody: it is shown, never an alarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import DAY, HOUR, SECOND
from ingest.observation import Tick
from twin.assessment.change_kernel import DAY_H, HELD, LEARNT_H, NEVER, USUAL_H, gather
from twin.assessment.chi_squared import cdf, quantile_ratio
from twin.estimation.bank import Bank
from twin.estimation.habits import habits_of
from twin.estimation.kalman import E_WEIGHT
from twin.estimation.slots import filled
from twin.judgement import Judgements
from twin.part import Moment, Said, Seen, Unasked
from twin.personal import Change, Departure
from twin.untouched import telling

LAYOUT = 1
#: Steps count what the activity says already, and are most of the time 0.
LEFT_OUT = frozenset({"step_count"})
#: Variance of a day's mean departure that is assumed of a person of whom nothing is known, and for
#: how many independent days that assumption counts. Proposals (docs/change.md).
ASSUMED, ASSUMED_SAMPLES = 0.25, 5.0
#: A running mean over a day gives an independent sample every two days (twice its time constant).
SAMPLE_H = 2 * DAY_H
#: So many independent samples (besides the three days of usual values) before anything is said of
#: a signal; what is forgotten does not count.
LEAST_SAMPLES, MOST_SAMPLES = 1.0, USUAL_H / SAMPLE_H
#: The person is unusual from here on, until it falls below the second.
UNUSUAL_FROM, UNUSUAL_UNTIL = 0.99, 0.95
_Z90 = 1.6448536269514722

_PER_SIGNAL: tuple[tuple[str, Any, float], ...] = (
    ("block", np.int64, NEVER),
    ("block_sum", np.float64, 0),
    ("block_n", np.int32, 0),
    ("hours", np.float64, 0),
    ("usual", np.float64, 0),
    ("spread", np.float64, 0),
    ("departure", np.float64, 0),
    ("departed_at", np.int64, NEVER),
    ("varied_h", np.float64, 0),
)
_PER_PATIENT: tuple[tuple[str, Any, float], ...] = (
    ("unusual", np.bool_, 0),
    ("turn", np.int64, NEVER),
    ("phase", np.int64, 0),
    ("known", np.bool_, 0),
)
#: Arrays that are not filled with zeros.
_NEVER_YET = frozenset(name for name, _, filling in (*_PER_SIGNAL, *_PER_PATIENT) if filling)


class _Kept(msgspec.Struct, frozen=True):
    """One partition: arrays by name as bytes, (patients, …) in the order of `patients`.

    signals: those the arrays hold: all that were seen.
    """

    layout: int
    patients: tuple[str, ...]
    signals: tuple[str, ...]
    arrays: dict[str, memoryview]


_decoder = msgspec.msgpack.Decoder(_Kept)


@dataclass(slots=True)
class ChangeIndex(Unasked):
    """A part of the twin's state. `of[name]` are its arrays, (capacity, signals), (capacity,);
    `of["varies"]` (capacity, signals, signals) float32 the covariance of the departures.
    _since (capacity,): from when the hour of `turn` counts for the patient, ns; NEVER: look."""

    bank: Bank
    of: dict[str, NDArray[Any]] = field(default_factory=dict)
    signals: tuple[str, ...] = field(init=False)
    _counted: NDArray[np.bool_] = field(init=False)
    _least: NDArray[np.float64] = field(init=False)
    _since: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.signals = tuple(SIGNALS)
        self._counted = np.array([code not in LEFT_OUT for code in self.signals])
        # A mean of a quarter of an hour is not better than a tenth of what one reading is.
        self._least = np.array([max(s.noise_std / 10, s.resolution / 4) for s in SIGNALS.values()])
        self._grow(1)

    @property
    def name(self) -> str:
        return "change"

    def observe(self, seen: Seen) -> Said:
        """Gather measurements into blocks."""
        self._grow(self.bank.room)
        m = self.of
        m["known"][seen.patient] = True
        gather(
            seen.patient, seen.signal, seen.measured_at, seen.value, seen.quality,
            seen.updated.verdict, np.ascontiguousarray(seen.updated.estimates[:, E_WEIGHT]),
            self._counted, self._least,
            m["unusual"], m["block"], m["block_sum"], m["block_n"], m["hours"], m["usual"],
            m["spread"], m["departure"], m["departed_at"],
        )  # fmt: skip
        return ()

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Once an hour, each patient at a second of its own: the index."""
        self._grow(self.bank.room)
        m = self.of
        # Outside the hour that began at `since`, before or after: one comparison for a whole ward.
        outside = (tick.at - self._since).view(np.uint64) >= HOUR
        numbers = np.flatnonzero(outside & m["known"])
        numbers = numbers[moment.partitions[self.bank.partition[numbers]]]
        fresh = numbers[m["turn"][numbers] == NEVER].tolist()
        m["phase"][fresh] = [crc32(self.bank.patients.text[n].encode()) % 3600 for n in fresh]
        turn = (tick.at + m["phase"][numbers] * SECOND) // HOUR
        m["turn"][fresh] = (tick.at + m["phase"][fresh] * SECOND) // HOUR
        due = turn != m["turn"][numbers]
        m["turn"][numbers[due]] = turn[due]
        self._since[numbers] = m["turn"][numbers] * HOUR - m["phase"][numbers] * SECOND
        said: dict[int, list[Change]] = {}
        for number in numbers[due].tolist():
            partition = int(self.bank.partition[number])
            said.setdefault(partition, []).append(self._judge(number, tick.at))
        return [
            (p, Judgements(changes=tuple(sorted(rows, key=lambda row: row.patient))))
            for p, rows in sorted(said.items())
        ]

    def _judge(self, number: int, at: int) -> Change:
        """The index of a patient, and what is learnt from the hour."""
        m = self.of
        recent = (m["departed_at"][number] != NEVER) & (at - m["departed_at"][number] <= DAY)
        learns = np.flatnonzero(recent & (m["hours"][number] >= LEARNT_H))
        if not len(learns):  # of most of a new ward: nothing to be said of them costs little
            nothing, unusual = math.nan, bool(m["unusual"][number])
            patient = self.bank.patients.text[number]
            return Change(
                patient, at, False, nothing, nothing, nothing, 0.0, 0.0, unusual, (),
                habits_of(self.bank, number),
            )  # fmt: skip
        learnt = np.minimum(m["varied_h"][number, learns] / SAMPLE_H, MOST_SAMPLES)
        rows = learns[learnt >= LEAST_SAMPLES]
        samples = learnt[learnt >= LEAST_SAMPLES]
        varies = m["varies"][number][np.ix_(rows, rows)]
        statistic, shares = _distance(m["departure"][number, rows], varies, samples)
        known, fewest = len(rows) > 0, float(learnt.max(initial=0.0))
        index = low = high = math.nan
        if known:
            fewest = float(samples.min())
            index, low, high = _index(statistic, len(rows), fewest)
            m["unusual"][number] = index >= (
                UNUSUAL_UNTIL if m["unusual"][number] else UNUSUAL_FROM
            )
        self._learn(number, learns)
        parts = [
            Departure(
                self.signals[row],
                float(m["departure"][number, row]),
                share,
                float(m["usual"][number, row]),
                math.sqrt(float(m["spread"][number, row])),
            )
            for row, share in zip(rows.tolist(), shares.tolist(), strict=True)
        ]
        parts.sort(key=lambda part: (-part.contribution, part.signal))
        patient, unusual = self.bank.patients.text[number], bool(m["unusual"][number])
        return Change(
            patient, at, known, index, low, high, statistic, fewest, unusual, tuple(parts),
            habits_of(self.bank, number),
        )  # fmt: skip

    def _learn(self, number: int, rows: NDArray[np.int64]) -> None:
        """An hour of how the departures vary; at a share of the pace while they are unusual."""
        r = self.of["departure"][number, rows]
        hour = HELD if self.of["unusual"][number] else 1.0
        hours, varies = self.of["varied_h"][number], self.of["varies"][number]
        hours[rows] += hour
        of_pair = np.minimum(np.minimum.outer(hours[rows], hours[rows]), USUAL_H)
        pairs = np.ix_(rows, rows)
        varies[pairs] += hour / of_pair * (np.outer(r, r) - varies[pairs])

    def capture(self, partition: int) -> bytes:
        """Everything known of the partition's patients."""
        numbers = self._members(partition)
        names = tuple(self.bank.patients.text[n] for n in numbers.tolist())
        seen = np.flatnonzero((self.of["block"][numbers] != NEVER).any(axis=0))
        arrays = {
            name: memoryview(array[np.ix_(numbers, *(seen for _ in array.shape[1:]))].tobytes())
            for name, array in self.of.items()
        }
        signals = tuple(self.signals[row] for row in seen.tolist())
        return msgspec.msgpack.encode(_Kept(LAYOUT, names, signals, arrays))

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        """Raises ValueError: another layout."""
        try:
            kept = _decoder.decode(content)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error
        if kept.layout != LAYOUT or kept.arrays.keys() != self.of.keys():
            raise ValueError(f"layout {kept.layout}, this code reads {LAYOUT}")
        self.forget(partition)
        numbers = np.array(self.bank.numbers_in(partition, kept.patients), np.int64)
        self._grow(self.bank.room)
        here = [n for n, code in enumerate(kept.signals) if code in self.signals]
        places = np.array([self.signals.index(kept.signals[n]) for n in here], np.int64)
        same = kept.signals == self.signals
        for name, kept_array in kept.arrays.items():
            array, who = self.of[name], numbers
            shape = (len(numbers), *(len(kept.signals) for _ in array.shape[1:]))
            said = np.frombuffer(kept_array, array.dtype).reshape(shape)
            if name not in _NEVER_YET:  # of whom nothing is learnt, zeros are there already
                some = telling(said)
                who, said = who[some], said[some]
            if same:
                array[who] = said
                continue
            for _ in array.shape[1:]:  # signals may have got other rows since
                said = np.moveaxis(said[:, here], 1, -1)
            array[np.ix_(who, *(places for _ in array.shape[1:]))] = said
        self._since[numbers] = NEVER

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        self._grow(self.bank.room)
        numbers = self._members(partition)
        for name, _, filling in (*_PER_SIGNAL, *_PER_PATIENT):
            self.of[name][numbers] = filling
        self.of["varies"][numbers] = 0
        self._since[numbers] = NEVER

    def _members(self, partition: int) -> NDArray[np.int64]:
        numbers = np.flatnonzero(self.of["known"])
        return np.asarray(numbers[self.bank.partition[numbers] == partition], np.int64)

    def _grow(self, patients: int) -> None:
        capacity = len(self.of["known"]) if self.of else 0
        if patients <= capacity:
            return
        n, width = max(64, patients, 2 * capacity), len(self.signals)
        kinds: list[tuple[str, Any, tuple[int, ...], float]] = [
            *((name, kind, (n, width), filling) for name, kind, filling in _PER_SIGNAL),
            *((name, kind, (n,), filling) for name, kind, filling in _PER_PATIENT),
            ("varies", np.float32, (n, width, width), 0),
        ]
        for name, kind, shape, filling in kinds:
            grown = filled(shape, kind, filling)
            if name in self.of:
                grown[:capacity] = self.of[name]
            self.of[name] = grown
        since = np.full(n, NEVER, np.int64)
        since[:capacity] = self._since[:capacity] if capacity else NEVER
        self._since = since


def _distance(
    r: NDArray[np.float64], varies: NDArray[np.floating[Any]], learnt: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """T² and what each signal contributes to it, (k,).

    varies (k, k): covariance learnt from learnt (k,) independent samples; it is shrunk towards
    independent departures of the assumed variance, the more the fewer they are.
    """
    if not len(r):
        return 0.0, r
    samples = np.minimum.outer(learnt, learnt)
    own = samples / (samples + ASSUMED_SAMPLES)
    # Beside its diagonal a covariance of few samples is mostly chance: it is shrunk twice.
    shrunk = own * own * varies
    np.fill_diagonal(shrunk, np.diag(own) * np.diag(varies) + (1 - np.diag(own)) * ASSUMED)
    contributions = r * np.linalg.solve(shrunk, r)
    return float(contributions.sum()), contributions


def _index(statistic: float, signals: int, samples: float) -> tuple[float, float, float]:
    """(index, low, high): the last two as a covariance of so few samples allows, 90 %."""
    freedom = samples + ASSUMED_SAMPLES
    low, high = (statistic * quantile_ratio(freedom, z) for z in (-_Z90, _Z90))
    return cdf(statistic, signals), cdf(low, signals), cdf(high, signals)
