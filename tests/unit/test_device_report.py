"""Reports of devices as records of the estimates journal."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ingest.observation import KIND_REPORTS, RecordDamaged, seal, unseal
from tests.support.device_reports import reported
from twin.device_report import DEVICE_ROW, DeviceReports
from twin.estimate import decode_output, encode_output

NAMES = ("p1", "p2", "p3"), ("watch", "patch", "gateway/band")


def ward(rows: int) -> DeviceReports:
    """Rows of three patients, some with two devices, one of which two patients had."""
    table = np.repeat(reported(7).rows, rows)
    table["patient"], table["device"] = np.arange(rows) % 3, [0, 1, 1, 2, 0, 2][:rows]
    table["accepted"] = np.arange(rows) // 2
    table["offset"][1::2] = np.linspace(-0.1, 0.2, rows // 2)
    table["refused"][-1] = 3
    return DeviceReports(*NAMES, np.sort(table, order="patient"), {rows - 1: {"no_model": 3}})


def read(record: bytes) -> DeviceReports:
    found = decode_output(record)
    assert isinstance(found, DeviceReports)
    return found


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_what_is_read_is_what_was_written(rows: int) -> None:
    said = ward(rows)
    found = read(encode_output(said))
    assert (found.patients, found.devices, found.refused) == (*NAMES, said.refused)
    assert found.rows.tobytes() == said.rows.tobytes()


def test_a_record_of_before_is_read() -> None:
    said = ward(6)
    whole = [*NAMES, said.rows.tobytes(), said.refused]
    for fields, refused in ((whole, said.refused), (whole[:3], {5: {"no_model": 3}})):
        found = read(seal(KIND_REPORTS, msgspec.msgpack.encode(fields)))
        assert found.rows.tobytes() == said.rows.tobytes()
        assert found.refused == refused


def test_a_device_of_a_large_ward_takes_a_third_of_its_row() -> None:
    table = np.repeat(reported(7, accepted=5, expected=10**9).rows, 100)
    table["patient"] = table["device"] = np.arange(100)
    table["last_received"] = table["at"] - np.arange(100)
    names = tuple(f"patient-{n:06d}" for n in range(100))
    said = DeviceReports(names, tuple(f"watch-{n:06d}" for n in range(100)), table, {})
    rows = len(encode_output(said)) - sum(len(name) + 1 for name in (*said.patients, *said.devices))
    assert rows / 100 < DEVICE_ROW.itemsize / 3
    assert read(encode_output(said)).rows.tobytes() == table.tobytes()


def test_rows_that_are_cut_or_name_nobody_are_damage() -> None:
    _kind, body = unseal(encode_output(ward(6)))
    for place, changed in ((0, ["p1"]), (1, ["watch"]), (4, [6, b"", b"", {}])):
        fields = msgspec.msgpack.decode(body, strict=False)
        fields[place] = changed
        with pytest.raises(RecordDamaged, match="layout"):
            decode_output(seal(KIND_REPORTS, msgspec.msgpack.encode(fields)))
