"""Which data folder an operational command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.failure import WrongInput, wrong_input
from twin.commands.printing import say
from twin.config import Config, default_data_dir
from twin.config_file import ConfigError, read_config

if TYPE_CHECKING:
    from ingest.journal.sqlite import SqliteJournal


def config_at(config: Path | None, data_dir: Path | None) -> Config:
    """The configuration, whose data folder exists.

    Of the file, or the default one with the folder given; with neither the folder of `twin run`,
    else that of `twin demo`, and stderr says which.
    """
    found = _config(config, data_dir)
    if not found.data_dir.is_dir():
        raise WrongInput(f"{found.data_dir}: no such data folder")
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
    with wrong_input(PartitionsDiffer):
        allowed = dict.fromkeys(TOPICS, config.journal.max_bytes)
        journal = SqliteJournal(folder, config.journal.partitions, allowed)
    try:
        yield journal
    finally:
        journal.close()


def _config(config: Path | None, data_dir: Path | None) -> Config:
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
    try:
        return read_config(path)
    except ConfigError as error:
        raise WrongInput("\n".join(map(str, (error, *error.others)))) from error
