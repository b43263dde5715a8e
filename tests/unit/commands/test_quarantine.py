"""`twin quarantine` on a data folder with real files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.decide import decide
from ingest.instant import SECOND, parse_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import ObservationBatch, decode_record
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry
from ingest.settings import IngestSettings, QuarantineSettings
from tests.support.command import twin

AT = parse_instant("2026-11-25T08:00:00Z")
GOOD = b'{"time":"2026-11-25T08:00:00Z","values":{"heart_rate":72}}'

Refuse = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Received:
    """An MQTT message; received_at is ns UTC."""

    topic: str
    payload: bytes
    received_at: int


@pytest.fixture
def refuse(tmp_path: Path) -> Refuse:
    """Receives a message as ingest does, and keeps what is refused of it."""
    SqliteJournal(tmp_path / "journal").close()

    def received(device: str, payload: bytes) -> None:
        settings = IngestSettings()
        topic = f"twin/v1/{device}/telemetry"
        with (
            closing(Registry(tmp_path / "registry.db", settings.devices, lambda: AT)) as registry,
            closing(Quarantine(tmp_path / "quarantine.db", QuarantineSettings())) as quarantine,
        ):
            (decision,) = decide([Received(topic, payload, AT + SECOND)], registry, settings)
            message = RefusedMessage(topic, payload, AT + SECOND, device, decision.rejections)
            quarantine.put([message], AT + SECOND)

    return received


def journalled(folder: Path) -> list[tuple[str, float]]:
    """(device, value) of everything in the observations journal."""
    with (
        closing(SqliteJournal(folder / "journal")) as journal,
        closing(journal.reader("observations", 0)) as reader,
    ):
        records = [decode_record(entry.record) for entry in reader.read(100, 0.0)]
    batches = [record for record in records if isinstance(record, ObservationBatch)]
    return [
        (batch.devices[row["device"]], float(row["value"]))
        for batch in batches
        for row in batch.table()
    ]


def test_refusals_are_listed_with_reason_place_and_sums(tmp_path: Path, refuse: Refuse) -> None:
    refuse("watch-1", b'{"time":1000,"values":{"heart_rate":720}}')
    refuse("watch-1", b"\xff")
    refuse("watch-1", b"\xff")

    listed = twin("quarantine", "list", "--json", "--data-dir", tmp_path)

    assert listed.code == 0
    assert listed.json["total"] == 3
    assert listed.json["by_reason"] == {"undecodable": 2, "value_out_of_range": 1}
    assert {(item["reason"], item["count"]) for item in listed.json["items"]} == {
        ("value_out_of_range", 1),
        ("undecodable", 2),
    }
    assert {item["device"] for item in listed.json["items"]} == {"watch-1"}
    for_people = twin("quarantine", "list", "--reason", "undecodable", "--data-dir", tmp_path).out
    assert "3 refused: undecodable 2, value_out_of_range 1" in for_people
    assert "720" not in for_people


def test_shown_message_cannot_steer_the_terminal(tmp_path: Path, refuse: Refuse) -> None:
    refuse("watch-1", b"\x1b[2J\xff hello")
    (item,) = twin("quarantine", "list", "--json", "--data-dir", tmp_path).json["items"]

    shown = twin("quarantine", "show", item["id"][:8], "--data-dir", tmp_path)

    assert shown.code == 0
    assert "\\x1b[2J\\xff hello" in shown.out
    assert "\x1b" not in shown.out


def test_shown_message_is_whole_in_json(tmp_path: Path, refuse: Refuse) -> None:
    refuse("unknown-7", GOOD)
    (item,) = twin("quarantine", "list", "--json", "--data-dir", tmp_path).json["items"]

    shown = twin("quarantine", "show", item["id"], "--json", "--data-dir", tmp_path).json

    assert shown["payload"] == GOOD.decode()
    assert shown["topic"] == "twin/v1/unknown-7/telemetry"
    assert [each["reason"] for each in shown["items"]] == ["device_unknown"]


@pytest.mark.parametrize("beginning", ["00", "zz", ""])
def test_id_that_names_no_message_is_wrong_input(
    tmp_path: Path, refuse: Refuse, beginning: str
) -> None:
    refuse("unknown-7", GOOD)

    for command in ("show", "replay"):
        ended = twin("quarantine", command, beginning, "--data-dir", tmp_path)
        assert (ended.code, ended.out) == (2, "")


def test_message_is_used_once_its_device_is_bound(tmp_path: Path, refuse: Refuse) -> None:
    refuse("unknown-7", GOOD)
    refuse("other-8", GOOD)
    twin("patients", "add", "--id", "p-1", "--data-dir", tmp_path)
    twin("devices", "bind", "unknown-7", "p-1", "--data-dir", tmp_path)

    replayed = twin("quarantine", "replay", "--json", "--data-dir", tmp_path)

    assert replayed.code == 0
    counts = {"used": 1, "refused": 1, "cut": 0, "dropped": 0, "observations": 1}
    assert {name: replayed.json[name] for name in counts} == counts
    told = sorted((m["outcome"], m["reasons"]) for m in replayed.json["messages"])
    assert told == [("refused", ["device_unknown"]), ("used", [])]
    assert journalled(tmp_path) == [("unknown-7", 72.0)]
    (left,) = twin("quarantine", "list", "--json", "--data-dir", tmp_path).json["items"]
    assert left["device"] == "other-8"


def test_replay_is_limited_to_a_device_or_a_reason(tmp_path: Path, refuse: Refuse) -> None:
    refuse("unknown-7", GOOD)
    refuse("unknown-7", b"\xff")
    twin("patients", "add", "--id", "p-1", "--data-dir", tmp_path)
    twin("devices", "bind", "unknown-7", "p-1", "--data-dir", tmp_path)

    other = twin("quarantine", "replay", "--device", "no-such", "--json", "--data-dir", tmp_path)
    reason = twin(
        "quarantine", "replay", "--reason", "undecodable", "--json", "--data-dir", tmp_path
    )

    assert other.json["messages"] == []
    (message,) = reason.json["messages"]
    assert (message["outcome"], message["reasons"]) == ("refused", ["undecodable"])
    assert twin("quarantine", "replay", "00", "--device", "x", "--data-dir", tmp_path).code == 2


def test_journal_of_another_number_of_partitions_is_wrong_input(
    tmp_path: Path, refuse: Refuse
) -> None:
    refuse("unknown-7", GOOD)
    (tmp_path / "c.toml").write_text('data_dir = "."\n[journal]\npartitions = 4\n')

    ended = twin("quarantine", "replay", "-c", tmp_path / "c.toml")

    assert ended.code == 2
    assert "made with 16 partitions, not 4" in ended.err


def test_folder_without_quarantine_is_said(tmp_path: Path) -> None:
    ended = twin("quarantine", "list", "--data-dir", tmp_path)

    assert (ended.code, ended.err) == (2, f"twin: {tmp_path}: there is no quarantine here yet\n")


def test_messages_that_were_never_kept_are_not_called_gone(tmp_path: Path, refuse: Refuse) -> None:
    refuse("watch-1", b"\xff")
    empty = b'{"time":"2026-11-25T08:00:00Z","values":{"heart_rate":null}}'
    topic, settings = "twin/v1/watch-1/telemetry", IngestSettings()
    with (
        closing(Registry(tmp_path / "registry.db", settings.devices, lambda: AT)) as registry,
        closing(Quarantine(tmp_path / "quarantine.db", QuarantineSettings())) as quarantine,
    ):
        (decision,) = decide([Received(topic, empty, AT)], registry, settings)
        refused = RefusedMessage(topic, empty, AT, "watch-1", decision.rejections, decision.kept)
        quarantine.put([refused], AT)
        quarantine.erase("watch-1")

    listed = twin("quarantine", "list", "--data-dir", tmp_path).out.splitlines()[-1]

    never = "never kept: 1, with nothing in them to replay or no basis to keep them"
    reasons = "2 refused: empty 1, undecodable 1"
    assert listed == f"{reasons}; messages not kept any more: erased 1; {never}"
