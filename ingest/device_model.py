"""Device models: what is known of all devices of one make, as a person declares it.

What a model says of noise goes into each row where the device said none; the rest travels to the
worker as a command when a device of the model is bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Literal, get_args

import msgspec

from ingest.catalogue import SIGNALS
from ingest.stamping import Unit, zone_of

Regulatory = Literal["ce", "wellness", "research"]
_WORDS: Mapping[str, object] = {"regulatory": Regulatory, "stamp_unit": Unit}


class ModelWrong(ValueError):
    """A device model that cannot be used: `key` in it, what was `expected`."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(f"{key}: expected {expected}")
        self.key = key
        self.expected = expected


class DeviceModel(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What devices of a make and type have in common; by signal code, in the signal's unit.

    expected_interval_s: seconds between two values. noise_std: of one value, where the device says
    none. bias_std: how far devices of this model differ from each other. delay_s: how old a value
    is at its stamp (an average over the last minute: 30). live: it sends at once, never a backlog,
    so that a slow clock can be told from old data. regulatory: cleared as a medical device (ce),
    sold for wellness, or for research only. stamp_unit: in which its times are, where they are
    numbers and its format has another unit. stamp_zone: its times show the wall clock of this zone,
    whatever zone they name ("": they do not); an offset like +02:00, or a name like Europe/Paris.
    """

    name: str
    maker: str = ""
    regulatory: Regulatory | None = None
    live: bool = False
    delay_s: float = 0.0
    expected_interval_s: Mapping[str, float] = {}
    noise_std: Mapping[str, float] = {}
    bias_std: Mapping[str, float] = {}
    stamp_unit: Unit | None = None
    stamp_zone: str = ""


def model_of(table: Mapping[str, object]) -> DeviceModel:
    """The model that a table of a registry file declares. Raises ModelWrong."""
    try:
        model = msgspec.convert(dict(table), DeviceModel)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `$.")
        place = place.strip("`")
        raise ModelWrong(place or "models", _expected(why, place)) from None
    _check(model)
    return model


def _expected(why: str, place: str) -> str:
    if "required field" in why:
        return "a name"
    if "unknown field" in why:
        return "one of " + ", ".join(DeviceModel.__struct_fields__)
    if place in _WORDS:
        *words, last = (f'"{word}"' for word in get_args(_WORDS[place]))
        return f"{', '.join(words)} or {last}"
    return why.partition(", got")[0].removeprefix("Expected ").replace("`", "")


def _check(model: DeviceModel) -> None:
    if not 1 <= len(model.name) <= 64 or not model.name.isprintable():
        raise ModelWrong("name", "1–64 printable characters")
    if not 0 <= model.delay_s <= 86_400:
        raise ModelWrong("delay_s", "0 to 86400 seconds")
    if model.stamp_zone:
        try:
            zone_of(model.stamp_zone)
        except ValueError as error:
            raise ModelWrong("stamp_zone", str(error)) from None
    for field, least in (("expected_interval_s", 1e-3), ("noise_std", 1e-9), ("bias_std", 0.0)):
        for signal, value in getattr(model, field).items():
            if signal not in SIGNALS:
                raise ModelWrong(f"{field}.{signal}", "a signal's code")
            if not (isfinite(value) and least <= value <= 1e6):
                raise ModelWrong(f"{field}.{signal}", "a number above 0, at most a million")
