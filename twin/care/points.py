"""What the charts of one watched patient append between two frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ingest.instant import MILLISECOND
from twin.bands import bands
from twin.estimate import NO_DEVICE, EstimateBatch, Kind, Verdict

#: More points of one patient in one frame than this: the page asks for the history again.
MOST_POINTS = 2_000
Estimate = tuple[int, float, float, float, float, float]  # ms, mean, lo50, hi50, lo95, hi95
Observation = tuple[int, float, str]  # ms, value, device


@dataclass(slots=True)
class Points:
    """code → rows, in order of arrival; a revision repeats the time of the point it replaces."""

    estimates: dict[str, list[Estimate]] = field(default_factory=dict)
    observations: dict[str, list[Observation]] = field(default_factory=dict)
    overflown: bool = False
    _count: int = 0

    def take(self, batch: EstimateBatch, patient: str) -> None:
        """Add what a batch says of this patient."""
        if self.overflown or patient not in batch.patients:
            return
        rows = batch.rows[batch.rows["patient"] == batch.patients.index(patient)]
        verdict = rows["verdict"]
        accepted = (rows["kind"] == Kind.VERDICT) & (verdict == Verdict.ACCEPTED)
        estimated = rows[accepted | (rows["kind"] == Kind.REVISION)]
        observed = rows[accepted | (verdict == Verdict.BELATED)]
        self._count += len(estimated) + len(observed)
        if self._count > MOST_POINTS:
            self.estimates, self.observations, self.overflown = {}, {}, True
            return
        band = bands(
            estimated["mean"],
            estimated["std"],
            estimated["scale50"],
            estimated["scale90"],
            estimated["scale95"],
        )
        columns = (estimated["mean"], band.lo50, band.hi50, band.lo95, band.hi95)
        for signal, as_of, *numbers in zip(
            estimated["signal"].tolist(),
            (estimated["as_of"] // MILLISECOND).tolist(),
            *(np.round(column, 4).tolist() for column in columns),
            strict=True,
        ):
            mean, lo50, hi50, lo95, hi95 = numbers
            rows_of = self.estimates.setdefault(batch.signals[signal], [])
            rows_of.append((as_of, mean, lo50, hi50, lo95, hi95))
        for signal, device, at, value in zip(
            observed["signal"].tolist(),
            observed["device"].tolist(),
            (observed["measured_at"] // MILLISECOND).tolist(),
            observed["value"].tolist(),
            strict=True,
        ):
            name = "" if device == NO_DEVICE else batch.devices[device]
            self.observations.setdefault(batch.signals[signal], []).append((at, value, name))
