"""A patient's journal: what the interface and the page say of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from pathlib import Path

import pytest

from ingest.instant import MILLISECOND, MINUTE
from tests.support.care import NOW
from tests.support.judged import alarm
from tests.unit.care.test_alarms_api import TAKEN, Desk
from twin.care.latest import Latest
from twin.care.notebook import MOST, Notebook
from twin.judgement import AlarmEvent, Entered, Judgements
from twin.personal import Change, Departure, Habit


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def entry(n: int, value: str, kind: str = "note", patient: str = "p1") -> Entered:
    return Entered(patient, f"e{n}", kind, value, NOW - MINUTE + n * MILLISECOND, "I. Roux")


def test_notes_entries_and_alarms_stand_in_one_order_newest_first(desk: Desk) -> None:
    desk.tell(
        Judgements((alarm(patient="p1"), alarm(at=5, patient="p1", **TAKEN))),
        Judgements(entries=(entry(1, "seen, sleeping"), entry(2, "A", "consciousness"))),
        Judgements(entries=(entry(3, "of another", patient="p2"),)),
    )
    events = desk.ask("GET", "/api/v1/patients/p1/journal").json()["events"]
    assert sorted((one["kind"], one["what"]) for one in events) == [
        ("alarm", "acknowledged"),
        ("alarm", "raised"),
        ("entry", "consciousness"),
        ("entry", "note"),
    ]
    assert [one["at"] for one in events] == sorted((one["at"] for one in events), reverse=True)
    assert {one["actor"] for one in events if one["what"] == "note"} == {"I. Roux"}
    at = (NOW - MINUTE + MILLISECOND) // MILLISECOND
    cut = desk.ask("GET", f"/api/v1/patients/p1/journal?from={at}&to={at}").json()["events"]
    assert [one["text"] for one in cut] == ["seen, sleeping"]
    assert desk.ask("GET", "/api/v1/patients/p9/journal").status_code == 404


def test_the_page_shows_it_as_text_in_words(desk: Desk) -> None:
    written = entry(1, "<b>seen</b>\nasleep"), entry(2, "V", "consciousness")
    desk.tell(Judgements((alarm(patient="p1"),)), Judgements(entries=written))
    html = desk.ask("GET", "/p/p1?lang=fr").text
    assert "&lt;b&gt;seen&lt;/b&gt;\nasleep" in html
    assert "Conscience\u202f: V\u202f: répond à la voix" in html
    assert "Saturation en oxygène\u202f: déclenchée" in html


def test_a_note_on_an_alarm_stands_in_the_patients_journal_too(desk: Desk) -> None:
    written = {"event": AlarmEvent.NOTE, "actor": "I. Roux", "reason": "<i>probe</i> slipped"}
    desk.tell(Judgements((alarm(patient="p1"), alarm(at=5, patient="p1", **written))))
    events = desk.ask("GET", "/api/v1/patients/p1/journal").json()["events"]
    (note,) = (one for one in events if one["kind"] == "note")
    assert (note["what"], note["text"]) == ("spo2/high/low", "<i>probe</i> slipped")
    assert note["actor"] == "I. Roux"
    html = desk.ask("GET", "/p/p1?lang=en").text
    assert "Oxygen saturation: &lt;i&gt;probe&lt;/i&gt; slipped" in html
    assert html.count('data-kind="note"') == 1


def test_the_page_says_the_change_index_and_that_it_is_not_yet_known(desk: Desk) -> None:
    assert "Change index: not yet known" in desk.ask("GET", "/p/p1?lang=en").text
    part = Departure("heart_rate", 1.2, 9.0, 64.0, 4.0)
    desk.tell(
        Judgements(changes=(Change("p1", NOW, True, 0.99, 0.97, 0.999, 9.0, 6.0, True, (part,)),))
    )
    said = "inhabituelles pour cette personne\u202f: Fréquence cardiaque au-dessus de l’habitude"
    assert said in desk.ask("GET", "/p/p1?lang=fr").text


def test_the_page_and_the_interface_say_what_is_usual_at_this_hour(desk: Desk) -> None:
    assert "Usual for this person" not in desk.ask("GET", "/p/p1?lang=en").text
    assert desk.ask("GET", "/api/v1/patients/p1").json()["usual"] == {}
    habit = Habit("heart_rate", (62.0, 0.0, 0.0, 0.0, 0.0), 5.93, 2**24 - 1)
    change = Change("p1", NOW, False, *(nan,) * 3, 0.0, 0.4, False, (), (habit,))
    desk.tell(Judgements(changes=(change,)))
    assert "(the middle half): Heart rate 58–66" in desk.ask("GET", "/p/p1?lang=en").text
    usual = desk.ask("GET", "/api/v1/patients/p1").json()["usual"]["heart_rate"]
    assert usual["unit"] == "/min"
    assert (round(usual["lo50"]), round(usual["hi50"])) == (58, 66)


def test_a_note_is_a_command_of_a_named_person(desk: Desk) -> None:
    path = "/api/v1/patients/p1/entries"
    assert desk.ask("POST", path, {"kind": "note", "value": "x"}).status_code == 422
    body = {"kind": "note", "value": "seen", "actor": "I. Roux"}
    assert desk.ask("POST", path, body).status_code == 200
    (command,) = desk.commands
    assert (command.kind, command.actor, command.patient) == ("entry", "I. Roux", "p1")
    assert command.body == {"kind": "note", "value": "seen"}


def test_a_notebook_is_saved_with_the_fold_and_forgets_the_oldest() -> None:
    latest = Latest()
    latest.notebook.fold([entry(n, str(n)) for n in range(MOST + 2)])
    again = Latest.load(latest.dump()).notebook.of("p1")
    assert [one.value for one in again[:2]] == [str(MOST + 1), str(MOST)]
    assert len(again) == MOST
    assert Notebook().of("p1") == []
