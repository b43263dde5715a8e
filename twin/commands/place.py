"""Which data folder an operational command works on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.own_files import own_files
from twin.commands.printing import say

if TYPE_CHECKING:
    from ingest.journal.sqlite import SqliteJournal
    from ingest.onboarding import Onboarding
    from ingest.quarantine import Quarantine
    from ingest.registry import Registry
    from twin.config import Config


def config_at(config: Path | None, data_dir: Path | None) -> Config:
    """The configuration, whose data folder exists.

    Of the file, or the default one with the folder given; with neither the folder of `twin run`,
    else that of `twin demo`, and stderr says which.
    """
    from ingest.declared import recall

    found = _config(config, data_dir)
    if not found.data_dir.is_dir():
        raise WrongInput(f"{found.data_dir}: no such data folder")
    with failing(OSError), wrong_input(ValueError):
        recall(found.paths.signals)
    return found


def present(path: Path, what: str) -> Path:
    """The path, which exists; else exit code 2 with what is missing."""
    if not path.exists():
        raise WrongInput(f"{path.parent}: there is no {what} here yet")
    return path


@contextmanager
def opened_journal(config: Config) -> Iterator[SqliteJournal]:
    """The journal of the data folder; another number of partitions is wrong input."""
    from ingest.journal.protocol import PartitionsDiffer
    from ingest.journal.sqlite import TOPICS, SqliteJournal

    folder = present(config.paths.journal, "journal")
    with own_files(), wrong_input(PartitionsDiffer):
        allowed = dict.fromkeys(TOPICS, config.journal.max_bytes)
        journal = SqliteJournal(folder, config.journal.partitions, allowed)
    try:
        yield journal
    finally:
        journal.close()


def registry_of(config: Config) -> Registry:
    """The registry of a configuration's data folder, to be closed."""
    from ingest.registry import Registry

    with own_files():
        return Registry(config.paths.registry, config.ingest_settings().devices, time.time_ns)


def quarantine_of(config: Config) -> Quarantine:
    """The quarantine of a configuration's data folder, to be closed."""
    from ingest.quarantine import Quarantine

    with own_files():
        return Quarantine(config.paths.quarantine, config.ingest_settings().quarantine)


@contextmanager
def opened_registry(
    config: Path | None, data_dir: Path | None, *, to_read: bool = False
) -> Iterator[Registry]:
    """The registry of a data folder; what it refuses is wrong input.

    to_read: it must be there; else it is made.
    """
    import apsw

    from ingest.database import DatabaseUnusable
    from ingest.registry import RegistryRefused

    place = config_at(config, data_dir)
    if to_read:
        present(place.paths.registry, "registry")
    with (
        failing(apsw.Error, DatabaseUnusable),
        wrong_input(RegistryRefused),
        closing(registry_of(place)) as registry,
    ):
        yield registry


@contextmanager
def opened_desk(
    config: Path | None, data_dir: Path | None, *, to_read: bool = False
) -> Iterator[tuple[Registry, Quarantine]]:
    """Registry and quarantine of a data folder. to_read: the registry must be there."""
    place = config_at(config, data_dir)
    with (
        opened_registry(config, data_dir, to_read=to_read) as registry,
        closing(quarantine_of(place)) as quarantine,
    ):
        yield registry, quarantine


@contextmanager
def opened_onboarding(config: Path | None, data_dir: Path | None) -> Iterator[Onboarding]:
    """Registry, quarantine and journal of a data folder; what the registry refuses is wrong input,
    a full journal is a failure."""
    from ingest.journal.protocol import JournalFull
    from ingest.onboarding import Onboarding

    place = config_at(config, data_dir)
    with (
        failing(JournalFull, OSError),
        opened_journal(place) as journal,
        opened_desk(config, data_dir) as (registry, quarantine),
    ):
        yield Onboarding(registry, quarantine, journal, place.ingest_settings())


def _config(config: Path | None, data_dir: Path | None) -> Config:
    from twin.config import Config
    from twin.config_paths import default_data_dir

    if config is not None:
        if data_dir is not None:
            raise WrongInput("--data-dir and --config: expected one of them, got both")
        return checked_config(config)
    if data_dir is not None:
        return Config(data_dir=data_dir.expanduser().absolute())
    folders = default_data_dir("run"), default_data_dir("demo")
    for folder in folders:
        if folder.is_dir():
            say(f"data folder {folder}")
            return Config(data_dir=folder)
    where = " nor ".join(str(folder) for folder in folders)
    raise WrongInput(f"no data folder: neither {where} exists; use --data-dir or --config")


def checked_config(path: Path) -> Config:
    """The configuration of a file, or exit code 2 with all that is wrong with it."""
    from twin.config_file import ConfigError, read_config

    try:
        return read_config(path)
    except ConfigError as error:
        raise WrongInput("\n".join(map(str, (error, *error.others)))) from error
