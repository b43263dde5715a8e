"""What one message and the catalogue allow to judge: signal, unit, plausible range, stamp.

Pure, and without memory: two ingest processes judge the same. Whatever needs earlier messages
(duplicates, order, outliers) is the worker's.
"""

from __future__ import annotations

from math import isfinite

from ingest.catalogue import SIGNALS, Signal, to_canonical
from ingest.instant import DAY, SECOND, format_instant
from ingest.payload.decoded import Kept, Reason, Rejection, Sample, shortened
from ingest.settings import ScreenSettings
from ingest.stamping import Unit, declared_as, likeness

#: What says that a device's clock, or how it writes its time, is wrong.
STAMP_FAULTS = frozenset({Reason.FUTURE, Reason.ANCIENT})


def screen(
    sample: Sample,
    at: int,
    received_at: int | None,
    settings: ScreenSettings,
    read_in: Unit | None = None,
) -> float | Rejection:
    """The sample's value in its signal's canonical unit, or why it cannot be an observation.

    at: the instant that its stamp means, received_at: ns UTC; None leaves the stamp's age unjudged.
    read_in: the unit in which its stamp was read, None: it was no number.
    """
    signal = SIGNALS.get(sample.signal)
    # Nearly all are plain: in the canonical unit, within the range, of a plausible age.
    plain = (
        signal is not None and sample.unit is None and signal.lower <= sample.value <= signal.upper
    )
    value = sample.value if plain else _canonical(sample)
    if received_at is None or isinstance(value, Rejection):
        return value
    if -settings.future_ns <= received_at - at <= settings.ancient_ns:
        return value
    return _stamp_fault(sample, at, received_at, settings, read_in)


def screen_kept(
    kept: Kept, at: int | None, received_at: int | None, settings: ScreenSettings
) -> float | Rejection:
    """As `screen`, for a value that belongs to no instant; at: None where its end is none either.

    The plausible range holds for what has a value's own scale; not for a spread, a count, or steps
    that were added up over an interval. The age is that of the interval's end, where that is an
    instant.
    """
    sample = Sample(kept.signal, kept.value, kept.unit, kept.stamp or 0, at=kept.at)
    signal = SIGNALS.get(kept.signal)
    if kept.statistic == "count":  # of the measurements: it has no unit
        value: float | Rejection = kept.value
    elif signal is not None and kept.statistic in _SPREADS:
        value = _spread(signal, sample, _SPREADS[kept.statistic])
    elif signal is not None and signal.unit == "{steps}":
        total = to_canonical(signal, kept.value, kept.unit)
        value = _canonical(sample) if total is None or total < 0 else total
    else:
        value = _canonical(sample)
    if received_at is None or at is None or isinstance(value, Rejection):
        return value
    if settings.can_be(at, received_at):
        return value
    return _stamp_fault(sample, at, received_at, settings, None)


#: Statistics that say how wide values lie, and the power of the unit that they have.
_SPREADS = {"standard deviation": 1, "quartile deviation": 1, "variance": 2}


def _spread(signal: Signal, sample: Sample, power: int) -> float | Rejection:
    zero, one = (to_canonical(signal, value, sample.unit) for value in (0.0, 1.0))
    if zero is None or one is None or sample.value < 0:
        return _canonical(sample)
    return float(sample.value * (one - zero) ** power)


def _canonical(sample: Sample) -> float | Rejection:
    signal = SIGNALS.get(sample.signal)
    if signal is None:
        expected = "a signal of the catalogue"
        got = shortened(sample.signal)
        return _rejection(Reason.SIGNAL_UNKNOWN, sample, sample.path, expected, got)
    value = to_canonical(signal, sample.value, sample.unit)
    if value is None:
        expected = " or ".join((signal.unit, *signal.accepted))
        got = shortened(str(sample.unit))
        return _rejection(Reason.UNIT_UNKNOWN, sample, sample.unit_path, expected, got)
    if signal.lower <= value <= signal.upper:
        return value
    if not isfinite(sample.value):
        return _rejection(
            Reason.VALUE_NOT_A_NUMBER, sample, sample.path, "a finite number", str(sample.value)
        )
    got = shortened(f"{sample.value!r} {sample.unit or signal.unit}")
    return _rejection(Reason.VALUE_OUT_OF_RANGE, sample, sample.path, _range(signal), got)


def _stamp_fault(
    sample: Sample, at: int, received_at: int, settings: ScreenSettings, read_in: Unit | None
) -> Rejection:
    found = likeness(at, received_at, read_in)
    said = format_instant(sample.stamp) + (f" ({found.words})" if found else "")
    if at > received_at:
        expected = f"at most {settings.future_ns // SECOND} s ahead of its receipt"
        reason = Reason.FUTURE
    else:
        expected = f"at most {settings.ancient_ns // DAY} days before its receipt"
        reason = Reason.ANCIENT
    return _rejection(reason, sample, sample.time_path, declared_as(expected, found), said)


def _range(signal: Signal) -> str:
    return f"{signal.lower:g} to {signal.upper:g} {signal.unit}"


def _rejection(reason: Reason, sample: Sample, path: str, expected: str, got: str) -> Rejection:
    return Rejection(reason, path, expected, got, sample.signal)
