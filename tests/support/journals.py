"""Journals by name, for the conformance suite and for the child programs that it kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ingest.journal.protocol import Assignment, Entry, Journal, Reader, Topic
from ingest.journal.sqlite import SqliteJournal

KINDS = ("sqlite",)
#: Opens a journal: fixture `opened` of the conformance suite.
Open = Callable[..., Journal]


def open_journal(
    kind: str, folder: Path, max_bytes: int = 1 << 30, now: Callable[[], int] = lambda: 0
) -> Journal:
    """Each topic is full at max_bytes. A small reserve: tests make many folders."""
    assert kind in KINDS
    allowed: dict[Topic, int] = {"observations": max_bytes, "estimates": max_bytes}
    return SqliteJournal(folder, max_bytes=allowed, now=now, reserve_bytes=1 << 20)


class Told:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.assignments: list[Assignment] = []

    def assigned(self, partitions: Sequence[Assignment]) -> None:
        self.assignments += partitions

    def revoked(self, partitions: Sequence[int]) -> None:
        gone = set(partitions)
        self.assignments = [a for a in self.assignments if a.partition not in gone]


def all_entries(reader: Reader) -> list[Entry]:
    """Everything from the reader's position to the end."""
    entries = list[Entry]()
    while page := reader.read(1_000, 0.0):
        entries += page
    return entries


def kept(journal: Journal, topic: Topic = "observations") -> list[Entry]:
    """All entries of the topic."""
    reader = journal.reader(topic, 0)
    try:
        return all_entries(reader)
    finally:
        reader.close()


def child(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python program of its own process; its stdout is to be read."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    top = Path(__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=top)


def kill(process: subprocess.Popen[str]) -> list[str]:
    """SIGKILL; the complete lines that it still had written."""
    process.send_signal(signal.SIGKILL)
    rest = _stdout(process).read()
    process.wait()
    _stdout(process).close()
    return [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def read_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    return [_stdout(process).readline() for _ in range(count)]


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout
