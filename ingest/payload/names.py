"""Which signal a device's own name for a value means: one rule for SenML and for Sparkplug.

The last part of the name, after the last ``/``, ``:`` or ``.``, in any case and with ``-`` or space
for ``_``, is a code of the catalogue, or one of the few other words that can mean only one of them:
``urn:dev:mac:0024befffe804ff1:heart_rate``, ``vitals/Heart Rate``, ``ward-3/resp_rate``. Nothing is
guessed: a `temp` may be that of skin or body, an `rr` a rate or an interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ingest.catalogue import SIGNALS

BATTERY = "battery"
CONTACT = "contact"

#: Other words with one meaning.
SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "heartrate": "heart_rate",
        "resp_rate": "respiratory_rate",
        "respiration_rate": "respiratory_rate",
        "respiratoryrate": "respiratory_rate",
        "breathing_rate": "respiratory_rate",
        "oxygen_saturation": "spo2",
        "body_temp": "body_temperature",
        "skin_temp": "skin_temperature",
        "systolic": "systolic_bp",
        "diastolic": "diastolic_bp",
        "blood_glucose": "glucose",
        "steps": "step_count",
        "rmssd": "hrv_rmssd",
        "battery_level": BATTERY,
        "on_body": CONTACT,
        "skin_contact": CONTACT,
    }
)
_OTHERS = {BATTERY: BATTERY, CONTACT: CONTACT, **SYNONYMS}
_PART = re.compile(r"[/:.]")
_JOINT = re.compile(r"[- ]+")


@lru_cache(maxsize=1 << 14)
def meaning_of_name(name: str) -> str | None:
    """A signal's code, BATTERY, CONTACT, or None for a name that means none of these."""
    last = _PART.split(name)[-1].strip().lower()
    word = _JOINT.sub("_", last)
    return word if word in SIGNALS else _OTHERS.get(word)
