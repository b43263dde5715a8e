"""Who stands first in the ward."""

import pytest

from tests.support.judged import alarm, score, technical
from twin.care.rank import by_urgency, is_unanswered, standing
from twin.judgement import Alarm, AlarmKind, AlarmState, Priority, Score

MEDIUM = {"priority": Priority.MEDIUM}
TAKEN = {"state": AlarmState.ACKNOWLEDGED, "taken_by": "I. Roux"}
SEVEN = score(respiratory_rate=3, spo2=2, pulse=2)
FIVE = score(spo2=2, pulse=1, temperature=2)
SINGLE_THREE = score(spo2=3)
LOW = score(pulse=1)


@pytest.mark.parametrize(
    ("alarms", "news2", "rank"),
    [
        ([alarm()], LOW, 0),
        ([alarm(state=AlarmState.LATCHED)], None, 0),
        ([alarm(**MEDIUM)], LOW, 1),
        ([alarm(**TAKEN)], LOW, 2),
        ([alarm(paused_until=1)], LOW, 2),
        ([], SEVEN, 2),
        ([technical()], SEVEN, 2),
        ([alarm(**MEDIUM, **TAKEN)], LOW, 3),
        ([], FIVE, 3),
        ([], SINGLE_THREE, 3),
        ([technical()], LOW, 4),
        ([technical(**TAKEN)], LOW, 5),
        ([alarm(kind=AlarmKind.ADVISORY)], LOW, 5),
        ([], LOW, 5),
        ([], None, 5),
    ],
)
def test_rank(alarms: list[Alarm], news2: Score | None, rank: int) -> None:
    assert standing(alarms, news2).rank == rank


def test_a_technical_alarm_never_stands_above_a_score_of_seven() -> None:
    assert standing([], SEVEN).urgency < standing([technical()], FIVE).urgency
    assert standing([], SEVEN).urgency < standing([technical()], LOW).urgency


def test_within_a_rank_the_higher_score_comes_first() -> None:
    assert standing([], LOW).urgency < standing([], None).urgency
    assert standing([alarm()], FIVE).urgency < standing([alarm()], LOW).urgency


def test_sub_scores_of_three_name_their_signals() -> None:
    assert standing([], score(pulse=3, temperature=2, spo2=3)).threes == ("spo2", "heart_rate")


def test_an_advisory_and_what_is_paused_need_nobody() -> None:
    assert is_unanswered(alarm())
    assert not is_unanswered(alarm(kind=AlarmKind.ADVISORY))
    assert not is_unanswered(alarm(paused_until=1))
    assert not is_unanswered(alarm(**TAKEN))


def test_alarms_sort_by_priority_then_age() -> None:
    rows = [alarm("new", 9), alarm("old", 1), alarm("medium", **MEDIUM), technical()]
    assert [row.id for row in sorted(rows, key=by_urgency)] == ["old", "new", "medium", "t1"]
