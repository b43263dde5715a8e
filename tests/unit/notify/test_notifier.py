"""Calls to people: which are made, what they say, and that none is lost or made for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.instant import MINUTE, SECOND
from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from tests.support.judged import alarm, technical
from tests.support.ward import T0
from twin.estimate import encode_output
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState, Judgements, Priority
from twin.notify.channels import NotDelivered
from twin.notify.notice import Notice, notices
from twin.notify.notifier import GIVE_UP, LONGEST_RETRY, STALE, Notifier, retry_after
from twin.notify.outbox import Outbox

TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED, "taken_by": "I. Roux"}
PENDING = {"state": AlarmState.PENDING, "event": AlarmEvent.PENDING}
ESCALATED = {"event": AlarmEvent.ESCALATED, "escalation": 1}
HIGH = frozenset({"high"})


@dataclass(slots=True)
class Scripted:
    """A channel that fails as often as it is told to; `sent` is what it took."""

    name: str = "scripted"
    fails: list[NotDelivered] = field(default_factory=list)
    sent: list[Notice] = field(default_factory=list)

    def wants(self, notice: Notice) -> bool:
        return True

    def send(self, notice: Notice) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append(notice)


class Caller:
    """A notifier without threads, whose clock a test moves."""

    def __init__(self, folder: Path) -> None:
        self.at = T0 + MINUTE
        self.folder = folder
        self.journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 16)
        self.channel = Scripted()
        self.position = 0
        self.begin()

    def begin(self) -> None:
        self.outbox = Outbox(self.folder / "notify.db")
        self.notifier = Notifier(
            self.journal, self.outbox, [self.channel], HIGH, "https://ward.example", lambda: self.at
        )

    def tell(self, *alarms: Alarm) -> None:
        self.position += 1
        record = encode_output(Judgements(alarms))
        self.notifier.take([Entry(0, self.position, record)], self.position)

    def deliver(self) -> int:
        """How many calls were due."""
        n = 0
        while self.notifier.deliver(self.channel):
            n += 1
        return n

    def states(self, id: str = "a1") -> list[str]:  # noqa: A002
        return [receipt.state for receipt in self.outbox.receipts(id)]


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    caller = Caller(tmp_path)
    yield caller
    caller.outbox.close()
    caller.journal.close()


def test_what_is_raised_calls_once_and_says_nothing_of_the_patient(caller: Caller) -> None:
    caller.tell(alarm(patient="p-secret", taken_by="I. Roux", reason="because"))
    caller.tell(alarm(patient="p-secret"))
    assert caller.deliver() == 1
    (notice,) = caller.channel.sent
    said = str(notice.body) + notice.text
    assert "https://ward.example/alarms/a1" in said
    assert "high" in said
    for word in ("p-secret", "spo2", "82", "83", "85", "I. Roux", "because"):
        assert word not in said
    assert caller.states() == ["delivered"]


@pytest.mark.parametrize(
    "quiet",
    [
        alarm(**PENDING),
        alarm(priority=Priority.MEDIUM),
        alarm(kind=AlarmKind.ADVISORY),
        alarm(paused_until=T0 + MINUTE),
        alarm(**TAKEN),
        alarm(event=AlarmEvent.NOTE),
        alarm(event=AlarmEvent.UNVERIFIED, unverified=True),
        technical(),
    ],
)
def test_what_calls_nobody(quiet: Alarm) -> None:
    assert list(notices([quiet], HIGH, "")) == []


def test_each_step_of_escalation_calls_again(caller: Caller) -> None:
    caller.tell(alarm(), alarm(at=30, **ESCALATED))
    caller.deliver()
    assert [(n.event, n.escalation) for n in caller.channel.sent] == [
        ("raised", 0),
        ("escalated", 1),
    ]


def test_a_call_that_is_not_taken_is_tried_again_later_and_later(caller: Caller) -> None:
    caller.channel.fails = [NotDelivered("status 503", again=True) for _ in range(3)]
    caller.tell(alarm())
    assert caller.deliver() == 1
    assert caller.deliver() == 0
    for wait in (5, 10, 20):
        caller.at += wait * SECOND
        assert caller.deliver() == 1
    assert len(caller.channel.sent) == 1
    (receipt,) = caller.outbox.receipts("a1")
    assert (receipt.state, receipt.attempts) == ("delivered", 4)
    assert retry_after(50) == LONGEST_RETRY


def test_what_will_never_be_taken_is_given_up(caller: Caller) -> None:
    caller.channel.fails = [NotDelivered("status 404", again=False)]
    caller.tell(alarm())
    caller.deliver()
    assert caller.states() == ["given_up"]
    caller.channel.fails = [NotDelivered("ConnectionRefusedError", again=True)]
    caller.tell(alarm("a2"))
    caller.at += GIVE_UP + MINUTE
    caller.deliver()
    assert caller.states("a2") == ["given_up"]
    assert caller.outbox.counts() == {"given_up": 2}


def test_once_somebody_has_it_a_waiting_call_is_dropped(caller: Caller) -> None:
    caller.channel.fails = [NotDelivered("status 503", again=True)]
    caller.tell(alarm())
    caller.deliver()
    caller.tell(alarm(at=5, **TAKEN))
    caller.at += MINUTE
    assert caller.deliver() == 0
    assert caller.states() == ["settled"]


def test_an_alarm_that_was_taken_before_it_was_read_calls_nobody(caller: Caller) -> None:
    caller.tell(alarm(), alarm(at=5, **TAKEN))
    assert caller.deliver() == 0


def test_a_backlog_of_old_alarms_calls_nobody_and_is_counted(caller: Caller) -> None:
    caller.at += STALE + MINUTE
    caller.tell(alarm())
    assert caller.deliver() == 0
    assert caller.notifier.expired == 1


def test_a_kill_loses_no_call_and_reads_nothing_twice(caller: Caller) -> None:
    caller.tell(alarm())
    caller.outbox.close()
    caller.begin()
    assert caller.notifier.position == 1
    assert caller.deliver() == 1
    caller.outbox.close()
    caller.begin()
    assert caller.deliver() == 0
    caller.position = 0
    caller.tell(alarm())  # read again, as after a kill between two notes of the position
    assert caller.deliver() == 0


def test_the_first_start_of_all_begins_at_the_journals_end(caller: Caller) -> None:
    caller.journal.append("estimates", [(0, encode_output(Judgements((alarm(),))))])
    caller.notifier.start()
    assert caller.notifier.alive
    caller.journal.append("estimates", [(0, encode_output(Judgements((alarm("a2"),))))])
    for _ in range(1_200):
        if caller.channel.sent:
            break
        caller.notifier._stopping.wait(0.05)
    caller.notifier.stop()
    assert [notice.alarm for notice in caller.channel.sent] == ["a2"]
