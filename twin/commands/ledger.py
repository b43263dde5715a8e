"""`twin devices ledger`: per device, what was received and where each observation is now."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import format_instant
from twin.commands.failure import WrongInput, failing
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.printing import counted, print_columns, print_json, print_line, say

if TYPE_CHECKING:
    from twin.care.facts import DeviceFacts
    from twin.care.ledger import Account, Ledger
    from twin.commands.books import Books


@dataclass(frozen=True, slots=True)
class _Line:
    """One device. Its difference is what is on its way, and the rest: belated observations that
    came again (they overwrite their own key), or a loss."""

    device: str
    patient: str | None
    ledger: Ledger
    account: Account | None
    facts: DeviceFacts | None
    waiting_for_twin: int
    waiting_for_store: int

    @property
    def rest(self) -> int:
        return (self.ledger.difference or 0) - self.waiting_for_twin - self.waiting_for_store


def print_ledger(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE]...", help="Without any, all devices.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """What became of every observation: refused, estimated, stored, and the difference."""
    import apsw

    from ingest.journal.protocol import JournalDamaged
    from twin.commands.books import read_books
    from twin.commands.place import config_at
    from twin.store.sqlite_file import StoreDamaged

    with failing(apsw.Error, JournalDamaged, StoreDamaged, OSError):
        books = read_books(config_at(config, data_dir))
    lines = _lines(books, devices)
    if books.damaged:
        say(f"{books.damaged} damaged records of the estimates journal are not counted")
    if as_json:
        print_json({"devices": [_in_json(line) for line in lines]})
    else:
        _print(lines)


def _lines(books: Books, asked: list[str] | None) -> list[_Line]:
    """Of these devices, of all without any; raises WrongInput for one that nothing is known of."""
    known = {*books.accounts, *books.bound, *books.refused, *books.waiting} - {""}
    for device in asked or ():
        if device not in known:
            raise WrongInput(f"{device}: nothing is known of such a device")
    return [_line(books, device) for device in sorted({*asked} if asked else known)]


def _line(books: Books, device: str) -> _Line:
    from twin.care.ledger import ledger_of

    account, waiting = books.accounts.get(device), books.waiting[device]
    stored = None if books.stored is None else books.stored.get(device, 0)
    return _Line(
        device,
        books.bound.get(device) or (account.patient if account else None),
        ledger_of(account, books.refused.get(device, {}), stored, waiting),
        account,
        books.facts.get(device),
        waiting,
        books.unwritten[device],
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
                line.ledger.received,
                sum(line.ledger.refused.values()),
                line.ledger.journalled,
                line.ledger.duplicate,
                line.ledger.conflict,
                line.ledger.belated,
                line.ledger.estimated,
                line.ledger.stored,
                line.ledger.difference,
                line.account.missing if line.account else 0,
                line.facts.silence if line.facts else "",
                _clock(line.facts),
            )
            for line in lines
        ],
    )
    for line in lines:
        told = itertools.chain(
            ["refused: " + counted(line.ledger.refused)] if line.ledger.refused else [],
            _explained(line),
        )
        for each in told:
            print_line(f"{line.device}: {each}")


def _clock(facts: DeviceFacts | None) -> str:
    """By how much its stamps lead their receipt, as `-0.4 ± 0.1 s`; "" while nothing is known."""
    if facts is None or facts.offset_s is None or facts.offset_std_s is None:
        return ""
    return f"{facts.offset_s:+.1f} ± {facts.offset_std_s:.1f} s"


def _of_messages(account: Account) -> list[str]:
    """What its own numbers tell that is in no column."""
    told = []
    if account.still_open:
        told.append(f"{account.still_open} numbers have not come yet, missing after 60 s")
    if account.redelivered:
        told.append(f"{account.redelivered} messages came more than once")
    if account.restarts:
        told.append(f"its count began anew {account.restarts} times")
    return told


def _of_the_device(facts: DeviceFacts) -> list[str]:
    """Silence and a clock that is set right."""
    told = []
    if facts.silence:
        since = f" since {format_instant(facts.since)[:19]}Z" if facts.since else ""
        told.append(f"silent: {facts.silence}{since}")
    if facts.correction_s:
        told.append(f"{facts.correction_s:+.1f} s are taken from its stamps")
    return told


def _explained(line: _Line) -> list[str]:
    of_messages = _of_messages(line.account) if line.account else []
    of_device = _of_the_device(line.facts) if line.facts else []
    return [*_difference(line), *of_messages, *of_device]


def _difference(line: _Line) -> list[str]:
    if line.ledger.difference is None:
        return ["the store did not answer"]
    told = []
    if line.waiting_for_twin:
        told.append(f"{line.waiting_for_twin} in the journal, not yet taken by the twin")
    if line.waiting_for_store:
        told.append(f"{line.waiting_for_store} estimated, not yet written to the store")
    if 0 < line.rest <= line.ledger.belated:
        told.append(f"{line.rest} belated ones came more than once: each is stored once")
    elif line.rest:
        told.append(f"{line.rest} unexplained")
    return told


def _in_json(line: _Line) -> dict[str, object]:
    received = line.account.last_received if line.account else 0
    return {
        "id": line.device,
        "patient": line.patient,
        "last_received": format_instant(received) if received else None,
        "ledger": dataclasses.asdict(line.ledger),
        "numbers": _numbers(line.account),
        "silence": _silence(line.facts),
        "clock": _clock_in_json(line.facts),
        "explained": _explained(line),
    }


def _numbers(account: Account | None) -> dict[str, int] | None:
    """Of its numbered messages; None: the worker has not reported it."""
    if account is None:
        return None
    return {
        "missing": account.missing,
        "open": account.still_open,
        "redelivered": account.redelivered,
        "restarts": account.restarts,
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
