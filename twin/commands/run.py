"""`twin run`: the pipeline against a real broker and database."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from shutil import disk_usage
from typing import Annotated

import typer

from twin.commands.failure import Failed, WrongInput, failing, wrong_input
from twin.commands.own_files import own_files, seen_by_others
from twin.memory import collector_held

_log = logging.getLogger(__name__)

#: With less than this left, bytes, SQLite's errors are those of a full disk, whatever they say.
_NO_ROOM = 1 << 20


class Role(StrEnum):
    """What a process does."""

    all = "all"
    ingest = "ingest"
    worker = "worker"
    store = "store"
    care = "care"


def run_service(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="See `twin check --example`.")
    ],
    role: Annotated[
        list[Role] | None,
        typer.Option(help="Only this part of the pipeline; may be given several times."),
    ] = None,
    monitor_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, metavar="PORT", help="Instead of monitor.port."),
    ] = None,
) -> None:
    """Run the pipeline, or some roles of it, until SIGTERM or Ctrl-C."""
    with collector_held():
        from twin.commands.place import checked_config

        checked = checked_config(config)
        if monitor_port is not None:
            monitor = checked.monitor.model_copy(update={"port": monitor_port})
            checked = checked.model_copy(update={"monitor": monitor})
        asked = {*(role or [Role.all])}
        roles = asked if Role.all not in asked else {*Role} - {Role.all}
        set_up_log()
        with starting(f"page {checked.care.host}:{checked.care.port}", checked.data_dir):
            from twin.runtime.run import run_pipeline

            code = run_pipeline(checked, frozenset(each.value for each in roles))
    raise typer.Exit(code)


def set_up_log() -> None:
    """What the service logs goes to stderr, without payloads or identities."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


@contextmanager
def starting(page: str, folder: Path) -> Iterator[None]:
    """What keeps a pipeline from starting ends the command with its message, not a traceback.

    What it writes while it runs is for its own user alone; the log says so where the folder is not.
    page: the address, of which the system does not say that it is the one in use; folder: the data
    folder, which SQLite does not name either.
    """
    import apsw

    from ingest.catalogue import SignalConflict
    from ingest.journal.protocol import AlreadyOwned, PartitionsDiffer
    from ingest.registry import RegistryRefused
    from ingest.registry_file import RegistryFileWrong
    from ingest.trace import TracingMissing
    from twin.broker import BrokerFailed
    from twin.estimation.models import ModelError
    from twin.runtime.backup import is_half_restored
    from twin.store.protocol import StoreUnavailable
    from twin.store.sqlite_file import StoreDamaged, StoreInUse

    machine = (AlreadyOwned, BrokerFailed, OSError, StoreDamaged, StoreInUse, StoreUnavailable)
    person = (
        ModelError,
        PartitionsDiffer,
        RegistryFileWrong,
        RegistryRefused,
        SignalConflict,
        TracingMissing,
    )
    with own_files(), failing(*machine), wrong_input(*person):
        if said := seen_by_others(folder):
            _log.warning("%s", said)
        if is_half_restored(folder):
            raise WrongInput(f"{folder}: a `twin restore` was cut off; empty it and restore again")
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                error.filename = error.filename or page
            raise
        except apsw.Error as error:
            full = isinstance(error, apsw.FullError) or disk_usage(folder).free < _NO_ROOM
            why = "no space left on the disk" if full else str(error)
            raise Failed(f"{folder}: {why}") from error
