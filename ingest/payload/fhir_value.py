"""A FHIR Quantity: a number in a UCUM unit."""

from __future__ import annotations

from typing import NamedTuple

from ingest.payload.decoded import Reason, Unusable, shown
from ingest.payload.fields import is_number

UCUM = "http://unitsofmeasure.org"


class Quantity(NamedTuple):
    """A value and its UCUM unit (None: a bare count), and where both stand."""

    value: float
    unit: str | None
    path: str
    unit_path: str


def quantity(said: object, path: str, signal: str) -> Quantity:
    """What a Quantity says. Raises Unusable: no number, a bound only, no UCUM unit."""
    if not isinstance(said, dict):
        raise Unusable(Reason.FIELD_TYPE, path, "a Quantity", shown(said), signal)
    comparator = said.get("comparator")
    if comparator is not None:
        raise Unusable(
            Reason.VALUE_BOUND_ONLY,
            path + ".comparator",
            "a value, not a bound",
            shown(comparator),
            signal,
        )
    value = said.get("value")
    if "value" not in said:
        raise Unusable(Reason.FIELD_MISSING, path + ".value", "a number", "", signal)
    if not is_number(value):
        raise Unusable(
            Reason.VALUE_NOT_A_NUMBER, path + ".value", "a finite number", shown(value), signal
        )
    return Quantity(
        float(value),  # type: ignore[arg-type]  # a number, as said above
        ucum_unit(said, path, signal),
        path + ".value",
        path + ".code",
    )


def ucum_unit(said: dict[str, object], path: str, signal: str) -> str:
    """The coded unit of a Quantity. Raises Unusable if it is none of UCUM."""
    system, code = said.get("system"), said.get("code")
    if not isinstance(code, str):
        expected = f"a UCUM code ({UCUM}); the text of unit is for people"
        raise Unusable(
            Reason.UNIT_UNKNOWN, path + ".code", expected, shown(said.get("unit")), signal
        )
    if system != UCUM:
        raise Unusable(Reason.UNIT_UNKNOWN, path + ".system", UCUM, shown(system), signal)
    return code
