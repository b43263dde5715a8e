"""What goes into the kernel and what comes out of it: n observations of slots of the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.estimation.anchors import Anchored


@dataclass(frozen=True, slots=True)
class Events:
    """n observations for the kernel: slot, stamp (ns), value, noise_std, quality (NaN), device."""

    slot: NDArray[np.int64]
    stamp: NDArray[np.int64]
    value: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    quality: NDArray[np.float64]
    device: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Updated:
    """What the kernel made of n events.

    verdict (n,) Verdict codes; as_of (n,) ns; estimates (n, ESTIMATE). Revisions (m,): the event
    that caused each, the stamp revised, its estimate (m, ESTIMATE). anchored: bases put out.
    """

    verdict: NDArray[np.uint8]
    as_of: NDArray[np.int64]
    estimates: NDArray[np.float64]
    revised_by: NDArray[np.int64]
    revised_at: NDArray[np.int64]
    revised: NDArray[np.float64]
    anchored: Sequence[Anchored] = ()
