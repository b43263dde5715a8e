"""Decode rates on one core: native single messages and batches of ten, then the other formats.

For the native format, `bulk` is what ingest does with a group of messages as they arrive (samples
as arrays), `live` the same with all that it decides on them, up to the journal's records, and
`objects` an object for each sample, as `twin decode` makes them. JSON out; rates also as ratios to
the untyped parsing of the same payloads in the same run.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cbor2
import msgspec

from ingest.decide import Decider
from ingest.frames import Delivery
from ingest.payload import fhir, ieee1752, senml
from ingest.payload.native import decode
from ingest.payload.native_bulk import decode_bulk
from ingest.payload.native_explained import decode_explained
from ingest.registry import Registry
from ingest.settings import IngestSettings

_Make = Callable[[int], bytes]
_Decode = Callable[[bytes], object]
_MESSAGES = 20_000
_ROUNDS = 5
_DEVICES = 200
_GROUP = 500  # messages that ingest takes at once
#: Of the messages' receipt, ns UTC: 12 h after the first stamp.
_NOW = 1_795_640_400_000_000_000
_UCUM = "http://unitsofmeasure.org"


def _single(i: int) -> bytes:
    at = f"2026-11-25T08:{i // 60 % 60:02d}:{i % 60:02d}Z"
    return b'{"time":"%s","values":{"heart_rate":%d.5}}' % (at.encode(), 60 + i % 40)


def _with_state(i: int) -> bytes:
    return _single(i)[:-1] + b',"sequence":%d,"boot":"a7","battery":0.83}' % i


def _batch(i: int) -> bytes:
    times = [1_795_000_000_000 + 1000 * (10 * i + k) for k in range(10)]
    values = {"heart_rate": [60 + (i + k) % 40 for k in range(10)]}
    return json.dumps({"times": times, "values": values}, separators=(",", ":")).encode()


def _pack(i: int) -> list[dict[str, object]]:
    first = {"bn": "urn:dev:mac:0024befffe804ff1:", "bt": 1_795_000_000 + 10 * i}
    records = [
        {"n": "heart_rate", "u": "beat/min", "t": k, "v": 60 + (i + k) % 40} for k in range(10)
    ]
    return [first | records[0], *records[1:]]


def _senml(i: int) -> bytes:
    return json.dumps(_pack(i), separators=(",", ":")).encode()


def _senml_cbor(i: int) -> bytes:
    labels = {name: label for label, name in senml.LABELS.items()}
    return bytes(cbor2.dumps([{labels[k]: v for k, v in each.items()} for each in _pack(i)]))


def _at(i: int) -> str:
    return f"2026-11-25T08:{i // 60 % 60:02d}:{i % 60:02d}Z"


def _data_point(i: int) -> bytes:
    header = {
        "uuid": f"aaaa1234-1a2b-3c4d-5e6f-{i:012d}",
        "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"},
        "source_creation_date_time": _at(i),
        "modality": "sensed",
    }
    body = {
        "heart_rate": {"value": 60 + i % 40, "unit": "beats/min"},
        "effective_time_frame": {"date_time": _at(i)},
    }
    return json.dumps({"header": header, "body": body}).encode()


def _observation(i: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": "observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/p-1"},
        "effectiveDateTime": _at(i),
        "valueQuantity": {
            "value": 60 + i % 40,
            "unit": "beats/minute",
            "system": _UCUM,
            "code": "/min",
        },
    }


def _fhir(i: int) -> bytes:
    return json.dumps(_observation(i)).encode()


def _fhir_bundle(i: int) -> bytes:
    entries = [{"resource": _observation(10 * i + k)} for k in range(10)]
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()


def _rate(decoded: Callable[[bytes], object], payloads: list[bytes]) -> float:
    """Messages a second of CPU time, the best round (other work on the machine only slows)."""
    best = 0.0
    for _ in range(_ROUNDS):
        begin = time.process_time()
        for payload in payloads:
            decoded(payload)
        best = max(best, len(payloads) / (time.process_time() - begin))
    return best


def _grouped_rate(taken: Callable[[list[bytes]], object], payloads: list[bytes]) -> float:
    """The same of what takes a group of messages."""
    groups = [payloads[i : i + _GROUP] for i in range(0, len(payloads), _GROUP)]
    best = 0.0
    for _ in range(_ROUNDS):
        begin = time.process_time()
        for group in groups:
            taken(group)
        best = max(best, len(payloads) / (time.process_time() - begin))
    return best


def _live_rate(registry: Registry, payloads: list[bytes]) -> float:
    """Messages a second of CPU time from deliveries to the journal's records."""
    decider = Decider(registry, IngestSettings(), 16)
    topics = [f"twin/v1/bench-{n}/telemetry" for n in range(_DEVICES)]
    groups = [
        [
            Delivery(topics[(i + k) % _DEVICES], payload, _NOW, 1, 1)
            for k, payload in enumerate(payloads[i : i + _GROUP])
        ]
        for i in range(0, len(payloads), _GROUP)
    ]
    best = 0.0
    for _ in range(_ROUNDS):
        accepted = 0
        begin = time.process_time()
        for group in groups:
            decided = decider.decide(group)
            accepted += decided.accepted
        best = max(best, len(payloads) / (time.process_time() - begin))
        assert accepted >= len(payloads)
        assert not decided.explained
    return best


def _registry(folder: str) -> Registry:
    registry = Registry(Path(folder) / "registry.db", IngestSettings().devices, lambda: _NOW)
    for n in range(_DEVICES):
        registry.add_patient(patient=f"p-{n}")
        registry.bind(f"bench-{n}", f"p-{n}")
    return registry


def main() -> None:
    """Prints rates, and each as a ratio to the untyped parsing of the same payloads."""
    report: dict[str, dict[str, float]] = {}
    parse = msgspec.json.Decoder().decode
    with tempfile.TemporaryDirectory() as folder:
        registry = _registry(folder)
        for name, make, samples in (
            ("single", _single, 1),
            ("single_with_state", _with_state, 1),
            ("batch_of_10", _batch, 10),
        ):
            payloads = [make(i) for i in range(_MESSAGES)]
            parsed = _rate(parse, payloads)
            rate = _grouped_rate(decode_bulk, payloads)
            objects, live = _rate(decode, payloads), _live_rate(registry, payloads)
            explained = _rate(decode_explained, payloads[:2_000])
            report[name] = {
                "bulk_messages_per_s": round(rate),
                "bulk_samples_per_s": round(rate * samples),
                "objects_messages_per_s": round(objects),
                "objects_samples_per_s": round(objects * samples),
                "live_messages_per_s": round(live),
                "live_us_per_message": round(1e6 / live, 2),
                "bulk_of_untyped_parse": round(rate / parsed, 3),
                "objects_of_untyped_parse": round(objects / parsed, 3),
                "bulk_times_the_explained_path": round(rate / explained, 1),
            }
        registry.close()
    others: tuple[tuple[str, _Make, _Decode, _Decode, int], ...] = (
        ("senml_pack_of_10", _senml, senml.decode_json, parse, 10),
        ("senml_cbor_pack_of_10", _senml_cbor, senml.decode_cbor, cbor2.loads, 10),
        ("ieee1752_data_point", _data_point, ieee1752.decode, parse, 1),
        ("fhir_observation", _fhir, fhir.decode, parse, 1),
        ("fhir_bundle_of_10", _fhir_bundle, fhir.decode, parse, 10),
    )
    for name, make, decoded, parse_untyped, samples in others:
        payloads = [make(i) for i in range(_MESSAGES // 10)]
        rate, parsed = _rate(decoded, payloads), _rate(parse_untyped, payloads)
        report[name] = {
            "messages_per_s": round(rate),
            "samples_per_s": round(rate * samples),
            "of_untyped_parse": round(rate / parsed, 3),
        }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
