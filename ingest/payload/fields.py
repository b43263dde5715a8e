"""The reading of single fields that several decoders share: stamps, sequences, counts of boot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

from ingest.instant import MILLISECOND, MINUTE, SECOND, parse_instant
from ingest.stamping import NAMES, UNITS, Unit, declared_as, likeness_of_number

#: Stamps are int64 ns: the years 1678 to 2262.
MAX_STAMP = 2**63 - 1
MAX_SEQUENCE = 2**63 - 1
#: All stamps of the minute of one nearer to 1970 than this are within int64.
_SURELY = MAX_STAMP - 2 * MINUTE
#: Characters of the shortest date and time, yet without zone; what is shorter is none.
SHORTEST_INSTANT = len("20261125T1200")

_HUGE = 1e300  # no NaN is less
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_moment = datetime.fromisoformat
_OUTSIDE = "expected a time between the years 1678 and 2262"


def is_number(said: object) -> bool:
    """Whether a parsed JSON or CBOR value is a finite number (so is the sum of two of them)."""
    kind = said.__class__
    return (kind is float or kind is int) and -_HUGE < said < _HUGE  # type: ignore[operator]


#: The ends of a text: "00Z" … "59Z", and of those with milliseconds two parts. All in ns.
_SECONDS = {f"{second:02d}Z": second * SECOND for second in range(60)}
_WHOLE = {f"{second:02d}": second * SECOND for second in range(60)}
_MILLISECONDS = {f".{ms:03d}Z": ms * MILLISECOND for ms in range(1000)}
#: "2026-11-25T08:00:" → ns UTC of that minute, of minutes that were read before: devices that
#: speak at the same time say the same one.
_MINUTES: dict[str, int] = {}
_MINUTES_KEPT = 4096


def stamp_of_text(text: str) -> int:
    """ns UTC of an ISO-8601 date and time with zone. Raises ZoneMissing, ValueError."""
    minute = _MINUTES.get(text[:17])
    if minute is not None:
        end = text[17:]
        second = _SECONDS.get(end)
        if second is not None:
            return minute + second
        second, part = _WHOLE.get(end[:2]), _MILLISECONDS.get(end[2:])
        if second is not None and part is not None:
            return minute + second + part
    return _stamp_of_common(text)


def _stamp_of_common(text: str) -> int:
    # The common form, down to microseconds in UTC, by the C parser: an eighth of the time.
    if 20 <= len(text) < 28 and text[10] == "T" and text[-1] == "Z":
        try:
            stamp = (_moment(text) - _EPOCH) // _MICROSECOND * 1000
        except ValueError:
            return _stamp_of_any(text)
        second = _SECONDS.get(text[17:])
        if second is not None and text[13] == text[16] == ":" and abs(stamp) < _SURELY:
            if len(_MINUTES) >= _MINUTES_KEPT:
                _MINUTES.clear()
            _MINUTES[text[:17]] = stamp - second
        return stamp if -MAX_STAMP <= stamp <= MAX_STAMP else within(stamp)
    return _stamp_of_any(text)


def _stamp_of_any(text: str) -> int:
    try:
        return within(parse_instant(text))
    except OverflowError:
        raise ValueError(_OUTSIDE) from None


def stamp_of_number(number: int | float, unit: Unit) -> int:
    """ns UTC of an epoch in a unit; a fraction to the µs, as fine as 64 bits hold it.

    Raises ValueError, saying what was expected, outside int64 ns; it names a unit it may be.
    """
    factor = UNITS[unit]
    if number.__class__ is int:
        stamp = number * factor
    elif _HUGE > number > -_HUGE:  # no NaN, no infinity
        whole = int(number)
        finest = max(1, factor // 10**6)
        stamp = whole * factor + round((number - whole) * min(factor, 10**6)) * finest
    else:
        stamp = MAX_STAMP + 1
    if -MAX_STAMP <= stamp <= MAX_STAMP:
        return int(stamp)
    found = likeness_of_number(number, unit)
    expected = f"expected epoch {NAMES[unit]} of the years 1678 to 2262"
    if found is not None:
        expected += f"; it {found.words}"
    raise ValueError(declared_as(expected, found))


def within(stamp: int) -> int:
    """The stamp. Raises ValueError outside int64 ns."""
    if not -MAX_STAMP <= stamp <= MAX_STAMP:
        raise ValueError(_OUTSIDE)
    return stamp


def boot_number(boot: str | int | float) -> int:
    """A nonzero int64 that stands for a device's boot mark; equal marks give equal numbers."""
    if boot.__class__ is str:
        return _boot_of_text(boot)
    if isinstance(boot, float) and boot.is_integer():
        boot = int(boot)
    return _boot_of_mark(repr(boot) if len(str(boot)) <= 64 else str(boot))


@lru_cache(maxsize=4096)
def _boot_of_text(boot: str) -> int:
    return _boot_of_mark(repr(boot) if len(boot) <= 64 else boot)


def _boot_of_mark(mark: str) -> int:
    digest = blake2b(mark.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1
