"""Watchdogs: what is wrong around a process though all its threads live, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS
from ingest.observation import Tick, encode_record
from tests.support.twins import T0
from twin.care.rendering import FAULTS
from twin.config import Config
from twin.runtime import watchdogs
from twin.runtime.clock import Clock
from twin.runtime.parts import Parts, make_parts
from twin.runtime.watch import health, metrics
from twin.runtime.watchdogs import WATCHDOGS, Receipts, Watchdogs


@dataclass(slots=True)
class Seconds:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with ExitStack() as opened:
        config = Config.model_validate(
            {"data_dir": tmp_path, "journal": {"partitions": 1, "max_megabytes": 16}}
        )
        roles = frozenset({"ingest", "store"})
        yield make_parts(config, roles, Clock(), 1.0, opened)


def watching(parts: Parts, tmp_path: Path) -> tuple[Watchdogs, Seconds]:
    seconds = Seconds()
    return Watchdogs(parts, tmp_path, seconds), seconds


def test_a_full_journal_is_told_with_the_hours_that_are_left(parts: Parts, tmp_path: Path) -> None:
    watched, seconds = watching(parts, tmp_path)
    watched.look()
    assert "journal_filling" not in watched.words
    record = encode_record(Tick(T0, True)) + bytes(200_000)
    while parts.journal.fill("observations")[0] <= 0.85 * parts.journal.fill("observations")[1]:
        parts.journal.append("observations", [(0, record)])
    seconds.now += 600
    watched.look()
    words = watched.words["journal_filling"]
    assert words.startswith("observations 8")
    assert words.endswith("0.0 h left")


def test_a_stepped_clock_is_told_for_ten_minutes(parts: Parts, tmp_path: Path) -> None:
    watched, seconds = watching(parts, tmp_path)
    assert parts.ingest is not None
    parts.ingest.counters.clock_steps += 1
    watched.look()
    assert watched.words["clock_stepped"] == "stepped 1 times since the start"
    seconds.now += 601
    watched.look()
    assert "clock_stepped" not in watched.words


def test_a_low_disk_is_told(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdogs, "DISK_BYTES", 1 << 60)
    watched, _ = watching(parts, tmp_path)
    watched.look()
    assert watched.words["disk_low"].endswith("GB free")


def test_what_a_watchdog_sees_degrades_and_is_counted_but_kills_nobody(parts: Parts) -> None:
    seen = health(parts, True, {"quiet": "connected, and nothing received for 75 s"})
    assert "quiet" in seen.degraded
    assert seen.parts["quiet"] == "connected, and nothing received for 75 s"
    said = {
        m.labels["watchdog"]: m.value
        for m in metrics(parts, {"quiet": "x"})
        if m.name == "twin_watchdog"
    }
    assert said == {name: float(name == "quiet") for name in WATCHDOGS}


def test_pages_have_words_for_every_watchdog() -> None:
    assert set(WATCHDOGS) == FAULTS


def test_a_worker_that_is_behind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdogs, "BEHIND_RECORDS", 2)
    tick = encode_record(Tick(T0 + SECOND, True))
    config = Config.model_validate({"data_dir": tmp_path, "journal": {"partitions": 1}})
    with ExitStack() as opened:
        parts = make_parts(config, frozenset({"worker"}), Clock(), 1.0, opened)
        assert parts.worker is not None
        parts.worker.start()
        parts.worker.stop()
        parts.journal.append("observations", [(ALL_PARTITIONS, tick)] * 9)
        watched, _ = watching(parts, tmp_path)
        watched.look()
        assert watched.words["worker_behind"].endswith("journal records not stepped yet")


def test_it_is_quiet_once_nothing_comes_for_three_expected_intervals() -> None:
    receipts = Receipts()
    assert receipts.look(0, 10, True, 30) == ""
    assert receipts.look(90, 10, True, 30) == ""
    assert receipts.look(91, 10, True, 30) == "connected, and nothing received for 91 s"
    assert receipts.look(95, 11, True, 30) == ""


def test_without_a_declared_interval_the_usual_pause_is_learned() -> None:
    receipts = Receipts()
    for n in range(5):
        assert receipts.look(300.0 * n, n + 1, True, 0) == ""
    assert receipts.look(1_200 + 890, 5, True, 0) == ""
    assert receipts.look(1_200 + 910, 5, True, 0).endswith("for 910 s")


def test_without_a_broker_or_before_the_first_message_it_is_not_quiet() -> None:
    receipts = Receipts()
    assert receipts.look(500, 0, True, 30) == ""
    receipts.look(501, 10, True, 30)
    assert receipts.look(800, 10, False, 30) == ""
    assert receipts.look(850, 10, True, 30) == ""
