"""Payloads for fuzzing: well-formed ones of each format, and what becomes of them by mutation."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from random import Random
from time import process_time
from typing import Any

import cbor2

from ingest.payload.senml import LABELS

NOON = "2026-11-25T12:00:00Z"
_UCUM = "http://unitsofmeasure.org"
_LOINC = "http://loinc.org"
_HEADER = {
    "uuid": "aaaa1234-1a2b-3c4d-5e6f-000000000001",
    "schema_id": {"namespace": "omh", "name": "blood-pressure", "version": "3.1"},
    "source_creation_date_time": NOON,
    "modality": "sensed",
}


def _quantity(value: float, code: str) -> dict[str, Any]:
    return {"value": value, "unit": "as people say", "system": _UCUM, "code": code}


def _observation(code: str, **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": _LOINC, "code": code}]},
        "effectiveDateTime": NOON,
        "device": {"reference": "Device/watch-7"},
        **fields,
    }


_NATIVE = [
    {"time": NOON, "values": {"heart_rate": 72, "spo2": 97.5}, "units": {"spo2": "%"}},
    {
        "times": [1_795_000_000_000, 1_795_000_001_000],
        "values": {"heart_rate": [72, None]},
        "quality": {"heart_rate": [0.5, 1]},
        "sequence": 7,
        "boot": "a",
        "battery": 0.5,
        "contact": True,
        "device": "watch-7",
    },
]
_SENML = [
    [
        {"bn": "urn:dev:ow:1:", "bt": 1_795_000_000.5, "bu": "beat/min", "bver": 5, "bv": 1},
        {"n": "heart_rate", "v": 72},
        {"n": "spo2", "u": "/", "v": 0.97, "t": -5},
        {"n": "battery", "u": "%EL", "v": 83},
        {"n": "contact", "vb": True},
        {"n": "label", "vs": "ward 3"},
        {"n": "glucose", "vd": "aGkgCg", "s": 5, "ut": 6},
    ],
    [{"n": "watch-7/body_temperature", "u": "Cel", "v": 37.1, "t": 1_795_000_000}],
]
_FHIR = [
    _observation("8867-4", valueQuantity=_quantity(72, "/min")),
    _observation(
        "85354-9",
        component=[
            {
                "code": {"coding": [{"system": _LOINC, "code": "8480-6"}]},
                "valueQuantity": _quantity(120, "mm[Hg]"),
            },
            {
                "code": {"coding": [{"system": _LOINC, "code": "8462-4"}]},
                "dataAbsentReason": {"coding": [{"code": "error"}]},
            },
        ],
    ),
    {
        "resourceType": "Bundle",
        "entry": [
            {
                "resource": _observation(
                    "59408-5",
                    valueSampledData={
                        "origin": _quantity(90, "%"),
                        "period": 500,
                        "factor": 0.1,
                        "dimensions": 1,
                        "data": "70 E 71 U L 72.5",
                    },
                )
            },
            {"resource": _observation("55423-8", valueInteger=40), "request": {"method": "PUT"}},
            {
                "resource": _observation(
                    "2339-0",
                    effectivePeriod={"start": "2026-11", "end": NOON},
                    valueQuantity=_quantity(5.4, "mmol/L"),
                    hasMember=[{"reference": "#a"}],
                    contained=[_observation("9279-1", id="a")],
                )
            },
        ],
    },
]
_IEEE = [
    {
        "header": _HEADER,
        "body": {
            "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
            "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
            "body_posture": "sitting",
            "descriptive_statistic": "average",
            "effective_time_frame": {
                "time_interval": {
                    "start_date_time": NOON,
                    "duration": {"value": 5, "unit": "min"},
                }
            },
        },
    },
    [
        {
            "heart_rate": {"value": 72, "unit": "beats/min"},
            "effective_time_frame": {"date_time": NOON},
        },
        {
            "step_count": 900,
            "effective_time_frame": {
                "time_interval": {"date": "2026-11-25", "part_of_day": "night"}
            },
        },
    ],
]

#: Format → documents that it reads.
DOCUMENTS: dict[str, list[Any]] = {
    "native": _NATIVE,
    "senml": _SENML,
    "senml-cbor": _SENML,
    "fhir": _FHIR,
    "ieee1752": _IEEE,
}

#: What stands in a place where something else is meant.
_ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e308, 1e-320, 2**63, -(2**63), 2**64, 10**30, 72.5, "",
    " ", "NaN", "72", NOON, "2026-11-25", "2026", "\0", "\ud800", "é" * 40, "x" * 300, "2026-02-30",
    "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+23:59", [], {}, [[]], {"": {}}, [None], [1, "a"],
    {"value": 1}, {"coding": 7}, "%", "/min", "8867-4", "heart_rate", "mean", "[degF]", "{a}/min",
    10**400,
]  # fmt: skip


def mutated(form: str | list[Any], random: Random) -> bytes:
    """A payload of the format, or one of these in JSON, changed in structure, in its bytes, in both
    or not at all."""
    document = random.choice(DOCUMENTS[form] if isinstance(form, str) else form)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        document = _changed(document, random)
    payload = _encoded(document, form)
    return scratched(payload, random) if random.random() < 0.2 else payload


def _encoded(document: Any, form: str | list[Any]) -> bytes:
    if form == "senml-cbor":
        labels: dict[Any, Any] = {name: label for label, name in LABELS.items()}
        if isinstance(document, list):
            document = [
                {labels.get(key, key): value for key, value in each.items()}
                if isinstance(each, dict)
                else each
                for each in document
            ]
        packed: bytes = cbor2.dumps(_without_surrogates(document))
        return packed
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _changed(value: Any, random: Random) -> Any:
    """The same with one place changed, taken away, doubled, renamed or made odd."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.15:
        return random.choice(_ODD)
    if isinstance(value, dict):
        key = random.choice(list(value))
        changed = dict(value)
        way = random.random()
        if way < 0.15:
            del changed[key]
        elif way < 0.25:
            changed[random.choice((key + "_", "v", "time", "value", "x", ""))] = changed.pop(key)
        else:
            changed[key] = _changed(value[key], random)
        return changed
    i = random.randrange(len(value))
    way = random.random()
    if way < 0.15:
        return value[:i] + value[i + 1 :]
    if way < 0.3:
        return value[:i] + [value[i]] * random.choice((2, 3, 50)) + value[i:]
    return [*value[:i], _changed(value[i], random), *value[i + 1 :]]


def scratched(payload: bytes, random: Random) -> bytes:
    """Some bytes changed, cut, doubled or put in."""
    made = bytearray(payload)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(made) + 1)
        way = random.randrange(5)
        if way == 0:
            made[at : at + 1] = bytes((random.randrange(256),))
        elif way == 1:
            del made[at : at + random.choice((1, 4, 1000))]
        elif way == 2:
            made[at:at] = made[at : at + random.choice((1, 16, 200))]
        elif way == 3:
            made[at:at] = random.choice((b'"', b"\\", b"{", b"[", b"]}", b"9" * 30, b"\xff", b"e9"))
        elif made:
            made[at % len(made)] ^= 1 << random.randrange(8)
    return bytes(made)


def cpu_seconds(decode: Callable[[], object], enough: float) -> float:
    """CPU time of one call, the best of five, without the garbage of the tests before it.

    No further call once one took less than `enough` seconds.
    """
    best = 1e9
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            begin = process_time()
            decode()
            best = min(best, process_time() - begin)
            if best < enough:
                break
    finally:
        gc.enable()
    return best
