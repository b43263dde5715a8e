"""When the position moves, and what is told again: a scripted broker, a real journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from ingest.mqtt_publish import Outgoing
from tests.support.estimates import T0, batch, observed
from tests.support.judged import alarm
from twin.estimate import Output, encode_output
from twin.judgement import AlarmEvent, AlarmState, Judgements
from twin.outward.present import AT_ONCE
from twin.outward.record import Record
from twin.outward.teller import Teller

CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}


@dataclass(slots=True)
class Scripted:
    """A broker that is connected once. away: it acknowledges nothing, and we are stopped."""

    connections: int = 1
    refused: str = ""
    away: bool = False
    got: list[Outgoing] = field(default_factory=list)

    def publish(self, messages: Sequence[Outgoing], stop: Event) -> bool:
        if self.away:
            stop.set()
            return False
        self.got += messages
        return True

    def events(self) -> list[str]:
        """Of alarms, in order; "" where one is removed."""
        return [
            json.loads(each.payload)["event"] if each.payload else ""
            for each in self.got
            if "/alarm/" in each.topic
        ]


class Line:
    """A teller without its thread, begun anew as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.broker = folder, 100.0, Scripted()
        self.journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
        self.position = 0
        #: What may be said of whom, where it is not all.
        self.may: dict[str, frozenset[str] | None] = {}
        self.begin()

    def begin(self, alarms: bool = True) -> None:
        self.record = Record(self.folder / "outward.db")
        self.teller = Teller(
            self.journal, self.record, self.broker, "out", alarms, lambda: self.now, self._allowed
        )

    def _allowed(self, patient: str) -> frozenset[str] | None:
        return self.may.get(patient, frozenset())

    def again(self, alarms: bool = True) -> None:
        """As after kill -9: what is not in the record is forgotten."""
        self.record.close()
        self.broker = Scripted()
        self.begin(alarms)

    def tell(self, *outputs: Output) -> bool:
        entries = []
        for output in outputs:
            self.position += 1
            entries.append(Entry(0, self.position, encode_output(output)))
        self.now += 1.0
        return self.teller.take(entries, self.position)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.record.close()
    line.journal.close()


def test_the_position_moves_after_the_broker_has_it_and_never_before(line: Line) -> None:
    line.tell(Judgements((alarm(),)))
    assert line.teller.position == 1
    line.broker.away = True
    assert not line.tell(Judgements((alarm(at=60, **CLOSED),)))
    assert line.teller.position == 1


def test_after_a_kill_what_stands_is_told_again_and_nothing_is_lost(line: Line) -> None:
    line.tell(Judgements((alarm(),)), batch(observed(T0, 72.0)))
    line.broker.away = True
    lost = Judgements((alarm(at=60, **CLOSED),))
    line.tell(lost)

    line.again()
    assert line.teller.position == 2
    line.position = 2
    line.tell(lost)

    assert line.broker.events() == ["raised", "closed", ""]
    assert [each.topic for each in line.broker.got if "state" in each.topic] == ["out/p1/state"]


def test_a_broker_that_comes_back_is_told_all_that_stands(line: Line) -> None:
    line.tell(Judgements((alarm(), alarm("a2"))), batch(observed(T0, 72.0)))
    line.tell(Judgements((alarm("a2", at=5, **CLOSED),)))
    line.broker.got.clear()
    line.tell()
    assert line.broker.got == []
    line.broker.connections += 1
    line.tell()
    assert [each.topic for each in line.broker.got] == ["out/p1/alarm/a1", "out/p1/state"]


def test_what_was_past_when_it_was_turned_on_makes_a_present_and_no_transitions(
    line: Line, tmp_path: Path
) -> None:
    records = [Judgements((alarm("old"),)), Judgements((alarm("old", at=5, **CLOSED), alarm()))]
    line.journal.append("estimates", [(0, encode_output(each)) for each in records])
    line.record.close()
    line.folder = tmp_path / "new"
    line.again()
    line.tell(*records)
    assert line.broker.got == []
    line.tell(Judgements((alarm("a3", at=9),)))
    assert [each.topic for each in line.broker.got] == ["out/p1/alarm/a1", "out/p1/alarm/a3"]


def test_in_wellness_no_alarm_is_told_and_what_stood_is_withdrawn(line: Line) -> None:
    line.tell(Judgements((alarm(),)))
    line.again(alarms=False)
    line.tell(Judgements((alarm(at=60, event=AlarmEvent.ESCALATED), alarm("a2"))))
    assert line.broker.got == [Outgoing("out/p1/alarm/a1", b"", True)]
    line.again(alarms=False)
    line.tell()
    assert line.broker.got == []


def test_a_damaged_record_is_left_out(line: Line) -> None:
    line.position += 1
    assert line.teller.take([Entry(0, 1, b"no record")], 1)
    assert line.broker.got == []
    assert line.teller.position == 1


def taken_away(broker: Scripted) -> set[str]:
    """Topics of which nothing is retained after all that was said."""
    last = {each.topic: each.payload for each in broker.got if each.retain}
    return {topic for topic, payload in last.items() if not payload}


def test_what_was_retained_of_who_withdrew_goes_and_nothing_more_is_said(line: Line) -> None:
    line.tell(batch(observed(T0, 72.0)), Judgements((alarm(), alarm("b1", patient="p2"))))
    line.may["p1"] = None
    line.now += 2.0
    line.tell()
    assert taken_away(line.broker) == {"out/p1/state", "out/p1/alarm/a1"}
    said = len(line.broker.got)
    later = alarm(at=30, event=AlarmEvent.ESCALATED, escalation=1)
    line.tell(batch(observed(T0 + SECOND, 73.0)), Judgements((later, alarm("a2"))))
    assert line.broker.got[said:] == []
    assert set(line.teller.present.standing) == {"b1"}


def test_who_withdrew_while_we_were_away_is_taken_away_at_the_start(line: Line) -> None:
    line.tell(batch(observed(T0, 72.0)), Judgements((alarm(),)))
    line.tell()
    line.may["p1"] = None
    line.again()
    line.tell()
    assert taken_away(line.broker) == {"out/p1/state", "out/p1/alarm/a1"}
    line.tell()
    line.again()
    line.tell()
    assert line.broker.got == []  # and is not known any more


def test_a_broker_that_did_not_take_it_away_is_told_again(line: Line) -> None:
    line.tell(batch(observed(T0, 72.0)))
    line.tell()
    line.may["p1"] = None
    line.broker.away = True
    line.now += 2.0
    assert not line.tell()
    line.again()
    line.tell()
    assert taken_away(line.broker) == {"out/p1/state"}


def test_of_a_consent_to_some_signals_the_others_go(line: Line) -> None:
    line.tell(batch(observed(T0, 72.0)))
    (state,) = [each for each in line.broker.got if each.topic == "out/p1/state"]
    code = next(iter(json.loads(state.payload)["signals"]))
    line.may["p1"] = frozenset({code})
    line.now += 2.0
    line.tell(batch(observed(T0 + SECOND, 74.0)))
    assert taken_away(line.broker) == set()
    line.may["p1"] = frozenset({"body_temperature"})
    line.now += 2.0
    line.tell(batch(observed(T0 + 2 * SECOND, 74.0)))
    assert taken_away(line.broker) == {"out/p1/state"}


def test_a_consent_that_is_given_again_makes_the_state_anew(line: Line) -> None:
    line.may["p1"] = None
    line.tell(batch(observed(T0, 72.0)))
    assert line.broker.got == []
    del line.may["p1"]
    line.now += 2.0
    line.tell(batch(observed(T0 + SECOND, 73.0)))
    assert [each.topic for each in line.broker.got] == ["out/p1/state"]


def test_of_a_large_ward_states_are_said_by_turns_and_alarms_come_between(line: Line) -> None:
    patients = [f"p{n:04d}" for n in range(1_250)]

    def said() -> list[str]:
        topics = [each.topic for each in line.broker.got]
        line.broker.got.clear()
        return topics

    line.tell(batch(*(observed(T0, 70.0, patient=each) for each in patients)))
    first = said()
    assert len(first) == AT_ONCE
    line.tell(
        batch(*(observed(T0 + SECOND, 71.0, patient=each) for each in patients)),
        Judgements((alarm(patient="p0001"),)),
    )
    second = said()
    assert second[0] == "out/p0001/alarm/a1"
    line.tell()
    third = said()
    assert len({*first, *second[1:], *third}) == 1_250  # nobody twice before everybody once


def test_states_of_several_patients_have_their_own_bands(line: Line) -> None:
    rows = (observed(T0, 70.0), observed(T0, 90.0, patient="p2", std=2.0))
    line.tell(batch(*rows))
    told = [json.loads(each.payload) for each in line.broker.got]
    bands = {
        each["patient"]: (each["signals"]["heart_rate"]["lo95"], each["as_of"]) for each in told
    }
    assert bands["p1"][0] == pytest.approx(70.0 - 1.96, abs=0.001)
    assert bands["p2"][0] == pytest.approx(90.0 - 3.92, abs=0.001)
    assert bands["p1"][1] == bands["p2"][1]
