"""LOINC codes of the signals: several where they mean the same quantity, taken in different ways.

Meanings after LOINC 2.78. Statistics under a code of their own (the mean of 24 hours, a resting
rate, an SDNN) are no measurement of the signal and are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ingest.catalogue import SIGNALS

SYSTEM = "http://loinc.org"

SIGNAL_OF: Mapping[str, str] = MappingProxyType(
    {
        "8867-4": "heart_rate",
        "8889-8": "heart_rate",  # by pulse oximetry
        "8893-0": "heart_rate",  # peripheral artery, by palpation
        "76282-3": "heart_rate",  # by electrocardiogram
        "9279-1": "respiratory_rate",
        "59408-5": "spo2",
        "2708-6": "spo2",  # arterial blood: the code that FHIR's profile of vital signs asks for
        "20564-1": "spo2",  # blood
        "8310-5": "body_temperature",
        "8328-7": "body_temperature",  # axillary
        "8329-5": "body_temperature",  # core
        "8331-1": "body_temperature",  # oral
        "8332-9": "body_temperature",  # rectal
        "8333-7": "body_temperature",  # tympanic membrane
        "75539-7": "body_temperature",  # temporal artery
        "76011-6": "body_temperature",  # ear
        "39106-0": "skin_temperature",
        "61008-9": "skin_temperature",  # body surface
        "8480-6": "systolic_bp",
        "8459-0": "systolic_bp",  # sitting
        "8460-8": "systolic_bp",  # standing
        "8461-6": "systolic_bp",  # supine
        "76534-7": "systolic_bp",  # non-invasive
        "8462-4": "diastolic_bp",
        "8453-3": "diastolic_bp",
        "8454-1": "diastolic_bp",
        "8455-8": "diastolic_bp",
        "76535-4": "diastolic_bp",
        "8478-0": "mean_bp",
        "76536-2": "mean_bp",
        "99504-3": "glucose",  # interstitial fluid, continuous
        "2339-0": "glucose",  # blood
        "2340-8": "glucose",  # blood, test strip
        "41653-7": "glucose",  # capillary blood, glucometer
        "32016-8": "glucose",  # capillary blood
        "2345-7": "glucose",  # serum or plasma
        "15074-8": "glucose",  # blood, as amount of substance
        "14743-9": "glucose",  # capillary blood, glucometer, as amount of substance
        "14749-6": "glucose",  # serum or plasma, as amount of substance
        "55423-8": "step_count",
    }
)


def signal_of(code: str) -> str | None:
    """The signal that a LOINC code means, also one that a model file declares."""
    known = SIGNAL_OF.get(code)
    if known is not None:
        return known
    return next((each.code for each in SIGNALS.values() if each.loinc == code), None)


#: Groups that hold their values in components or members.
PANELS = frozenset({"85354-9", "55284-4", "35094-2", "85353-1", "34566-0", "8716-3"})
