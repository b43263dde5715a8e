"""Alarms and scores that the journal and the live page have let go, answered from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from tests.support.care import NOW, SIMULATED
from tests.support.judged import alarm, score
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.kept import recall
from twin.care.nothing_kept import NothingKept
from twin.estimate import HistoryUnavailable, encode_output
from twin.judgement import Alarm, AlarmEvent, AlarmState, Judgements
from twin.judgement_history import AlarmsAsked
from twin.store.embedded import EmbeddedStore
from twin.store.judged_reading import JudgedReading
from twin.store.writer import StoreWriter

TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED, "taken_by": "I. Roux"}
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "acted"}
STORY = (alarm(at=0), alarm(at=5, **TAKEN), alarm(at=9, **CLOSED))
ALARMS = "/api/v1/alarms"


class Away(NothingKept):
    def alarms(self, asked: AlarmsAsked) -> Sequence[Alarm]:
        raise HistoryUnavailable

    stories = alarms  # type: ignore[assignment]

    def story(self, alarm: str) -> Sequence[Alarm]:
        raise HistoryUnavailable


class Page:
    """A page on a journal, with the store's answers of judgements."""

    def __init__(self, journal: SqliteJournal, judged: Any) -> None:
        people = MemoryPeople({"p1": "Bed 1"})
        self.feed = Feed(journal, people, lambda: NOW)
        self.app = create_app(
            SIMULATED, self.feed, MemoryHistory(), people, MemoryQuarantine(), judged=judged
        )

    def tell(self, *alarms: Alarm) -> None:
        self.feed.take([Entry(0, 1, encode_output(Judgements(alarms=alarms)))], 1)

    def get(self, path: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
                return await web.get(path)

        return asyncio.run(send())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 16)
    yield journal
    journal.close()


def test_after_a_trim_and_a_restart_a_closed_alarm_still_has_its_story(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    scores = tuple(score(at=n, pulse=1) for n in range(3))
    for n, row in enumerate(STORY):
        said = Judgements(alarms=(row,), scores=(scores[n],))
        journal.append("estimates", [(0, encode_output(said))])
    path = tmp_path / "store.db"
    with EmbeddedStore(path) as store:
        assert StoreWriter(journal, store, "embedded", linger=0.1).turn()
        position = store.position
    assert position == journal.end("estimates")
    journal.trim("estimates", position)
    reading = JudgedReading(path)
    page = Page(journal, reading)  # begins without a saved fold
    assert not page.feed.stories()
    body = page.get(f"{ALARMS}/a1").json()
    assert [row["event"] for row in body["story"]] == ["raised", "acknowledged", "closed"]
    assert body["alarm"]["outcome"] == "acted"
    listed = page.get(f"{ALARMS}?state=closed&from=2000-01-01T00:00:00Z").json()
    assert ([row["id"] for row in listed["alarms"]], listed["complete"]) == (["a1"], True)
    assert page.get(f"{ALARMS}?to=2000-01-01T00:00:00Z").json()["alarms"] == []
    assert page.get("/alarms/a1").status_code == 200
    assert "1" in page.get("/metrics/alarms").text
    found = page.get("/api/v1/patients/p1/scores").json()
    assert [one["score"] for one in found["scores"]] == [1, 1, 1]
    assert found["next"] is None
    reading.close()


def test_live_rows_and_stored_ones_are_one_story(journal: SqliteJournal, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "store.db") as store:
        store.write_all([Judgements(alarms=STORY[:2])], 1)
        page = Page(journal, JudgedReading(tmp_path / "store.db"))
        page.tell(*STORY[1:])
        story = page.get(f"{ALARMS}/a1").json()["story"]
        assert [row["event"] for row in story] == ["raised", "acknowledged", "closed"]
        (row,) = page.get(ALARMS).json()["alarms"]
        assert row["state"] == "closed", "the live row is newer than the stored one"


def test_while_the_store_is_away_live_alarms_go_on(journal: SqliteJournal) -> None:
    page = Page(journal, Away())
    page.tell(STORY[0])
    body = page.get(ALARMS).json()
    assert ([row["id"] for row in body["alarms"]], body["complete"]) == (["a1"], False)
    assert len(page.get(f"{ALARMS}/a1").json()["story"]) == 1
    assert page.get(f"{ALARMS}/a9").status_code == 503
    assert page.get("/alarms").status_code == page.get("/metrics/alarms").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ALARMS}?from=yesterday", 422),
        (f"{ALARMS}?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422),
        ("/api/v1/patients/p1/scores?limit=3", 422),
        ("/api/v1/patients/p9/scores", 404),
        ("/api/v1/patients/p1/changes", 200),
    ],
)
def test_bad_questions_are_refused(journal: SqliteJournal, path: str, status: int) -> None:
    assert Page(journal, NothingKept()).get(path).status_code == status


def test_a_fold_that_was_lost_has_the_alarms_that_stand_out_of_the_store(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    """As after a lost fold and a trimmed journal: of a1 the journal has the last row alone, of a2
    nothing any more, a3 is over."""
    stored = (
        alarm("a1", at=0),
        alarm("a2", at=1, event=AlarmEvent.ESCALATED, escalation=1),
        alarm("a3", at=2),
        alarm("a3", at=3, **CLOSED),
    )
    with EmbeddedStore(tmp_path / "store.db") as store:
        store.write_all([Judgements(alarms=stored)], 1)
        page = Page(journal, JudgedReading(tmp_path / "store.db"))
        recall(page.app.state.parts)
        assert {row.id for row in page.feed.open_alarms()} == {"a1", "a2"}
        page.tell(alarm("a1", at=0), alarm("a1", at=5, **TAKEN))
        assert [row.event for row in page.feed.story("a1")] == ["raised", "acknowledged"]
        strip = page.get("/").text
        assert 'href="/alarms/a2"' in strip
        page.tell(alarm("a2", at=9, **CLOSED))
        assert {row.id for row in page.feed.open_alarms()} == {"a1"}


def test_while_the_store_is_away_the_page_begins_without_it(journal: SqliteJournal) -> None:
    page = Page(journal, Away())
    recall(page.app.state.parts)
    assert page.feed.open_alarms() == []
