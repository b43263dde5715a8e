"""Alarms, scores and change indexes in the embedded store's file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import msgspec
import pytest
from msgspec.structs import replace as changed

from ingest.instant import HOUR, MINUTE, SECOND
from tests.support.estimates import batch, observed
from tests.support.judged import alarm, score, technical
from tests.support.score_rows import rows_of
from tests.support.ward import T0
from twin.estimate import HistoryUnavailable
from twin.judgement import AlarmEvent, AlarmState, Judgements, Score
from twin.judgement_history import AlarmsAsked
from twin.personal import Change, Departure
from twin.store.embedded import EmbeddedStore
from twin.store.judged_reading import JudgedReading
from twin.store.retention import Kept, Retention

PENDING = {"state": AlarmState.PENDING, "event": AlarmEvent.PENDING}
TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED, "taken_by": "I. Roux"}
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}
EVER = AlarmsAsked(0, 1 << 62)
STORY = (alarm(at=0, **PENDING), alarm(at=0), alarm(at=30, **TAKEN), alarm(at=90, **CLOSED))


def change(patient: str = "p1", at: int = T0) -> Change:
    part = Departure("heart_rate", 2.5, 6.1, 62.0, 3.0)
    return Change(patient, at, True, 0.97, 0.9, 0.99, 11.2, 40.0, False, (part,))


def same(found: Sequence[Score], made: Sequence[Score]) -> bool:
    """NaN is not NaN, but it is written the same."""
    return msgspec.msgpack.encode(list(found)) == msgspec.msgpack.encode(list(made))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(path) as store:
        yield store


@pytest.fixture
def reading(path: Path) -> Iterator[JudgedReading]:
    reading = JudgedReading(path)
    yield reading
    reading.close()


def test_a_story_is_read_as_it_was_written(store: EmbeddedStore, reading: JudgedReading) -> None:
    store.write_all([Judgements(alarms=STORY[:2]), Judgements(alarms=STORY[2:])], 7)
    assert reading.story("a1") == list(STORY)
    assert reading.stories(EVER) == [list(STORY)]
    assert reading.alarms(EVER) == [STORY[-1]]
    assert store.position == 7


def test_what_is_written_again_changes_nothing(
    store: EmbeddedStore, reading: JudgedReading
) -> None:
    noted = [
        alarm(at=40, event=AlarmEvent.NOTE, actor="I. Roux", reason=words) for words in ("b", "a")
    ]
    said = Judgements((*STORY[:3], *noted, STORY[3]), (score(spo2=2),), changes=(change(),))
    for _ in range(2):
        store.write_all([said, said], 1)
    store.write_all([Judgements(alarms=STORY[:1])], 1)
    assert reading.story("a1") == list(said.alarms)
    assert reading.alarms(EVER) == [STORY[-1]]
    assert same(reading.scores("p1", T0, T0 + 1, 10).items, said.scores)
    assert reading.changes("p1", T0, T0 + 1, 10).items == said.changes


def test_judgements_rows_and_position_are_one_transaction(
    store: EmbeddedStore, reading: JudgedReading
) -> None:
    unfit = Judgements(scores=(changed(score(spo2=1), patient=None),))  # type: ignore[arg-type]
    with pytest.raises(apsw.ConstraintError):
        store.write_all([batch(observed(T0, 70)), Judgements(alarms=STORY), unfit], 9)
    assert (reading.story("a1"), store.position, dict(store.stored())) == ([], 0, {})
    store.write_all([batch(observed(T0, 70)), Judgements(alarms=STORY)], 9)
    assert (len(reading.story("a1")), store.position) == (4, 9)


def test_alarms_are_asked_for_by_time_state_priority_and_patient(
    store: EmbeddedStore, reading: JudgedReading
) -> None:
    lasts = alarm("a2", 600, patient="p2")
    subsided = [alarm("a4", 10, **PENDING), alarm("a4", 20, **CLOSED | {"outcome": "subsided"})]
    store.write_all([Judgements((*STORY, lasts, technical("t3", 700), *subsided))], 1)

    def ids(**asked: object) -> list[str]:
        return [row.id for row in reading.alarms(replace(EVER, **asked))]  # type: ignore[arg-type]

    assert ids() == ["t3", "a2", "a1"]
    assert ids(limit=1) == ["t3"]
    assert ids(states={"closed"}) == ["a1"]
    assert ids(states={"active"}, priorities={"high"}) == ["a2"]
    assert ids(patient="p2") == ["a2"]
    assert ids(start=T0 + 90 * SECOND) == ["t3", "a2", "a1"]
    assert ids(start=T0 + 91 * SECOND) == ["t3", "a2"]
    assert ids(end=T0 + 600 * SECOND) == ["a1"]
    assert ids(start=T0 + HOUR, end=T0 + 2 * HOUR) == ["t3", "a2"], "what lasts still"
    assert reading.story("a4") == [], "what was never more than pending is no alarm"


def test_scores_come_in_pages(store: EmbeddedStore, reading: JudgedReading) -> None:
    made = [score(at=60 * n, pulse=n % 3) for n in range(25)]
    by_hand = changed(made[9], validated_by="I. Roux")
    store.write_all([Judgements(scores=(*made, by_hand, score("p2", pulse=3)))], 1)
    first = reading.scores("p1", T0, T0 + HOUR, 10)
    assert same(first.items, made[:9]), "both of the tenth moment come with the next page"
    assert first.following == made[9].at
    second = reading.scores("p1", first.following, T0 + HOUR, 20)
    assert same(second.items, [made[9], by_hand, *made[10:]])
    assert second.following is None
    assert reading.scores("p1", T0 + MINUTE, T0 + 2 * MINUTE, 10).items[0].at == made[1].at


def test_scores_of_a_file_of_before_are_read_beside_rows(
    path: Path, reading: JudgedReading
) -> None:
    made = [score(at=60 * n, pulse=n, spo2=3) for n in range(3)]
    with EmbeddedStore(path) as store:
        store.write_all([Judgements(scores=made[:1])], 1)
    before = apsw.Connection(str(path))
    before.execute("UPDATE meta SET value = 3 WHERE key = 'format'")
    assert before.execute("SELECT body FROM score").get == msgspec.msgpack.encode(made[0])
    assert same(reading.scores("p1", T0, T0 + HOUR, 9).items, made[:1])
    with EmbeddedStore(path) as store:
        assert before.execute("SELECT value FROM meta WHERE key = 'format'").get == 4
        for _ in range(2):
            store.write_all([Judgements(scores=rows_of([one])) for one in made[1:]], 2)
    before.close()
    page = reading.scores("p1", T0, T0 + HOUR, 2)
    assert same(page.items, made[:2])
    assert page.following == made[2].at
    assert same(reading.scores("p1", made[2].at, T0 + HOUR, 2).items, made[2:])


def test_retention_lets_go_whole_alarms_that_are_over(
    store: EmbeddedStore, reading: JudgedReading
) -> None:
    open_still = alarm("a2", 0)
    late = [alarm("a3", 0), alarm("a3", 7200, **CLOSED)]
    scores = tuple(score(p, 60 * n, pulse=1) for p in ("p1", "p2") for n in range(100))
    changes = (change(), change(at=T0 + 2 * HOUR))
    store.write_all([Judgements((*STORY, open_still, *late), scores, changes=changes)], 1)
    report = Retention(store, Kept(judgements=HOUR)).run(T0 + 2 * HOUR)
    assert report.judgements == 1 + 2 * 60 + 1
    assert {row.id for row in reading.alarms(EVER)} == {"a2", "a3"}
    assert (len(reading.story("a1")), len(reading.story("a3"))) == (0, 2)
    assert [s.at for s in reading.scores("p2", 0, 1 << 62, 100).items] == [
        s.at for s in scores[60:100]
    ]
    assert reading.changes("p1", 0, 1 << 62, 10).items == changes[1:]
    assert Retention(store, Kept()).run(T0 + 9 * HOUR).judgements == 0


def test_many_scores_of_one_patient_go_in_several_turns(
    store: EmbeddedStore, reading: JudgedReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.store.judged._AT_ONCE", 7)
    scores = tuple(score(p, n, pulse=1) for p in ("p1", "p2", "p3") for n in range(20))
    store.write_all([Judgements(scores=scores)], 1)
    report = Retention(store, Kept(judgements=HOUR)).run(T0 + HOUR + 18 * SECOND)
    assert report.judgements == 3 * 18
    assert [s.at for s in reading.scores("p3", 0, 1 << 62, 50).items] == [
        s.at for s in scores[18:20]
    ]


def test_without_a_file_it_is_empty_and_a_damaged_one_is_away(
    path: Path, reading: JudgedReading
) -> None:
    assert (reading.alarms(EVER), reading.story("a1")) == ([], [])
    path.write_bytes(b"no database at all" * 300)
    with pytest.raises(HistoryUnavailable, match=r"store\.db"):
        reading.alarms(EVER)


def test_a_file_from_before_has_no_alarms_until_somebody_writes(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write_all([batch(observed(T0, 70))], 1)
    connection = apsw.Connection(str(path))
    for table in ("alarm", "alarm_row", "score", "change"):
        connection.execute(f"DROP TABLE {table}")
    connection.close()
    reading = JudgedReading(path)
    assert reading.alarms(EVER) == []
    with EmbeddedStore(path) as store:
        store.write_all([Judgements(alarms=STORY)], 2)
        assert reading.story("a1") == list(STORY)
    reading.close()
