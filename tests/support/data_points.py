"""Data points of IEEE 1752.1 and Open mHealth, and what the decoder makes of them."""

from __future__ import annotations

import json
from typing import Any

from ingest.instant import parse_instant
from ingest.payload.decoded import Decoded, Rejection
from ingest.payload.ieee1752 import decode

NOON = "2026-11-25T12:00:00Z"
NOON_NS = parse_instant(NOON)
AT_NOON = {"date_time": NOON}
IEEE = {
    "uuid": "aaaa1234-1a2b-3c4d-5e6f-000000000001",
    "source_creation_date_time": NOON,
    "modality": "sensed",
    "external_datasheets": [{"datasheet_type": "manufacturer", "datasheet_reference": "x"}],
}
OMH = {
    "id": "1",
    "creation_date_time": NOON,
    "acquisition_provenance": {"source_name": "x", "modality": "self-reported"},
    "user_id": "nobody",
}


def header(name: str, version: str, of: Any = None, **more: Any) -> dict[str, Any]:
    schema_id = {"namespace": "omh", "name": name, "version": version}
    return {**(IEEE if of is None else of), "schema_id": schema_id, **more}


def read(name: str, version: str, body: Any, **more: Any) -> Decoded:
    return decode(json.dumps({"header": header(name, version, **more), "body": body}).encode())


def heart_rate(**fields: Any) -> dict[str, Any]:
    body = {
        "heart_rate": {"value": 72, "unit": "beats/min"},
        "effective_time_frame": AT_NOON,
        **fields,
    }
    return {key: value for key, value in body.items() if value is not None}


def interval(**fields: Any) -> dict[str, Any]:
    return {"time_interval": fields}


def only(decoded: Decoded) -> Rejection:
    assert len(decoded.rejections) == 1, decoded.rejections
    return decoded.rejections[0]
