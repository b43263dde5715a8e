"""On what basis a patient's data may be processed: which signals, from when, until when.

A basis must hold at the measurement's stamp and now: one that has ended ends all use, also of what
was measured while it held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ingest.payload.decoded import Reason, Rejection

BasisKind = Literal["consent", "care", "vital_interest", "legal_obligation", "research"]
KINDS: tuple[str, ...] = get_args(BasisKind)

#: What is refused for one of these is counted and never kept, not even in quarantine.
NEVER_KEPT = frozenset({Reason.NO_BASIS, Reason.NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Basis:
    """Data of the patient may be processed in [start, end), ns UTC; None: open on that side.

    signals: the codes that are allowed; empty: all.
    """

    patient: str
    kind: str
    signals: frozenset[str] = frozenset()
    start: int | None = None
    end: int | None = None

    def holds_at(self, stamp: int) -> bool:
        return (self.start is None or self.start <= stamp) and (
            self.end is None or stamp < self.end
        )

    def allows(self, signal: str) -> bool:
        return not self.signals or signal in self.signals


def may_be_kept(
    rejections: Sequence[Rejection], allowed: frozenset[str] | None, surplus: int
) -> bool:
    """Whether the payload of a refused message may lie in quarantine.

    allowed: signals of which data may be kept (empty: all), None: of none. Where only some may, the
    payload must hold nothing else: no field and no value of which we do not know that it may.
    """
    if allowed is None or any(each.reason in NEVER_KEPT for each in rejections):
        return not rejections
    return not allowed or (not surplus and all(each.signal in allowed for each in rejections))


def refusal(bases: Sequence[Basis], signal: str, stamp: int, now: int) -> Reason | None:
    """Why a value of the signal with this stamp may not be kept, or None if it may."""
    holding = [basis for basis in bases if basis.holds_at(now) and basis.holds_at(stamp)]
    if not holding:
        return Reason.NO_BASIS
    return None if any(basis.allows(signal) for basis in holding) else Reason.NOT_ALLOWED
