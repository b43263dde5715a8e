"""Belated measurements folded in: one key's raw record filtered again from an anchor, in order.

The functions are those of the live twin (a bank of one slot), and its rows come sorted by stamp, so
nothing in it is late, and every estimate is final when the next stamp comes: the estimates are
those of `twin replay --order measured`, bit for bit. No file, no clock; the live state is not
touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.anchor import Anchor
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, REFILTERED, EstimateBatch, Kind, Verdict
from twin.estimation.anchors import packed, unpacked
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events, Updated
from twin.estimation.kalman import (
    E_DIVERGED,
    E_INTERVAL,
    E_MEAN,
    E_NIS,
    E_TREND,
    E_TREND_VAR,
    E_VAR,
    E_WEIGHT,
    NEVER,
)
from twin.estimation.models import ModelFile
from twin.estimation.names import Names
from twin.estimation.status import status_of, told_of


@dataclass(frozen=True, slots=True)
class Raw:
    """n observations of one key from the record, sorted by (time, received_at).

    time and received_at in ns; value in the signal's unit; noise_std and quality (NaN = not said);
    device (n,) indexes `devices`.
    """

    time: NDArray[np.int64]
    received_at: NDArray[np.int64]
    value: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    quality: NDArray[np.float64]
    device: NDArray[np.int64]
    devices: Sequence[str]


@dataclass(frozen=True, slots=True)
class Refiltered:
    """estimates: a row of each stamp (REVISION, flag REFILTERED), by stamp; anchors: bases that
    were passed, as the live twin would have put them out."""

    estimates: EstimateBatch
    anchors: Sequence[Anchor]


class KeyFilter:
    """The filter of one (patient, signal), going on from an anchor or from the beginning.

    Raises ValueError if the model file has no model of the signal. An anchor of another layout is
    none: `begins_at` is then None, as without any.
    """

    def __init__(
        self, model: ModelFile, patient: str, signal: str, anchor: Anchor | None = None
    ) -> None:
        if signal not in model.signals:
            raise ValueError(f"model {model.version} has no model of {signal}")
        self._patient, self._signal = patient, signal
        self._bank = Bank(model, partitions=1)
        self._devices = Names()
        self._known_at = np.iinfo(np.int64).min
        number = np.array([self._bank.number_of(patient)], np.int64)
        self._slot = self._bank.find(number, np.array([SIGNAL_ROW[signal]], np.int64))
        self.begins_at = anchor.at if anchor is not None and self._restore(anchor) else None

    def _restore(self, anchor: Anchor) -> bool:
        base = unpacked(anchor.body, self._devices)
        if base is None:
            return False
        a = self._bank.slots.of
        for name in ("state", "base"):
            a[name][self._slot] = base.state
            a[f"{name}_t"][self._slot] = anchor.at
        for name in ("", "base_"):
            a[f"{name}memory"][self._slot] = base.memory
            a[f"{name}entries"][self._slot] = base.entries
        return True

    def take(self, raw: Raw) -> Refiltered:
        """Take in what follows in the record. Stamps not above those before are left out."""
        numbers = np.array([self._devices.number(name) for name in raw.devices], np.int32)
        n = len(raw.time)
        updated = self._bank.update(
            Events(
                np.repeat(self._slot, n),
                raw.time,
                raw.value,
                raw.noise_std,
                raw.quality,
                numbers[raw.device] if n else np.empty(0, np.int32),
            )
        )
        anchors = [
            self._anchor(int(part.at[i]), part.state[i], part.memory[i], part.entries[i])
            for part in updated.anchored
            for i in range(len(part.by))
            if part.at[i] != self.begins_at  # passed before
        ]
        return Refiltered(self._estimates(raw, updated), anchors)

    def _estimates(self, raw: Raw, updated: Updated) -> EstimateBatch:
        """Of each stamp the estimate after its last measurement."""
        taken = np.flatnonzero(updated.verdict == Verdict.ACCEPTED)
        stamp = updated.as_of[taken]
        last = taken[np.append(stamp[1:] != stamp[:-1], True)[: len(taken)]]
        e = updated.estimates[last]
        rows = np.zeros(len(last), ESTIMATE_ROW)
        rows["kind"], rows["flags"], rows["device"] = Kind.REVISION, REFILTERED, NO_DEVICE
        rows["as_of"] = rows["measured_at"] = updated.as_of[last]
        known = np.maximum.accumulate(np.append(self._known_at, raw.received_at))
        rows["received_at"] = known[1:][last]
        self._known_at = int(known[-1])
        rows["value"] = rows["noise_std"] = rows["quality"] = np.nan
        rows["mean"], rows["std"] = e[:, E_MEAN], np.sqrt(e[:, E_VAR])
        rows["trend"], rows["trend_std"] = e[:, E_TREND], np.sqrt(e[:, E_TREND_VAR])
        rows["nis"], rows["weight"] = e[:, E_NIS], e[:, E_WEIGHT]
        rows["scale50"] = rows["scale90"] = rows["scale95"] = 1.0
        signal = np.full(len(last), SIGNAL_ROW[self._signal], np.int64)
        expected = self._bank.expected_interval(signal, e[:, E_INTERVAL])
        aged = status_of(raw.received_at[last] - rows["as_of"], expected)
        rows["status"] = told_of(aged, e[:, E_DIVERGED])
        version = self._bank.model_file.version
        return EstimateBatch(version, (self._patient,), (), (self._signal,), ("",), rows)

    def base(self) -> Anchor | None:
        """The base as it is now: from there the next time goes on. None: nothing is in it yet."""
        a, slot = self._bank.slots.of, int(self._slot[0])
        if a["base_t"][slot] == NEVER:
            return None
        return self._anchor(
            int(a["base_t"][slot]), a["base"][slot], a["base_memory"][slot], a["base_entries"][slot]
        )

    def _anchor(
        self,
        at: int,
        state: NDArray[np.float64],
        memory: NDArray[np.float32],
        entries: NDArray[np.float32],
    ) -> Anchor:
        body = packed(state, memory, entries, self._devices.text)
        return Anchor(self._patient, self._signal, at, body)
