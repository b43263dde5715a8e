"""How a person's heart answers activity: resting rate and gain, learnt from the flow.

A part of the twin's state. It explains nothing away: no alarm, score or forecast asks it. A
scenario with an activity does, where who asks declares no gain of their own (docs/models.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from twin.assessment.response_kernel import (
    GAIN,
    LEARNT,
    MINUTES,
    NEVER,
    P00,
    P11,
    PRIOR,
    RESTING,
    answer,
)
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.kalman import E_MEAN
from twin.estimation.models import ModelFile
from twin.estimation.scenario import Response
from twin.part import Said, Seen, Unasked

LAYOUT = 1
HEART = "heart_rate"
#: Signals that say how active a person is; what is assumed of people stands in the model file.
SOURCES = ("activity", "step_count")
_N = len(SOURCES)
_ARRAYS: tuple[tuple[str, Any, tuple[int, ...], float], ...] = (
    ("heart", np.float64, (), 0),
    ("heart_at", np.int64, (), NEVER),
    ("felt", np.float64, (_N,), 0),
    ("felt_at", np.int64, (_N,), NEVER),
    ("learnt", np.float64, (_N, LEARNT), -1),
)


class _Kept(msgspec.Struct, frozen=True):
    """One partition: arrays by name as bytes, (patients, …) in the order of `patients`."""

    layout: int
    patients: tuple[str, ...]
    arrays: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(_Kept)


@dataclass(slots=True)
class ActivityResponse(Unasked):
    """`of[name]` are its arrays, (capacity, …). _prior, _source: what `_model` assumes."""

    bank: Bank
    of: dict[str, NDArray[Any]] = field(default_factory=dict)
    _model: ModelFile | None = None
    _prior: NDArray[np.float64] = field(init=False)
    _source: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._grow(1)

    @property
    def name(self) -> str:
        return "response"

    def observe(self, seen: Seen) -> Said:
        """Learn from heart rates and activity."""
        prior, source = self._assumed()
        if (seen.signal == SIGNAL_ROW[HEART]).any() or (source[seen.signal] >= 0).any():
            self._grow(self.bank.room)
            m = self.of
            answer(
                seen.patient, seen.signal, seen.measured_at, seen.value, seen.updated.verdict,
                np.ascontiguousarray(seen.updated.estimates[:, E_MEAN]), SIGNAL_ROW[HEART], source,
                prior, m["heart"], m["heart_at"], m["felt"], m["felt_at"], m["learnt"],
            )  # fmt: skip
        return ()

    def of_patient(self, patient: str) -> dict[str, Response]:
        """source → the person's answer to it; of one of whom nothing is learnt what people's is.

        Sources of which the model file assumes nothing are left out.
        """
        prior, source = self._assumed()
        number, found = self.bank.patients.numbers.get(patient), {}
        for s, code in enumerate(SOURCES):
            if source[SIGNAL_ROW[code]] < 0:
                continue
            rest, rest2, gain, gain2 = prior[s].tolist()
            made = Response(rest, rest2**0.5, gain, gain2**0.5, 0.0)
            if number is not None and number < len(self.of["learnt"]):
                own = self.of["learnt"][number, s].tolist()
                if own[MINUTES] >= 0:
                    made = Response(
                        own[RESTING], own[P00] ** 0.5, own[GAIN], own[P11] ** 0.5, own[MINUTES]
                    )
            found[code] = made
        return found

    def _assumed(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """prior (sources, PRIOR) and source (signals,), −1 where a signal is none."""
        if self._model is self.bank.model_file:
            return self._prior, self._source
        signals = self.bank.model_file.signals
        prior, source = np.zeros((_N, PRIOR)), np.full(len(CODES), -1, np.int64)
        heart = signals.get(HEART)
        for s, code in enumerate(SOURCES):
            model = signals.get(code)
            if heart is not None and model is not None and model.heart_gain_std > 0:
                source[SIGNAL_ROW[code]] = s
                prior[s] = heart.mean, heart.spread**2, model.heart_gain, model.heart_gain_std**2
        self._model, self._prior, self._source = self.bank.model_file, prior, source
        return prior, source

    def capture(self, partition: int) -> bytes:
        """Everything known of the partition's patients."""
        numbers = self._members(partition)
        names = tuple(self.bank.patients.text[n] for n in numbers.tolist())
        arrays = {name: array[numbers].tobytes() for name, array in self.of.items()}
        return msgspec.msgpack.encode(_Kept(LAYOUT, names, arrays))

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
        for name, kind, shape, _ in _ARRAYS:
            said = np.frombuffer(kept.arrays[name], kind)
            self.of[name][numbers] = said.reshape(len(numbers), *shape)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        self._grow(self.bank.room)
        numbers = self._members(partition)
        for name, _, _, filling in _ARRAYS:
            self.of[name][numbers] = filling

    def _members(self, partition: int) -> NDArray[np.int64]:
        here = np.flatnonzero(self.bank.partition[: len(self.bank.patients)] == partition)
        here = here[here < len(self.of["heart"])]
        known = (self.of["heart_at"][here] != NEVER) | (self.of["felt_at"][here] != NEVER).any(
            axis=1
        )
        return np.asarray(here[known], np.int64)

    def _grow(self, patients: int) -> None:
        capacity = len(self.of["heart"]) if self.of else 0
        if patients <= capacity:
            return
        n = max(64, patients, 2 * capacity)
        for name, kind, shape, filling in _ARRAYS:
            grown = np.full((n, *shape), filling, kind)
            if name in self.of:
                grown[:capacity] = self.of[name]
            self.of[name] = grown
