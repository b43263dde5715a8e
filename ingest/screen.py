"""What one message and the catalogue allow to judge: signal, unit, plausible range, stamp.

Pure, and without memory: two ingest processes judge the same. Whatever needs earlier messages
(duplicates, order, outliers) is the worker's.
"""

from __future__ import annotations

from fractions import Fraction
from math import isfinite

from ingest.catalogue import SIGNALS, Signal, to_canonical
from ingest.instant import DAY, HOUR, MINUTE, SECOND, format_instant
from ingest.payload.decoded import Kept, Reason, Rejection, Sample, shortened
from ingest.settings import ScreenSettings

#: What says that a device's clock, or how it writes its time, is wrong.
STAMP_FAULTS = frozenset({Reason.FUTURE, Reason.ANCIENT})
#: What epoch numbers are written in, as a multiple of a number read as milliseconds.
_UNITS = ((Fraction(1000), "seconds"), (Fraction(1, 1000), "µs"), (Fraction(1, 10**6), "ns"))
#: Zones lie on quarters of an hour, 14 h at most; a device's clock is this near to one (ns).
_QUARTER, _FARTHEST, _NEAR = 15 * MINUTE, 14 * HOUR, 2 * MINUTE


def screen(sample: Sample, received_at: int | None, settings: ScreenSettings) -> float | Rejection:
    """The sample's value in its signal's canonical unit, or why it cannot be an observation.

    received_at: ns UTC; None leaves the age of the stamp unjudged.
    """
    signal = SIGNALS.get(sample.signal)
    # Nearly all are plain: in the canonical unit, within the range, of a plausible age.
    plain = (
        signal is not None and sample.unit is None and signal.lower <= sample.value <= signal.upper
    )
    value = sample.value if plain else _canonical(sample)
    if received_at is None or isinstance(value, Rejection):
        return value
    if -settings.future_ns <= received_at - sample.stamp <= settings.ancient_ns:
        return value
    return _stamp_fault(sample, received_at, settings)


def screen_kept(kept: Kept, received_at: int | None, settings: ScreenSettings) -> float | Rejection:
    """As `screen`, for a value that belongs to no instant.

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
    if received_at is None or kept.stamp is None or isinstance(value, Rejection):
        return value
    if settings.can_be(kept.stamp, received_at):
        return value
    return _stamp_fault(sample, received_at, settings)


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


def _stamp_fault(sample: Sample, received_at: int, settings: ScreenSettings) -> Rejection:
    path = sample.time_path
    said = format_instant(sample.stamp) + _guessed(sample.stamp, received_at)
    if sample.stamp > received_at:
        expected = f"at most {settings.future_ns // SECOND} s ahead of its receipt"
        return _rejection(Reason.FUTURE, sample, path, expected, said)
    expected = f"at most {settings.ancient_ns // DAY} days before its receipt"
    return _rejection(Reason.ANCIENT, sample, path, expected, said)


def _guessed(stamp: int, received_at: int) -> str:
    """What the stamp looks like, where it is clear enough to be named: a unit, or a zone."""
    for factor, name in _UNITS:
        if abs(int(stamp * factor) - received_at) <= DAY:
            return f" (looks like {name})"
    ahead = stamp - received_at
    quarters = round(ahead / _QUARTER)
    if 0 < ahead <= _FARTHEST + _NEAR and abs(ahead - quarters * _QUARTER) <= _NEAR:
        return f" ({quarters / 4:g} h ahead: zone?)"
    return ""


def _range(signal: Signal) -> str:
    return f"{signal.lower:g} to {signal.upper:g} {signal.unit}"


def _rejection(reason: Reason, sample: Sample, path: str, expected: str, got: str) -> Rejection:
    return Rejection(reason, path, expected, got, sample.signal)
