"""FHIR SampledData: many values at a fixed distance in one text."""

from __future__ import annotations

from itertools import repeat
from math import isfinite, nan

from ingest.instant import MILLISECOND
from ingest.payload.decoded import Paths, Reason, Rejection, Sample, Unusable, shown
from ingest.payload.fhir_value import quantity
from ingest.payload.fields import MAX_STAMP, is_number

_DIGITS = frozenset("0123456789+-.eE ")
#: Words instead of a number: no value, and why.
_WORDS = {
    "E": (Reason.VALUE_ABSENT, "a value, not an error"),
    "L": (Reason.VALUE_BOUND_ONLY, "a value, not one below the detection limit"),
    "U": (Reason.VALUE_BOUND_ONLY, "a value, not one above the detection limit"),
}
_NO_NUMBER = (Reason.VALUE_NOT_A_NUMBER, "a decimal number, E, L or U")


def sampled(
    said: object, path: str, signal: str, first: int, time_path: str, device: str | None
) -> tuple[list[Sample], list[Rejection]]:
    """Samples from `first` (ns UTC) on, and a rejection for each kind of what is no value.

    Raises Unusable if nothing of it can be read.
    """
    if not isinstance(said, dict):
        raise Unusable(Reason.FIELD_TYPE, path, "SampledData", shown(said), signal)
    origin = quantity(said.get("origin"), path + ".origin", signal)
    factor = _number(said, "factor", path, signal) if "factor" in said else 1.0
    period = _number(said, "period", path, signal)
    if period <= 0:
        expected = "more than 0 ms between values"
        raise Unusable(Reason.FIELD_VALUE, path + ".period", expected, shown(period), signal)
    dimensions = said.get("dimensions")
    if dimensions != 1 or isinstance(dimensions, bool):
        reason = Reason.FIELD_MISSING if dimensions is None else Reason.NOT_SUPPORTED
        raise Unusable(reason, path + ".dimensions", "1", shown(dimensions), signal)
    data = said.get("data")
    if not isinstance(data, str):
        reason = Reason.VALUE_ABSENT if data is None else Reason.FIELD_TYPE
        raise Unusable(reason, path + ".data", "values with spaces between", shown(data), signal)
    words = data.split(" ") if data else []
    step = period * MILLISECOND
    if first + step * len(words) > MAX_STAMP:
        expected = "times before the year 2262"
        raise Unusable(Reason.TIME_UNREADABLE, path + ".period", expected, shown(period), signal)
    at = Paths(path + ".data", path + ".origin.code", time_path, device)
    numbers, rejections = _numbers(data, words, at, signal)
    samples = [
        Sample(
            signal, origin.value + factor * number, origin.unit, first + round(i * step), q, i, a
        )
        for i, number, q, a in zip(
            range(len(words)), numbers, repeat(nan), repeat(at), strict=False
        )
        if number is not None
    ]
    return samples, rejections


def _number(said: dict[str, object], key: str, path: str, signal: str) -> float:
    if key not in said:
        raise Unusable(Reason.FIELD_MISSING, f"{path}.{key}", "a number", "", signal)
    value = said[key]
    if not is_number(value) or abs(value) > 1e15:  # type: ignore[arg-type]  # a number
        raise Unusable(Reason.FIELD_TYPE, f"{path}.{key}", "a number", shown(value), signal)
    return float(value)  # type: ignore[arg-type]


def _numbers(
    data: str, words: list[str], at: Paths, signal: str
) -> tuple[list[float] | list[float | None], list[Rejection]]:
    if _DIGITS.issuperset(data):
        try:
            numbers = list(map(float, words))
            if isfinite(sum(numbers)):
                return numbers, []
        except ValueError:
            pass
    known = {word: _float(word) for word in set(words)}
    read = [known[word] for word in words]
    bad: dict[tuple[Reason, str], list[int]] = {}
    for i, number in enumerate(read):
        if number is None:
            bad.setdefault(_WORDS.get(words[i], _NO_NUMBER), []).append(i)
    return read, [
        Rejection(
            reason,
            f"{at.value}[{places[0]}]",
            expected,
            shown(words[places[0]]),
            signal,
            len(places),
        )
        for (reason, expected), places in bad.items()
    ]


def _float(word: str) -> float | None:
    if not _DIGITS.issuperset(word):
        return None
    try:
        number = float(word)
    except ValueError:
        return None
    return number if isfinite(number) else None
