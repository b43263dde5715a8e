"""`twin devices ledger`: per device, what was received and where each observation is now."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.instant import format_instant
from twin.commands.failure import failing
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.printing import counted, print_columns, print_json, print_line, say

if TYPE_CHECKING:
    from twin.care.told import DeviceFacts
    from twin.commands.books import Books


@dataclass(frozen=True, slots=True)
class _Line:
    """One device's ledger; difference: in the journal, not in the store, for no other reason.

    It is what waits for the twin, what waits for the store, and the rest: belated observations that
    came again (they overwrite their own key), or a loss.
    """

    device: str
    patient: str | None
    last_received: int
    received: int
    journalled: int
    estimated: int
    belated: int
    duplicate: int
    conflict: int
    refused: Mapping[str, int]
    stored: int | None
    difference: int | None
    waiting_for_twin: int
    waiting_for_store: int
    facts: DeviceFacts | None

    @property
    def rest(self) -> int:
        return (self.difference or 0) - self.waiting_for_twin - self.waiting_for_store


def print_ledger(
    config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """What became of every observation: refused, estimated, stored, and the difference."""
    import apsw

    from ingest.journal.protocol import JournalDamaged
    from twin.commands.books import read_books
    from twin.commands.place import config_at
    from twin.store.sqlite_file import StoreDamaged

    with failing(apsw.Error, JournalDamaged, StoreDamaged, OSError):
        books = read_books(config_at(config, data_dir))
    lines = _lines(books)
    if books.damaged:
        say(f"{books.damaged} damaged records of the estimates journal are not counted")
    if as_json:
        print_json({"devices": [_in_json(line) for line in lines]})
    else:
        _print(lines)


def _lines(books: Books) -> list[_Line]:
    known = {*books.accounts, *books.bound, *books.refused, *books.waiting, *books.facts} - {""}
    return [_line(books, device) for device in sorted(known)]


def _line(books: Books, device: str) -> _Line:
    account = books.accounts.get(device)
    waiting = books.waiting[device]
    by_ingest = books.refused.get(device, {})
    by_twin = account.refused if account else {}
    estimated, belated, duplicate, conflict = (
        (account.accepted, account.belated, account.duplicate, account.conflict)
        if account
        else (0, 0, 0, 0)
    )
    journalled = (account.journalled if account else 0) + waiting
    stored = None if books.stored is None else books.stored.get(device, 0)
    kept_apart = duplicate + conflict + sum(by_twin.values())
    return _Line(
        device=device,
        patient=books.bound.get(device) or (account.patient if account else None),
        last_received=account.last_received if account else 0,
        received=journalled + sum(by_ingest.values()),
        journalled=journalled,
        estimated=estimated,
        belated=belated,
        duplicate=duplicate,
        conflict=conflict,
        refused=dict(Counter(by_ingest) + Counter(by_twin)),
        stored=stored,
        difference=None if stored is None else journalled - kept_apart - stored,
        waiting_for_twin=waiting,
        waiting_for_store=books.unwritten[device],
        facts=books.facts.get(device),
    )


_HEAD = (
    "device", "patient", "received", "refused", "journalled", "duplicate", "conflict", "belated",
    "estimated", "stored", "difference", "missing", "silence", "clock",
)  # fmt: skip


def _print(lines: list[_Line]) -> None:
    print_columns(
        _HEAD,
        [
            (
                line.device,
                line.patient,
                line.received,
                sum(line.refused.values()),
                line.journalled,
                line.duplicate,
                line.conflict,
                line.belated,
                line.estimated,
                line.stored,
                line.difference,
                line.facts.missing if line.facts else 0,
                line.facts.silence if line.facts else "",
                _clock(line.facts),
            )
            for line in lines
        ],
    )
    for line in lines:
        told = itertools.chain(
            ["refused: " + counted(line.refused)] if line.refused else [], _explained(line)
        )
        for each in told:
            print_line(f"{line.device}: {each}")


def _clock(facts: DeviceFacts | None) -> str:
    """By how much its stamps lead their receipt, as `-0.4 ± 0.1 s`; "" while nothing is known."""
    if facts is None or facts.offset_s is None or facts.offset_std_s is None:
        return ""
    return f"{facts.offset_s:+.1f} ± {facts.offset_std_s:.1f} s"


def _of_the_device(facts: DeviceFacts) -> list[str]:
    """What the worker says of it that is in no column."""
    told = []
    if facts.still_open:
        told.append(f"{facts.still_open} numbers have not come yet, missing after 60 s")
    if facts.redelivered:
        told.append(f"{facts.redelivered} messages came more than once")
    if facts.restarts:
        told.append(f"its count began anew {facts.restarts} times")
    if facts.over_rate:
        told.append(f"{facts.over_rate} samples were beyond its declared rate")
    if facts.silence:
        since = f" since {format_instant(facts.since)[:19]}Z" if facts.since else ""
        told.append(f"silent: {facts.silence}{since}")
    if facts.correction_s:
        told.append(f"{facts.correction_s:+.1f} s are taken from its stamps")
    return told


def _explained(line: _Line) -> list[str]:
    of_device = _of_the_device(line.facts) if line.facts else []
    return [*_difference(line), *of_device]


def _difference(line: _Line) -> list[str]:
    if line.difference is None:
        return ["the store did not answer"]
    told = []
    if line.waiting_for_twin:
        told.append(f"{line.waiting_for_twin} in the journal, not yet taken by the twin")
    if line.waiting_for_store:
        told.append(f"{line.waiting_for_store} estimated, not yet written to the store")
    if 0 < line.rest <= line.belated:
        told.append(f"{line.rest} belated ones came more than once: each is stored once")
    elif line.rest:
        told.append(f"{line.rest} unexplained")
    return told


def _in_json(line: _Line) -> dict[str, object]:
    return {
        "id": line.device,
        "patient": line.patient,
        "last_received": format_instant(line.last_received) if line.last_received else None,
        "ledger": {
            "received": line.received,
            "duplicate": line.duplicate,
            "conflict": line.conflict,
            "belated": line.belated,
            "refused": dict(line.refused),
            "journalled": line.journalled,
            "estimated": line.estimated,
            "stored": line.stored,
            "difference": line.difference,
        },
        "numbers": _numbers(line.facts),
        "silence": _silence(line.facts),
        "clock": _clock_in_json(line.facts),
        "explained": _explained(line),
    }


def _numbers(facts: DeviceFacts | None) -> dict[str, int] | None:
    """Of its numbered messages; None: the worker has not reported it."""
    if facts is None:
        return None
    return {
        "missing": facts.missing,
        "open": facts.still_open,
        "redelivered": facts.redelivered,
        "restarts": facts.restarts,
        "over_rate": facts.over_rate,
    }


def _silence(facts: DeviceFacts | None) -> dict[str, str | None] | None:
    """None: it is heard, or not reported."""
    if facts is None or not facts.silence:
        return None
    since = format_instant(facts.since) if facts.since else None
    return {"cause": facts.silence, "since": since}


def _clock_in_json(facts: DeviceFacts | None) -> dict[str, float | None] | None:
    if facts is None:
        return None
    return {
        "offset_s": facts.offset_s,
        "offset_std_s": facts.offset_std_s,
        "drift_ppm": facts.drift_ppm,
        "drift_std_ppm": facts.drift_std_ppm,
        "correction_s": facts.correction_s,
    }
