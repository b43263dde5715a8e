"""Concurrent appends share a commit."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Thread

import pytest

from ingest.journal.group_commit import GROUP_BYTES, GroupCommit, Records


class Written:
    """A sink whose writes can be held, to see who is grouped with whom."""

    def __init__(self) -> None:
        self.groups: list[list[Records]] = []
        self.entered, self.free = Event(), Event()
        self.free.set()
        self.error: Exception | None = None

    def write(self, calls: Sequence[Records]) -> int:
        self.entered.set()
        assert self.free.wait(120)
        if self.error is not None:
            raise self.error
        self.groups.append(list(calls))
        return sum(len(call) for group in self.groups for call in group)


def _start(commits: GroupCommit, *records: bytes) -> Thread:
    thread = Thread(target=commits.append, args=([(0, record) for record in records],))
    thread.start()
    return thread


def _waiting(commits: GroupCommit, count: int) -> bool:
    with commits._changed:
        return commits._changed.wait_for(lambda: len(commits._waiting) == count, 120)


def _hold_the_first(written: Written, commits: GroupCommit) -> Thread:
    written.free.clear()
    first = _start(commits, b"first")
    assert written.entered.wait(120)
    return first


def test_a_lone_call_is_written_by_itself() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=10.0)  # a lone caller never waits that long
    commits.append([(0, b"a")])
    commits.append([(0, b"b")])
    assert written.groups == [[[(0, b"a")]], [[(0, b"b")]]]


def test_calls_that_come_during_a_commit_share_the_next() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=0.0)
    threads = [_hold_the_first(written, commits)]
    for count, record in enumerate((b"b", b"c", b"d"), 1):
        threads.append(_start(commits, record))
        assert _waiting(commits, count)
    written.free.set()
    for thread in threads:
        thread.join(120)
    assert written.groups == [[[(0, b"first")]], [[(0, b"b")], [(0, b"c")], [(0, b"d")]]]


def test_a_failed_write_fails_every_call_of_its_group_and_the_next_goes_on() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=0.0)
    errors: list[str] = []

    def append(record: bytes) -> None:
        try:
            commits.append([(0, record)])
        except OSError as error:
            errors.append(str(error))

    first = _hold_the_first(written, commits)
    threads = [Thread(target=append, args=(b"%d" % i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    assert _waiting(commits, 3)
    written.groups.clear()
    original = written.write

    def fail_once(calls: Sequence[Records]) -> int:
        if len(calls) == 3:
            raise OSError("disk")
        return original(calls)

    commits._write = fail_once
    written.free.set()
    for thread in [first, *threads]:
        thread.join(120)
    assert errors == ["disk"] * 3
    commits.append([(0, b"after")])
    assert written.groups[-1] == [[(0, b"after")]]


def test_an_error_reaches_the_caller_itself() -> None:
    written = Written()
    written.error = ValueError("no")
    commits = GroupCommit(written.write, linger=0.0)
    with pytest.raises(ValueError, match="no"):
        commits.append([(0, b"a")])


def test_a_group_takes_no_more_than_its_bytes() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=0.0)
    threads = [_hold_the_first(written, commits)]
    half = bytes(GROUP_BYTES // 2)
    for count in range(1, 6):
        threads.append(_start(commits, half))
        assert _waiting(commits, count)
    written.free.set()
    for thread in threads:
        thread.join(120)
    assert [len(group) for group in written.groups] == [1, 2, 2, 1]


def test_after_a_shared_commit_the_leader_awaits_as_many_callers() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=300.0)
    threads = [_hold_the_first(written, commits)]
    for count in (1, 2):
        threads.append(_start(commits, b"x"))
        assert _waiting(commits, count)
    written.free.set()
    for thread in threads:
        thread.join(120)
    assert [len(group) for group in written.groups] == [1, 2]
    threads = [_start(commits, b"y"), _start(commits, b"z")]
    for thread in threads:
        thread.join(60)
    assert [len(group) for group in written.groups] == [1, 2, 2]


def test_each_call_is_told_the_position_of_its_own_last_record() -> None:
    written = Written()
    commits = GroupCommit(written.write, linger=0.0)
    told: dict[bytes, int] = {}

    def append(*records: bytes) -> None:
        told[records[0]] = commits.append([(0, record) for record in records])

    threads = [_hold_the_first(written, commits)]
    for count, records in enumerate(((b"b", b"c"), (b"d",), (b"e", b"f", b"g")), 1):
        threads.append(Thread(target=append, args=records))
        threads[-1].start()
        assert _waiting(commits, count)
    written.free.set()
    for thread in threads:
        thread.join(30)
    assert told == {b"b": 3, b"d": 4, b"e": 7}
