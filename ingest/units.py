"""Conversion of UCUM units by the `ucumvert` library, over `pint`; loaded when first needed.

What nearly every device sends stands in the catalogue and needs no library. Loading it takes
seconds and a unit milliseconds, so only units of a form in which something that we measure can be
given are asked about, each once: no payload can keep ingest busy with made-up units.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

_PREFIX = "[Mkhdcmun]?"
_TIME = f"(?:{_PREFIX}s|min|h|d)"
_VOLUME = f"(?:{_PREFIX}[lL]|[dcm]?m3)"
_PRESSURE = f"{_PREFIX}(?:Pa|bar|m\\[Hg\\]|m\\[H2O\\])|atm|att|\\[psi\\]|\\[in_i'(?:Hg|H2O)\\]"
#: What is left of a unit without its annotations: a finite set of about 600.
_FORM = re.compile(
    f"1|%|10\\*-?[1-6]|\\[pp(?:th|m)\\]|(?:10\\*[1-3])?/{_TIME}|{_PREFIX}Hz|{_TIME}"
    f"|m?Cel|m?K|\\[degF\\]|\\[degR\\]|{_PRESSURE}"
    f"|{_PREFIX}(?:g|mol)/{_VOLUME}|\\[g\\]|[dcm]?m/s2|{_PREFIX}Gal",
    re.ASCII,
)
_ANNOTATION = re.compile(r"\{[!-z|~]*\}", re.ASCII)
_LONGEST = 64


@lru_cache(maxsize=1 << 12)
def conversion(unit: str, target: str) -> tuple[float, float] | None:
    """(factor, offset) with target = value * factor + offset, or None if there is none.

    Both are UCUM, case sensitive; target is one of the catalogue. Annotations (`{beats}`) say
    nothing about a quantity and are left out, as UCUM says.
    """
    plain, wanted = _without_annotations(unit), _without_annotations(target)
    if plain == wanted:
        return 1.0, 0.0
    if plain is None or wanted is None or _FORM.fullmatch(plain) is None:
        return None
    if wanted == "1":  # a count: percents and parts per million of it are of one dimension only
        return None
    return _converted(plain, wanted)


def is_ucum(unit: str) -> bool:
    """Whether UCUM has this unit. One of an unusual form loads the library (seconds)."""
    plain = _without_annotations(unit)
    if plain is None or not unit.isascii():
        return False
    if plain in ("1", "%") or _FORM.fullmatch(plain) is not None:
        return True
    try:
        _registry().from_ucum(plain)
    except Exception:  # noqa: BLE001  # whatever it says: it knows no such unit
        return False
    return True


def _without_annotations(unit: str) -> str | None:
    """The bare unit; `{steps}` is `1`, `{beats}/min` is `/min`. None: it is none."""
    if len(unit) > _LONGEST:
        return None
    bare = _ANNOTATION.sub("", unit)
    if bare.startswith("1/"):
        bare = bare[1:]
    return bare or ("1" if unit else None)


@cache  # a finite set, see _FORM
def _converted(unit: str, target: str) -> tuple[float, float] | None:
    registry = _registry()
    try:
        source, wanted = registry.from_ucum(unit), registry.from_ucum(target)
        zero, one = (
            float(registry.Quantity(value * source.magnitude, source.units).to(wanted.units).m)
            / wanted.magnitude
            for value in (0, 1)
        )
    except Exception:  # noqa: BLE001  # whatever these two say: it cannot be converted
        return None
    return one - zero, zero


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()
