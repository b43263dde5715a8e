"""The value and the properties of one Sparkplug metric."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any, NamedTuple

from ingest.payload.decoded import Reason
from ingest.payload.sparkplug_wire import BOOLEAN, DOUBLE, FLOAT, INTEGERS

_UNIT_KEYS = frozenset(
    {"engunit", "engunits", "engineeringunit", "engineeringunits", "unit", "units"}
)
_GOOD, _UNCERTAIN, _STALE = 192, 64, 500
_REALS = (FLOAT, DOUBLE)


class Unusable(NamedTuple):
    """A value that is no number: why, at which field. is_other: it is a value of another kind."""

    reason: Reason
    field: str
    expected: str
    got: str
    is_other: bool = False


def number_of(metric: Any, datatype: int) -> float | Unusable:
    """The metric's value as a number; datatype: its own or its birth's, 0 if neither said one."""
    which = metric.WhichOneof("value")
    if which in ("double_value", "float_value"):
        if datatype in _REALS or datatype == 0:
            value = float(getattr(metric, which))
            if isfinite(value):
                return value
            expected = "a finite number"
            return Unusable(Reason.VALUE_NOT_A_NUMBER, "value", expected, str(value))
    elif which in ("int_value", "long_value"):
        bits = INTEGERS.get(datatype)
        if bits is not None:
            return _integer(getattr(metric, which), bits)
        if datatype == 0:
            expected = "the type of an integer, here or in the birth"
            return Unusable(Reason.FIELD_MISSING, "datatype", expected, "none")
    elif which is None:
        return Unusable(Reason.FIELD_MISSING, "value", "a value, or is_null", "neither")
    if which in ("bytes_value", "extension_value", "dataset_value", "template_value"):
        expected, got = "one number", f"{which.removesuffix('_value')} of type {datatype}"
        return Unusable(Reason.NOT_SUPPORTED, "value", expected, got, True)
    got = f"{which} of type {datatype}"
    is_other = datatype not in INTEGERS and datatype not in _REALS
    return Unusable(Reason.VALUE_NOT_A_NUMBER, "value", "a number of its type", got, is_other)


def _integer(raw: int, bits: int) -> float | Unusable:
    """bits below 0: signed, two's complement of that width."""
    span = 1 << abs(bits)
    value = raw % span
    if bits < 0 and value >= span // 2:
        value -= span
    # Encoders write the width's own bits, or carry the sign on through the field's 32 or 64.
    if raw in (value % span, value % 2**32, value % 2**64):
        return float(value)
    kind = f"{'Int' if bits < 0 else 'UInt'}{abs(bits)}"
    return Unusable(Reason.FIELD_TYPE, "value", f"a value of type {kind}", str(raw))


def fraction_of(metric: Any, datatype: int, unit: str | None) -> float | None:
    """A share from 0 to 1, of which integers and `%` are hundredths; None if it is none."""
    value = number_of(metric, datatype)
    if isinstance(value, Unusable):
        return None
    if datatype in INTEGERS or unit == "%" or value > 1:
        value /= 100
    return value if 0 <= value <= 1 else None


def truth_of(metric: Any, datatype: int) -> bool | None:
    """A boolean, also one said as 0 or 1; None if it is neither."""
    which = metric.WhichOneof("value")
    if which == "boolean_value" and datatype in (BOOLEAN, 0):
        return bool(metric.boolean_value)
    value = number_of(metric, datatype)
    return bool(value) if value in (0.0, 1.0) else None


def properties_of(metric: Any) -> tuple[str | None, float]:
    """The engineering unit (None: not said) and the quality (NaN: not said)."""
    unit, quality = None, nan
    if metric.HasField("properties"):
        properties = metric.properties
        for key, value in zip(properties.keys, properties.values, strict=False):
            name = key.decode("utf-8", "replace").replace("_", "").replace(" ", "").lower()
            if value.is_null:
                continue
            if name in _UNIT_KEYS and value.HasField("string_value"):
                unit = value.string_value.decode("utf-8", "replace").strip() or None
            elif name == "quality":
                quality = _quality(value)
    return unit, quality


def _quality(value: Any) -> float:
    which = value.WhichOneof("value")
    if which in ("double_value", "float_value"):
        return float(getattr(value, which))
    if which not in ("int_value", "long_value"):
        return nan
    code = getattr(value, which)
    if code == _STALE:
        return 0.0
    if code > 255:
        return float(code)
    return 1.0 if code >= _GOOD else 0.5 if code >= _UNCERTAIN else 0.0
