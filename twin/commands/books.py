"""What the durable records say of every device's observations: the sources of the ledger.

What the worker counted (the live feed's saved fold and the estimates journal after it), the
observations that it has not committed, the quarantine, the store's position and counts. Works
beside a running service, and without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from ingest.journal.sqlite import SqliteJournal
from ingest.observation import ObservationBatch, RecordDamaged, decode_record
from twin.care.facts import DeviceFacts, by_device
from twin.care.latest import Latest
from twin.care.ledger import Account, accounts_of
from twin.care.saved import load_fold
from twin.commands.place import opened_journal, quarantine_of, registry_of
from twin.commands.printing import say
from twin.config import Config
from twin.device_report import DeviceReports
from twin.estimate import EstimateBatch, Kind, Verdict, decode_output
from twin.store.embedded import EmbeddedStore

_RECORDS = 500
#: How often the worker may commit while we read before we take what we have.
_PATIENCE = 5


@dataclass(slots=True)
class Books:
    """Counts by device.

    facts: what the worker last reported of a device: silence, clock. waiting: in the journal, not
    committed by the worker. unwritten: estimated, after the store's position. stored None: no store
    could be asked.
    """

    accounts: Mapping[str, Account]
    facts: Mapping[str, DeviceFacts]
    bound: Mapping[str, str | None]
    refused: Mapping[str, Mapping[str, int]]
    stored: Mapping[str, int] | None
    waiting: Counter[str] = field(default_factory=Counter)
    unwritten: Counter[str] = field(default_factory=Counter)
    damaged: int = 0


def read_books(config: Config) -> Books:
    """Everything, as of now. Raises apsw.Error, JournalDamaged, StoreDamaged, OSError."""
    paths = config.paths
    with closing(registry_of(config)) as registry:
        bound = {each.device: each.patient for each in registry.devices()}
    with closing(quarantine_of(config)) as quarantine:
        refused = quarantine.by_device()
    position, stored = _stored(config)
    fold = load_fold(paths.care)
    books = Books({}, {}, bound, refused, stored)
    with opened_journal(config) as journal:
        _read_journal(journal, fold, position, books)
    facts = fold.told.facts()
    books.facts, books.accounts = by_device(facts), accounts_of(facts)
    return books


def _stored(config: Config) -> tuple[int, Mapping[str, int] | None]:
    """The first store's position and counts."""
    from twin.runtime.parts import influx_settings
    from twin.store.influx_reading import InfluxHistory
    from twin.store.progress_file import ProgressFile
    from twin.store.protocol import StoreUnavailable

    if config.store.kinds[0] == "embedded":
        if not config.paths.store.exists():
            return 0, {}
        with EmbeddedStore(config.paths.store, readonly=True) as store:
            return store.reading.stored_at()
    try:
        with closing(ProgressFile(config.paths.influx_progress)) as progress:
            return progress.position, InfluxHistory(influx_settings(config)).stored()
    except StoreUnavailable as why:
        say(f"influx: {why}")
        return 0, None


def _read_journal(journal: SqliteJournal, fold: Latest, stored: int, books: Books) -> None:
    """Count the estimates after the saved fold and the observations after the worker's commit.

    A commit moves observations from the second to the first; so both are read between two commits,
    or, should it never rest, as near to it as that goes.
    """
    after = fold.position
    with closing(journal.reader("estimates", min(after, stored))) as reader:
        for _ in range(_PATIENCE):
            committed = journal.committed()
            while entries := reader.read(_RECORDS, 0.0):
                for entry in entries:
                    _count(entry.record, entry.position, after, stored, fold, books)
            if journal.committed() == committed:
                break
    lowest = min(committed.values())
    with closing(journal.reader("observations", lowest)) as reader:
        while entries := reader.read(_RECORDS, 0.0):
            for entry in entries:
                if entry.position > committed.get(entry.partition, lowest):
                    books.waiting.update(_devices(entry.record))


def _count(
    record: bytes, position: int, after: int, stored: int, fold: Latest, books: Books
) -> None:
    try:
        output = decode_output(record)
    except RecordDamaged:
        books.damaged += 1
        return
    if position > after and isinstance(output, DeviceReports | EstimateBatch):
        fold.told.fold(output)
    if position > stored and isinstance(output, EstimateBatch):
        rows = output.rows[output.rows["kind"] == Kind.VERDICT]
        to_store = np.isin(rows["verdict"], (Verdict.ACCEPTED, Verdict.BELATED))
        books.unwritten.update(output.devices[n] for n in rows["device"][to_store].tolist())


def _devices(record: bytes) -> list[str]:
    """The device of each observation of a record; of a damaged one none, it is never stepped."""

    try:
        batch = decode_record(record)
        if isinstance(batch, ObservationBatch):
            return [batch.devices[n] for n in batch.table()["device"].tolist()]
    except RecordDamaged:
        pass
    return []
