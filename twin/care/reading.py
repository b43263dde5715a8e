"""What the feed knows at one moment, as pages and interface are handed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from twin.judgement import Alarm, Score
from twin.personal import Change


@dataclass(frozen=True, slots=True)
class Reading:
    """A copy of what is known now. rows: dtype LATEST_ROW, patient indexes `patients`.

    labels: every known patient → label ("" where nobody gave one), registered or estimated.
    scores: patient → newest score; alarms: those that are not over (of one patient: its own).
    changes: patient → newest change index, in a reading of one patient.
    time: int64 ns UTC of the pipeline's clock; state: "live", or which part is down.
    """

    time: int
    state: str
    rows: NDArray[Any]
    patients: tuple[str, ...]
    labels: Mapping[str, str]
    scores: Mapping[str, Score]
    alarms: Sequence[Alarm]
    changes: Mapping[str, Change]
    #: Patients for whom other limits hold than the ward's (in a reading of all).
    own_limits: frozenset[str] = frozenset()
