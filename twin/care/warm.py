"""Compile, or load from the cache, what folds and writes frames, before a feed begins."""

from __future__ import annotations

import numpy as np

from twin.care.frames import Framer
from twin.care.joined import joined
from twin.care.latest import Latest
from twin.estimate import ESTIMATE_ROW, EstimateBatch, Verdict


def warm_up() -> None:
    """Takes a moment, or seconds where it must compile."""
    latest, rows = Latest(), np.zeros(1, ESTIMATE_ROW)
    rows["verdict"] = Verdict.ACCEPTED
    batch = EstimateBatch("warm", ("nobody",), ("watch",), ("heart_rate",), ("",), rows)
    for both in joined([batch, batch]):
        latest.fold(both)
    Framer("").delta(latest, {}, 0, "")
