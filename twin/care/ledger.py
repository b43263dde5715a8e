"""Per device: how many of its observations were received, and what became of them.

What reached the journal is as the worker counted it (`twin.intake.ledger`, known here by
`twin.care.told`). What ingest refused never came into the journal; the quarantine counts it. Page,
API, command and metrics show the same account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twin.care.facts import DeviceFacts
from twin.device_report import Silence


@dataclass(frozen=True, slots=True)
class Account:
    """One device's observations by verdict, on all its patients; last_received is int64 ns UTC.

    patient: whom its newest observation was about. refused: by the twin, by reason. Of its numbered
    messages: missing, still_open (not come yet), redelivered; restarts of its count.
    """

    device: str
    patient: str
    last_received: int
    accepted: int
    belated: int
    duplicate: int
    conflict: int
    refused: Mapping[str, int]
    missing: int
    still_open: int
    redelivered: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """One device's observations: received = refused by ingest + journalled; journalled = duplicate
    + conflict + belated + refused by the twin + estimated + what the twin has not taken yet.

    refused: by ingest and twin, by reason. stored: what the store has of it, None: it cannot be
    asked. difference: in the journal, to be in the store, and not there (yet).
    """

    received: int
    journalled: int
    duplicate: int
    conflict: int
    belated: int
    refused: Mapping[str, int]
    estimated: int
    stored: int | None
    difference: int | None


#: Silences of devices that speak.
SPEAKS = frozenset({Silence.CLOCK.word, Silence.UNUSABLE.word})


def main_reason(silence: str, refused: Mapping[str, int]) -> str | None:
    """For what a device that speaks in vain is refused most, by ingest's counts."""
    if silence not in SPEAKS or not refused:
        return None
    return max(refused, key=lambda reason: refused[reason])


_NOTHING = Account("", "", 0, 0, 0, 0, 0, {}, 0, 0, 0, 0)


def accounts_of(facts: Iterable[DeviceFacts]) -> Mapping[str, Account]:
    """device → its account, in order of first appearance."""
    of: dict[str, list[DeviceFacts]] = {}
    for one in facts:
        of.setdefault(one.device, []).append(one)
    return {device: account for device, each in of.items() if (account := account_of(each))}


def ledger_of(
    account: Account | None, by_ingest: Mapping[str, int], stored: int | None, waiting: int = 0
) -> Ledger:
    """account: None where the twin has seen nothing of it. by_ingest: refused, by reason. waiting:
    in the journal, not taken by the twin."""
    said = account or _NOTHING
    apart = said.duplicate + said.conflict + sum(said.refused.values())
    journalled = said.accepted + said.belated + apart + waiting
    return Ledger(
        received=journalled + sum(by_ingest.values()),
        journalled=journalled,
        duplicate=said.duplicate,
        conflict=said.conflict,
        belated=said.belated,
        refused=dict(Counter(by_ingest) + Counter(said.refused)),
        estimated=said.accepted,
        stored=stored,
        difference=None if stored is None else journalled - apart - stored,
    )


def account_of(facts: Sequence[DeviceFacts]) -> Account | None:
    """One device's, of its facts on each of its patients; None: there are none."""
    if not facts:
        return None
    newest = max(facts, key=lambda one: one.last_received)
    refused: Counter[str] = Counter()
    for one in facts:
        refused.update(one.refused)
    return Account(
        newest.device,
        newest.patient,
        newest.last_received,
        sum(one.accepted for one in facts),
        sum(one.belated for one in facts),
        sum(one.duplicate for one in facts),
        sum(one.conflict for one in facts),
        dict(refused),
        sum(one.missing for one in facts),
        sum(one.still_open for one in facts),
        sum(one.redelivered for one in facts),
        sum(one.restarts for one in facts),
    )
