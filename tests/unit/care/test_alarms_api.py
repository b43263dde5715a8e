"""/api/v1/alarms: who asks for what, and what the worker's answers become."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Command, decode_record
from tests.support.care import NOW, SIMULATED
from tests.support.judged import alarm, score, technical
from tests.support.ward import MemoryHistory, MemoryPeople, MemoryQuarantine
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.settings import Receipt
from twin.estimate import Outcome, Output, encode_output
from twin.judgement import AlarmEvent, AlarmState, Judgements, Priority, Switched
from twin.step import OTHER_REQUEST

ON = Judgements(switched=(Switched(True, "remote_monitoring", "configuration", NOW),))
TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED, "taken_by": "I. Roux"}
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}
KEY = {"idempotency-key": "k1"}
MEDIUM = {"priority": Priority.MEDIUM}


class Desk:
    """A page whose worker is this test: it answers each command as `says` has it."""

    def __init__(self, folder: Path) -> None:
        self.journal = SqliteJournal(folder, reserve_bytes=1 << 16)
        people = MemoryPeople({"p1": "Bed 1"})
        self.feed = Feed(self.journal, people, lambda: NOW)
        self.feed.commands = replace(self.feed.commands, wait_s=60.0)  # this test's thread answers
        self.app = create_app(SIMULATED, self.feed, MemoryHistory(), people, MemoryQuarantine())
        self.commands: list[Command] = []
        self.says: Callable[[Command], list[Output]] = lambda c: [Outcome(c.id, True, "", NOW)]
        self._position = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        self.tell(ON)

    def tell(self, *outputs: Output) -> None:
        entries = []
        for output in outputs:
            self._position += 1
            entries.append(Entry(0, self._position, encode_output(output)))
        self.feed.take(entries, self._position)

    def _work(self) -> None:
        reader = self.journal.reader("observations", 0)
        while not self._stop.is_set():
            for entry in reader.read(10, 0.05):
                record = decode_record(entry.record)
                assert isinstance(record, Command)
                self.commands.append(record)
                self.tell(*self.says(record))
        reader.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            url = "http://localhost"
            async with httpx.AsyncClient(transport=transport, base_url=url) as client:
                sent = {"content": body} if isinstance(body, bytes) else {"json": body}
                return await client.request(method, path, headers=headers, **sent)

        return asyncio.run(send())

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.journal.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["alarms"]]


def test_open_alarms_come_by_urgency_then_what_is_over(desk: Desk) -> None:
    over = [alarm("a0"), alarm("a0", 9, **CLOSED)]
    rows = (*over, technical(), alarm("a2", 5, **MEDIUM), alarm("a1", 7))
    desk.tell(Judgements(rows, ()))
    answer = desk.ask("GET", "/api/v1/alarms")
    assert answer.json()["enabled"] is True
    assert ids(answer) == ["a1", "a2", "t1", "a0"]
    assert ids(desk.ask("GET", "/api/v1/alarms?state=open")) == ["a1", "a2", "t1"]
    assert ids(desk.ask("GET", "/api/v1/alarms?state=closed")) == ["a0"]
    assert ids(desk.ask("GET", "/api/v1/alarms?state=active,closed&priority=high")) == ["a1", "a0"]
    assert ids(desk.ask("GET", "/api/v1/alarms?patient=p2")) == []
    assert ids(desk.ask("GET", "/api/v1/alarms?limit=1")) == ["a1"]


@pytest.mark.parametrize("query", ["state=loud", "priority=urgent", "limit=0", "limit=x"])
def test_what_cannot_be_asked_for_is_a_problem(desk: Desk, query: str) -> None:
    answer = desk.ask("GET", f"/api/v1/alarms?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["name"] == query.partition("=")[0]


def test_an_alarm_says_worst_value_limit_and_story(desk: Desk) -> None:
    desk.tell(Judgements((alarm(), alarm(at=5, **TAKEN)), ()))
    said = desk.ask("GET", "/api/v1/alarms/a1").json()
    assert (said["alarm"]["worst"], said["alarm"]["limit"], said["alarm"]["unit"]) == (82, 85, "%")
    assert (said["alarm"]["label"], said["alarm"]["taken_by"]) == ("Bed 1", "I. Roux")
    assert said["alarm"]["unanswered"] is False
    assert [row["event"] for row in said["story"]] == ["raised", "acknowledged"]
    assert desk.ask("GET", "/api/v1/alarms/nothing").status_code == 404


def test_numbers_that_a_technical_alarm_has_not_are_null(desk: Desk) -> None:
    desk.tell(Judgements((technical(),), ()))
    said = desk.ask("GET", "/api/v1/alarms/t1").json()["alarm"]
    assert (said["value"], said["limit"], said["paused_until"]) == (None, None, None)


def test_taking_an_alarm_is_a_command_by_name_and_answers_what_it_became(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    row = alarm(at=5, **TAKEN)
    desk.says = lambda c: [Judgements((row,), ()), Outcome(c.id, True, "", NOW)]
    answer = desk.ask("POST", "/api/v1/alarms/a1/acknowledge", {"actor": " I. Roux"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["alarm"]["state"] == "acknowledged"
    (command,) = desk.commands
    assert (command.kind, command.actor, command.patient) == ("acknowledge", "I. Roux", "p1")
    assert (command.body, command.issued_at) == ({"alarm": "a1"}, NOW)


def test_who_comes_second_is_told_who_has_it(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    desk.says = lambda c: [Outcome(c.id, False, "already taken by I. Roux", NOW)]
    answer = desk.ask("POST", "/api/v1/alarms/a1/acknowledge", {"actor": "B. Lind"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "already taken by I. Roux"
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_takes_no_responsibility(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    for body in (None, {}, {"actor": "x"}):
        answer = desk.ask("POST", "/api/v1/alarms/a1/acknowledge", body)
        assert (answer.status_code, answer.json()["name"]) == (422, "actor")
    assert desk.commands == []


def test_a_name_given_to_the_browser_is_who_acts_whatever_the_body_says(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    cookie = f"twin_name={desk.app.state.parts.names.sealed('I. Roux')}"
    desk.ask("POST", "/api/v1/alarms/a1/acknowledge", {"actor": "Dr Who"}, cookie=cookie)
    assert desk.commands[0].actor == "I. Roux"


def test_a_pause_has_a_reason_and_an_end(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    path, who = "/api/v1/alarms/a1/pause", {"actor": "I. Roux"}
    for wrong, name in (
        ({"minutes": 5}, ""),
        ({"minutes": 7, "reason": "care"}, "minutes"),
        ({"minutes": 5, "reason": "tired"}, "reason"),
        ({"minutes": 5, "reason": "other"}, "note"),
        ({"minutes": 5, "reason": "care", "for_ever": True}, ""),
    ):
        answer = desk.ask("POST", path, who | wrong)
        assert (answer.status_code, answer.json().get("name", "")) == (422, name), wrong
    assert desk.commands == []
    said = {"minutes": 5, "reason": "other", "note": "being washed"}
    assert desk.ask("POST", path, who | said).status_code == 200
    expected = {"alarm": "a1", "minutes": 5, "reason": "other: being washed"}
    assert desk.commands[0].body == expected


def test_the_same_request_again_is_the_same_command(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    for _ in range(2):
        answer = desk.ask("POST", "/api/v1/alarms/a1/resume", {"actor": "I. Roux"}, **KEY)
        assert answer.status_code == 200
    assert [command.id for command in desk.commands] == ["k1", "k1"]


def test_a_request_is_told_apart_from_another_with_the_same_key(desk: Desk) -> None:
    desk.tell(Judgements((alarm(), alarm(id="a2")), ()))
    ways = [
        ("a1/close", b'{"actor": "I. Roux", "outcome": "acted"}'),
        ("a1/close", b'{"outcome":"acted","actor":"I. Roux"}'),  # the same, written differently
        ("a1/close", b'{"outcome":"acted","actor":"A. Blanc"}'),
        ("a1/close", b'{"outcome":"false","actor":"I. Roux"}'),
        ("a2/close", b'{"outcome":"acted","actor":"I. Roux"}'),
        ("a1/resume", b'{"actor":"I. Roux"}'),
        ("a2/resume", b'{"actor":"I. Roux"}'),
    ]
    for path, body in ways:
        assert desk.ask("POST", f"/api/v1/alarms/{path}", body, **KEY).status_code == 200
    first, same, *others = (command.request for command in desk.commands)
    assert first == same != ""
    assert len({first, *others}) == 1 + len(others)


def test_a_key_that_stood_for_another_request_is_a_problem_422(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    desk.says = lambda c: [Outcome(c.id, False, OTHER_REQUEST, NOW)]
    answer = desk.ask("POST", "/api/v1/alarms/a1/resume", {"actor": "I. Roux"}, **KEY)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == OTHER_REQUEST


def test_a_body_that_is_no_json_or_too_long_is_refused(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    answer = desk.ask(
        "POST", "/api/v1/alarms/a1/close", {"actor": "x" * 20_000, "outcome": "acted"}
    )
    assert answer.status_code == 413
    for wrong in ([1], b'{"note":' + b"[" * 10_000, b'{"note":"\xff"}', b"\x00", b'{"actor":'):
        answer = desk.ask("POST", "/api/v1/alarms/a1/close", wrong)
        assert answer.status_code == 422, wrong
    assert desk.commands == []


def test_an_unknown_alarm_cannot_be_taken(desk: Desk) -> None:
    answer = desk.ask("POST", "/api/v1/alarms/none/acknowledge", {"actor": "I. Roux"})
    assert answer.status_code == 404
    assert desk.commands == []


def test_patients_carry_their_score_and_their_place(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), (score(respiratory_rate=3, spo2=2),)))
    (patient,) = desk.ask("GET", "/api/v1/patients").json()["patients"]
    assert (patient["urgency"], patient["alarms"]) == (15, ["a1"])
    news2 = patient["news2"]
    assert (news2["score"], news2["complete"], news2["any3"]) == (5, False, True)
    assert [c["points"] for c in news2["components"]] == [3, 2, None, None, None, None, None]
    assert desk.ask("GET", "/api/v1/patients/p1").json()["news2"]["score"] == 5


def test_chances_of_a_score_say_that_what_was_never_measured_counts_0(desk: Desk) -> None:
    """With a pulse alone, "0 %" of a high score would else sound as if somebody were well."""
    says = "What was never measured counts as 0 points here."
    known = dict.fromkeys(("respiratory_rate", "spo2", "systolic_bp", "pulse", "temperature"), 0)
    whole = score(**known, oxygen=0, consciousness=0)
    for complete, told in ((False, score(pulse=2)), (True, whole)):
        desk.tell(Judgements((), (told,)))
        page = desk.ask("GET", "/p/p1").text
        assert "Probability of a score" in page
        assert (says in page) is not complete


def test_openapi_describes_what_is_asked_and_answered(desk: Desk) -> None:
    document = desk.ask("GET", "/openapi.json").json()
    assert {"AlarmsBody", "AlarmStoryBody", "Pause"} <= document["components"]["schemas"].keys()
    post = document["paths"]["/api/v1/alarms/{alarm}/pause"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Pause"}


def test_an_alarms_page_says_who_was_called(desk: Desk) -> None:
    desk.tell(Judgements((alarm(),), ()))
    desk.app.state.parts = replace(
        desk.app.state.parts, receipts=lambda _: [Receipt("webhook 1 ward", 0, "delivered", NOW)]
    )
    html = desk.ask("GET", "/alarms/a1").text
    assert "webhook 1 ward" in html
    assert "delivered" in html


def test_the_probability_of_a_story_is_that_of_the_moment_it_was_raised(desk: Desk) -> None:
    desk.tell(Judgements((alarm(probability=0.93), alarm(at=9, probability=0.01, **CLOSED)), ()))
    html = desk.ask("GET", "/alarms/a1").text
    assert "93%" in html
    assert "<dd>1%" not in html


def test_no_probability_is_said_to_be_certain(desk: Desk) -> None:
    desk.tell(Judgements((alarm(probability=0.9999),), ()))
    assert "<dd>&gt; 99%</dd>" in desk.ask("GET", "/alarms/a1").text


def test_what_alarms_cost_names_nobody_in_each_gender_of_french(desk: Desk) -> None:
    html = desk.ask("GET", "/metrics/alarms?lang=fr").text
    assert re.findall(r"<h2>([^<]+)</h2>\s*<p class=\"quiet\">([^<]+)</p>", html) == [
        ("Patients les plus concernés", "Aucun."),
        ("Règles les plus fréquentes", "Aucune."),
        ("Pauses par motif", "Aucune."),
    ]
