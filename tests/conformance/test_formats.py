"""Every case of the standards in ../shared: what must pass is read, what must fail is refused.

The documents stay where they are; the tests are skipped where the folder is absent.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest.judge import FORMATS, judge
from ingest.payload.ieee1752_schemas import SCHEMAS
from ingest.payload.senml_pack import ABSOLUTE, UNITS

STANDARDS = Path(__file__).parents[2] / "../shared/standards"
OMH, SENML, FHIR = (STANDARDS / name for name in ("openmhealth", "senml", "fhir_r4"))
ABSENT = f"{STANDARDS.name} are not in the shared folder beside this checkout"

HEADER = {
    "uuid": "aaaa1234-1a2b-3c4d-5e6f-000000000001",
    "source_creation_date_time": "2025-01-01T01:01:01-08:00",
}
#: Schemas that stand for a part of a document, not for a body.
PARTS = {"data-point", "header", "time-frame", "date-time", "acceleration-unit-value"}


def documents(folder: Path, pattern: str) -> list[Any]:
    """A parameter for each file; one that is skipped where there are none."""
    found = sorted(folder.glob(pattern))
    if not found:
        return [pytest.param(folder, marks=pytest.mark.skip(reason=ABSENT))]
    return [pytest.param(file, id="-".join(file.relative_to(folder).parts[-5:])) for file in found]


def lines(payload: object, form: str) -> tuple[list[Any], list[Any]]:
    """Observations and refusals."""
    judged = judge(payload if isinstance(payload, bytes) else json.dumps(payload).encode(), form)
    good = [line for line in judged if "reason" not in line]
    return good, [line for line in judged if "reason" in line]


def data_point(file: Path) -> object:
    """The document as a data point: the folders say schema and version of a body."""
    document = json.loads(file.read_bytes())
    namespace, name, version = file.parts[-5:-2]
    if name == "data-point":
        return document
    if name == "header":
        return {"header": document, "body": {}}
    schema_id = {"namespace": namespace, "name": name, "version": version}
    return {"header": {**HEADER, "schema_id": schema_id}, "body": document}


@pytest.mark.parametrize("file", documents(OMH, "test-data/**/shouldFail/*.json"))
def test_what_open_mhealth_forbids_is_refused(file: Path) -> None:
    good, refused = lines(data_point(file), "ieee1752")

    assert good == []
    assert refused
    assert all(line["path"] is not None and line["expected"] for line in refused)


@pytest.mark.parametrize("file", documents(OMH, "test-data/**/shouldPass/*.json"))
def test_what_open_mhealth_allows_is_read_or_has_no_time_or_no_signal(file: Path) -> None:
    point: Any = data_point(file)
    namespace, name = file.parts[-5:-3]

    good, refused = lines(point, "ieee1752")

    if name == "header":
        assert [line["reason"] for line in refused] == ["signal_unknown"]
    elif namespace != "omh" or name not in SCHEMAS or name in {"physical-activity", *PARTS}:
        assert good == []
        assert {line["reason"] for line in refused} <= {"signal_unknown", "schema_unknown"}
    elif "effective_time_frame" not in point["body"]:
        assert good == []
        assert [line["reason"] for line in refused] == ["time_missing"]
    else:
        assert refused == []
        assert len(good) == (2 if name == "blood-pressure" else 1)
        interval = "time_interval" in point["body"]["effective_time_frame"]
        assert all(("precision" in line or "start" in line) == interval for line in good)


@pytest.mark.parametrize(
    "file", documents(STANDARDS / "ieee1752_jupyterhealth/data/omh/examples", "**/*.json")
)
def test_data_points_with_an_ieee_header_are_read(file: Path) -> None:
    good, refused = lines(file.read_bytes(), "ieee1752")

    assert (len(good), refused) == (1, [])


@pytest.mark.parametrize("file", documents(SENML, "ex*[0-9].json"))
def test_examples_of_rfc_8428_are_valid_and_name_no_signal(file: Path) -> None:
    good, refused = lines(file.read_bytes(), "senml")

    assert good == []
    assert {line["reason"] for line in refused} == {"signal_unknown"}


@pytest.mark.parametrize("file", documents(SENML, "ex*.gen.resolved.json"))
def test_packs_resolve_as_the_reference_resolves_them(file: Path) -> None:
    pack = json.loads((file.parent / file.name.replace(".gen.resolved", "")).read_bytes())
    expected = [each for each in json.loads(file.read_bytes()) if "v" in each]
    for record in pack:  # the same names, with a signal behind them
        if any(key in record for key in ("v", "vs", "vb", "vd")):
            record["n"] = record.get("n", "") + ":activity"

    decoded = FORMATS["senml"](json.dumps(pack).encode())

    if {r.reason for r in decoded.rejections} & {"time_relative"}:
        assert decoded.samples == []
        assert max(each.get("t", 0) for each in pack) < ABSOLUTE
    else:
        assert [(s.value, s.unit, s.stamp) for s in decoded.samples] == [
            (each["v"], UNITS.get(each["u"], each["u"]), round(each["t"] * 1e6) * 1000)
            for each in expected
        ]


@pytest.mark.parametrize("file", documents(SENML, "ex*.gen.cbor"))
def test_cbor_says_the_same_as_json(file: Path) -> None:
    json_file = file.with_name(file.name.replace(".gen.cbor", ".json"))

    assert judge(file.read_bytes(), "senml-cbor") == judge(json_file.read_bytes(), "senml")


#: File → what it holds: signals read or kept, reasons of refusal.
EXPECTED_FHIR: dict[str, tuple[list[str], list[str]]] = {
    "Bundle-father": ([], ["signal_unknown"]),
    "Observation-656": ([], ["signal_unknown"]),
    "Observation-blood-pressure": (["systolic_bp", "diastolic_bp"], []),
    "Observation-blood-pressure-cancel": ([], ["result_not_valid"]),
    "Observation-blood-pressure-dar": (["systolic_bp"], ["value_absent"]),
    "Observation-body-temperature": (["body_temperature"], []),
    "Observation-ekg": ([], ["signal_unknown"] * 3),
    "Observation-example": ([], ["signal_unknown"]),
    "Observation-f001": (["glucose"], []),
    "Observation-f203": ([], ["signal_unknown"]),
    "Observation-heart-rate": (["heart_rate"], []),
    "Observation-herd1": ([], ["signal_unknown"]),
    "Observation-map-sitting": (["mean_bp"], []),
    "Observation-respiratory-rate": (["respiratory_rate"], []),
    "Observation-satO2": (["spo2"], []),
    "Observation-unsat": ([], ["result_not_valid"]),
    "Observation-vitals-panel": ([], ["value_absent"]),
}


@pytest.mark.parametrize("file", documents(FHIR, "*.json"))
def test_examples_of_fhir_r4_are_read_or_refused_as_listed(file: Path) -> None:
    good, refused = lines(file.read_bytes(), "fhir")

    signals, reasons = EXPECTED_FHIR[file.stem]
    assert [line["signal"] for line in good] == signals
    assert Counter(line["reason"] for line in refused) == Counter(reasons)
