"""The fold of alarms and scores."""

from tests.support.judged import alarm, score
from twin.care.board import LONGEST_STORY, MOST_OVER, Board
from twin.judgement import AlarmEvent, AlarmState, Judgements

TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED, "taken_by": "I. Roux"}
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}
PENDING = {"state": AlarmState.PENDING, "event": AlarmEvent.PENDING}


def board_of(*alarms: object, scores: tuple = ()) -> Board:
    board = Board()
    for place, row in enumerate(alarms, 1):
        board.fold(Judgements((row,), ()), place)  # type: ignore[arg-type]
    board.fold(Judgements((), scores), len(alarms) + 1)
    return board


def test_the_newest_row_is_the_alarm_and_all_rows_are_its_story() -> None:
    board = board_of(alarm(**PENDING), alarm(at=15), alarm(at=20, **TAKEN))
    (now,) = board.open_alarms()
    assert (now.state, now.taken_by) == (AlarmState.ACKNOWLEDGED, "I. Roux")
    assert [row.event for row in board.story("a1")] == ["pending", "raised", "acknowledged"]
    assert board.open_alarms("p2") == []


def test_what_was_only_pending_is_no_alarm() -> None:
    board = board_of(alarm(**PENDING), alarm(at=5, **(CLOSED | {"outcome": "subsided"})))
    assert board.stories() == []
    assert board.take_transitions() == []
    assert board_of(alarm(**PENDING)).open_alarms() == []


def test_an_alarm_that_is_over_keeps_its_story_until_too_many_are() -> None:
    rows = [row for n in range(MOST_OVER + 1) for row in (alarm(f"a{n}"), alarm(f"a{n}", **CLOSED))]
    board = board_of(*rows)
    assert board.open_alarms() == []
    assert board.story("a0") == ()
    assert len(board.story("a1")) == 2


def test_a_very_long_story_keeps_its_beginning_and_its_end() -> None:
    board = board_of(*(alarm(at=at) for at in range(LONGEST_STORY + 50)))
    story = board.story("a1")
    assert len(story) == LONGEST_STORY
    assert story[0].at == alarm().at
    assert story[-1].at == alarm(at=LONGEST_STORY + 49).at


def test_transitions_are_told_once_and_again_to_those_who_come_back() -> None:
    board = board_of(alarm(), alarm(at=5, **TAKEN))
    assert [row.event for row in board.take_transitions()] == ["raised", "acknowledged"]
    assert board.take_transitions() == []
    assert [row.event for row in board.missed(1)] == ["acknowledged"]


def test_patients_whose_alarms_or_score_changed_are_told_once() -> None:
    board = board_of(alarm(), scores=(score("p2", spo2=2),))
    assert board.take_changed() == {"p1", "p2"}
    assert board.take_changed() == set()


def test_a_saved_board_is_the_same_and_tells_nothing_twice() -> None:
    board = board_of(alarm(), alarm("a2"), alarm("a2", 5, **CLOSED), scores=(score("p2", spo2=2),))
    again = Board.of(board.state())
    assert again.open_alarms() == board.open_alarms()
    assert again.stories() == board.stories()
    assert again.scores() == board.scores()
    assert again.take_transitions() == []
    assert again.missed(2) == board.missed(2)
