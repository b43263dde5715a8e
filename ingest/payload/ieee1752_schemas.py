"""What the schemas of Open mHealth and IEEE 1752.1 allow in a body, for those that hold a signal.

Written after the schema library of Open mHealth and the schemas of IEEE Std 1752.1-2021: per name
and version the measure, its units, the fields that only take certain words, and whether a time is
required. A field that a schema does not name is allowed, as in JSON Schema, and not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

Words = frozenset[str]


@dataclass(frozen=True, slots=True)
class Measure:
    """A field that holds a signal. units: word of the schema → UCUM; empty: a bare number.

    elsewhere: what it is of where it was measured at such a place (`measurement_location`).
    """

    signal: str
    units: Mapping[str, str]
    required: bool = True
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def signal_of(self, body: Mapping[str, object]) -> str:
        """The signal that this body says."""
        place = body.get("measurement_location")
        return self.elsewhere.get(place, self.signal) if isinstance(place, str) else self.signal


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one schema.

    measures: by field; "" is the body itself. words: fields that take only these. quantities:
    other fields with a value and a unit. texts: fields of free text. timed: the time frame is
    required; interval: it must be one; part_of_day: it may be a date and a part of it.
    """

    measures: Mapping[str, Measure]
    words: Mapping[str, Words] = field(default_factory=lambda: MappingProxyType({}))
    quantities: Mapping[str, Words] = field(default_factory=lambda: MappingProxyType({}))
    texts: tuple[str, ...] = ()
    timed: bool = True
    interval: bool = False
    part_of_day: bool = True


def _words(text: str) -> Words:
    return frozenset(text.split(", "))


_STATISTICS_1_0 = _words("average, maximum, minimum, standard deviation, variance, sum, median")
_STATISTICS = _STATISTICS_1_0 | _words(
    "count, 20th percentile, 80th percentile, lower quartile, upper quartile, quartile deviation, "
    "1st quintile, 2nd quintile, 3rd quintile, 4th quintile"
)
_STATISTIC = {"descriptive_statistic": _STATISTICS}
_ACTIVITY = {
    "temporal_relationship_to_physical_activity": _words(
        "at rest, active, before exercise, after exercise, during exercise"
    )
}
_SLEEP = {"temporal_relationship_to_sleep": _words("before sleeping, during sleep, on waking")}
_MEAL = {
    "temporal_relationship_to_meal": _words(
        "fasting, not fasting, before meal, after meal, before breakfast, after breakfast, "
        "before lunch, after lunch, before dinner, after dinner, 2 hours postprandial, "
        "with meal, with food"
    )
}
_POSTURE = {"body_posture": _words("sitting, lying down, standing, semi-recumbent")}
_LOCATION = {
    "measurement_location": _words(
        "left ankle, right ankle, ankle, left hip, right hip, hip, left thigh, right thigh, thigh, "
        "thorax, left thorax, middle left thorax, right thorax, middle right thorax, "
        "left upper arm, right upper arm, upper arm, left wrist, right wrist, wrist, finger"
    )
}
_SPECIMEN = {
    "specimen_source": _words(
        "breath, capillary blood, interstitial fluid, lacrimal fluid, plasma, saliva, serum, "
        "sweat, tears, urine, venous blood, whole blood"
    )
}
_PLACE = {
    "measurement_location": _words(
        "axillary, finger, forehead, oral, rectal, temporal artery, toe, tympanic, wrist, vagina"
    )
}
_PLACE_1_0 = {
    "measurement_location": _words("oral, rectal, vaginal, axillary, otic, wrist, chest, temporal")
}
_OXYGEN = {
    "system": _words("peripheral capillary"),
    "oxygen_therapy_mode_of_administration": _words("nasal cannula"),
    "measurement_method": _words("pulse oximetry"),
}

_HEART_RATE = {"heart_rate": Measure("heart_rate", {"beats/min": "/min"})}
_RESPIRATION = {"respiratory_rate": Measure("respiratory_rate", {"breaths/min": "/min"})}
_SATURATION = {"oxygen_saturation": Measure("spo2", {"%": "%"})}
#: Of a limb, or by a patch on the chest, it is the skin's: 33 °C there are no hypothermia.
_ON_SKIN = dict.fromkeys(("finger", "toe", "wrist", "chest"), "skin_temperature")
_DEGREES = {"C": "Cel", "F": "[degF]", "K": "K"}
_TEMPERATURE = {"body_temperature": Measure("body_temperature", _DEGREES, elsewhere=_ON_SKIN)}
_MMHG = {"mmHg": "mm[Hg]"}
_SYSTOLIC, _DIASTOLIC = Measure("systolic_bp", _MMHG), Measure("diastolic_bp", _MMHG)
_PRESSURE = {"systolic_blood_pressure": _SYSTOLIC, "diastolic_blood_pressure": _DIASTOLIC}
_GLUCOSE = {"blood_glucose": Measure("glucose", {"mg/dL": "mg/dL", "mmol/L": "mmol/L"})}
_STEPS = {"step_count": Measure("step_count", {"steps": "{steps}"})}
_BARE_STEPS = {"step_count": Measure("step_count", {})}
_MOVEMENT = {"base_movement_quantity": Measure("step_count", {"steps": "{steps}"}, required=False)}

_HEART_RATE_1_0 = Schema(_HEART_RATE, _STATISTIC | _ACTIVITY, texts=("user_notes",), timed=False)
_RESPIRATION_1_0 = Schema(_RESPIRATION, _STATISTIC | _ACTIVITY, timed=False)
_SATURATION_1_0 = Schema(
    _SATURATION,
    _STATISTIC | _OXYGEN,
    {"supplemental_oxygen_flow_rate": _words("L/min")},
    timed=False,
)
_TEMPERATURE_2_0 = Schema(_TEMPERATURE, _STATISTIC | _PLACE | _SLEEP, timed=False)
_TEMPERATURE_3_0 = replace(_TEMPERATURE_2_0, timed=True)
_PRESSURE_1_0 = Schema(
    _PRESSURE,
    _STATISTIC | {"position_during_measurement": _words("sitting, lying down, standing")},
    texts=("user_notes",),
    timed=False,
)
_PRESSURE_3_0 = Schema(_PRESSURE, _STATISTIC | _POSTURE | _LOCATION)
_PRESSURE_3_1 = replace(_PRESSURE_3_0, words=_PRESSURE_3_0.words | _ACTIVITY)  # type: ignore[operator]  # a dict
_GLUCOSE_2_0 = Schema(
    _GLUCOSE,
    _STATISTIC
    | _MEAL
    | _SLEEP
    | {
        "specimen_source": _words(
            "interstitial fluid, capillary blood, plasma, serum, tears, whole blood"
        )
    },
    texts=("user_notes",),
    timed=False,
)
_GLUCOSE_3_0 = Schema(_GLUCOSE, _STATISTIC | _MEAL | _SLEEP | _SPECIMEN)
_STEPS_2_0 = Schema(
    _BARE_STEPS,
    {"descriptive_statistic": _STATISTICS_1_0},
    texts=("descriptive_statistic_denominator",),
    interval=True,
)

#: Name → version → schema, versions in their order.
SCHEMAS: Mapping[str, Mapping[str, Schema]] = MappingProxyType(
    {
        "heart-rate": {
            "1.0": _HEART_RATE_1_0,
            "1.1": replace(_HEART_RATE_1_0, words=_STATISTIC | _ACTIVITY | _SLEEP),
            "2.0": Schema(_HEART_RATE, _STATISTIC | _ACTIVITY | _SLEEP),
        },
        "respiratory-rate": {
            "1.0": _RESPIRATION_1_0,
            "2.0": replace(_RESPIRATION_1_0, timed=True),
        },
        "oxygen-saturation": {
            "1.0": _SATURATION_1_0,
            "2.0": replace(_SATURATION_1_0, timed=True),
        },
        "body-temperature": {
            "1.0": Schema(_TEMPERATURE, _STATISTIC | _PLACE_1_0, timed=False),
            "2.0": _TEMPERATURE_2_0,
            "3.0": _TEMPERATURE_3_0,
            "4.0": replace(_TEMPERATURE_3_0, part_of_day=False),
        },
        "blood-pressure": {
            "1.0": _PRESSURE_1_0,
            "2.0": replace(_PRESSURE_1_0, words=_STATISTIC | _POSTURE),
            "3.0": _PRESSURE_3_0,
            "3.1": _PRESSURE_3_1,
            "4.0": replace(_PRESSURE_3_1, part_of_day=False),
        },
        "systolic-blood-pressure": dict.fromkeys(
            ("1.0", "1.1"), Schema({"": _SYSTOLIC}, timed=False)
        ),
        "diastolic-blood-pressure": dict.fromkeys(
            ("1.0", "1.1"), Schema({"": _DIASTOLIC}, timed=False)
        ),
        "blood-glucose": {
            "1.0": replace(
                _GLUCOSE_2_0,
                words=_STATISTIC
                | _MEAL
                | _SLEEP
                | {"blood_specimen_type": _words("whole blood, plasma, serum")},
            ),
            "2.0": _GLUCOSE_2_0,
            "3.0": _GLUCOSE_3_0,
            "4.0": replace(_GLUCOSE_3_0, part_of_day=False),
        },
        "step-count": {
            "1.0": Schema(_BARE_STEPS, timed=False),
            "2.0": _STEPS_2_0,
            "3.0": replace(_STEPS_2_0, measures=_STEPS),
        },
        "physical-activity": {
            "1.0": Schema(
                _MOVEMENT,
                _STATISTIC | {"reported_activity_intensity": _words("light, moderate, vigorous")},
                texts=("activity_name", "descriptive_statistic_denominator"),
                interval=True,
                part_of_day=False,
            ),
        },
    }
)

#: Measure → name of its schema, for a body that comes without a header.
NAME_OF: Mapping[str, str] = MappingProxyType(
    {
        measure: name
        for name, versions in SCHEMAS.items()
        for schema in versions.values()
        for measure in schema.measures
        if measure
    }
)
