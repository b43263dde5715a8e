"""A decoder that fails at a message costs that message's place alone, and names it nowhere else."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import apsw
import pytest

import ingest.decide
import ingest.plain
from ingest.decide import Decider, decide
from ingest.frames import Delivery
from ingest.instant import format_instant, parse_instant
from ingest.judge import read
from ingest.payload.decoded import Reason
from ingest.reading import Reading
from ingest.registry import Registry
from ingest.settings import IngestSettings

NOW = parse_instant("2026-11-25T08:00:00Z")


def message(rate: int) -> Delivery:
    said = {"time": format_instant(NOW), "values": {"heart_rate": rate}}
    return Delivery(f"twin/v1/d-{rate}/telemetry", json.dumps(said).encode(), NOW, 1, 1)


def failing(error: Exception) -> object:
    """`read`, which fails at what device d-61 sends."""

    def fails(topic: str, *rest: object) -> Reading:
        if "d-61" in topic:
            raise error
        return read(topic, *rest)  # type: ignore[arg-type]

    return fails


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry.db", IngestSettings().devices, lambda: NOW)
    registry.add_patient(patient="p-1")
    for rate in (60, 61, 62):
        registry.bind(f"d-{rate}", "p-1")
    return registry


def test_the_message_is_refused_alone_and_its_neighbours_go_on(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingest.decide, "read", failing(OverflowError("of the payload")))
    with caplog.at_level(logging.DEBUG):
        found = decide([message(60), message(61), message(62)], registry, IngestSettings())
    assert [len(each.observations) for each in found] == [1, 0, 1]
    (refused,) = found[1].rejections
    assert (refused.reason, refused.got) == (Reason.UNDECODABLE, "OverflowError")
    assert (found[1].reading.device, found[1].kept) == ("d-61", True)
    assert "OverflowError" in caplog.text
    assert "of the payload" not in caplog.text
    assert "d-61" not in caplog.text


def test_a_disk_that_fails_is_no_fault_of_the_message(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.decide, "read", failing(apsw.IOError("disk")))
    with pytest.raises(apsw.IOError):
        decide([message(61)], registry, IngestSettings())


def test_where_the_bulk_decoder_fails_at_one_message_it_alone_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_payloads: object) -> object:
        raise RecursionError("of the payload")

    monkeypatch.setattr(ingest.plain, "decode_bulk", fails)
    monkeypatch.setattr(ingest.decide, "read", failing(OverflowError("of the payload")))
    with caplog.at_level(logging.DEBUG):
        found = Decider(registry, IngestSettings(), 4).decide([message(n) for n in (60, 61, 62)])
    assert found.accepted == 2
    refused = [each for _, each in found.explained if each.rejections]
    assert [each.reading.device for each in refused] == ["d-61"]
    assert "RecursionError" in caplog.text
    assert "of the payload" not in caplog.text


def test_a_disk_that_fails_on_the_short_way_is_no_fault_of_a_message(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_payloads: object) -> object:
        raise apsw.IOError("disk")

    monkeypatch.setattr(ingest.plain, "decode_bulk", fails)
    with pytest.raises(apsw.IOError):
        Decider(registry, IngestSettings(), 4).decide([message(61)])
