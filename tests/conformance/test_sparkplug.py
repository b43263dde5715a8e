"""Sparkplug B payloads of an independent encoder, beside the project, never in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.payload.sparkplug import decode
from ingest.payload.sparkplug_births import NO_TABLE, Table, table_of
from tests.support.commands import SHARED

FOLDER = (SHARED / "standards" / "sparkplug_b" / "fixtures").resolve()
PART = {"nbirth": "BIRTH", "dbirth": "BIRTH"}
MEANING = {"vitals/resp_rate": "respiratory_rate"}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="shared/standards/sparkplug_b is not beside this checkout"
)


def table() -> Table:
    return table_of(decode((FOLDER / "dbirth.bin").read_bytes(), "BIRTH").declared)


@pytest.mark.parametrize("name", ["nbirth", "dbirth", "ddata_alias", "ddata_historical", "types"])
def test_every_number_is_what_its_encoder_meant(name: str) -> None:
    known = NO_TABLE if name == "types" else table()
    payload = (FOLDER / f"{name}.bin").read_bytes()
    meant = json.loads((FOLDER / f"{name}.decoded.json").read_text("utf-8"))

    understood = decode(payload, PART.get(name, "DATA"), known)

    assert understood.seq == int(meant["seq"])
    assert understood.decoded.rejections == []
    found = {s.path: (s.signal, s.value, s.stamp) for s in understood.decoded.samples}
    for index, metric in enumerate(meant["metrics"]):
        named = metric.get("name") or known.by_alias[int(metric["alias"])].name
        numeric = metric["type"].removeprefix("U") in ("Int8", "Int16", "Int32", "Int64")
        if numeric or metric["type"] in ("Float", "Double"):
            got = found.pop(f"metrics[{index}].value", None)
            if named in ("bdSeq", "device/battery"):
                assert got is None
                continue
            signal, value, stamp = got or ("", 0.0, 0)
            assert value == float(metric["value"])
            assert stamp == int(metric["timestamp"]) * 1_000_000
            last = named.rsplit("/", 1)[-1]
            assert signal in (named, last, MEANING.get(named))
    assert found == {}


def test_state_of_the_device_is_read() -> None:
    decoded = decode((FOLDER / "dbirth.bin").read_bytes(), "BIRTH").decoded
    assert (decoded.battery, decoded.contact) == (0.88, True)
    assert decoded.samples[0].unit == "/min"


def test_every_cut_of_every_payload_is_decoded_without_an_exception() -> None:
    for file in sorted(Path(FOLDER).glob("*.bin")):
        payload = file.read_bytes()
        for end in range(len(payload)):
            decode(payload[:end], "DATA")
