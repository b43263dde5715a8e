"""`twin backup` and `twin restore`: a data folder's copy, and the way back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.own_files import own_files
from twin.commands.printing import print_json, say


def back_up_folder(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to make; must not exist.")
    ],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Copy journal, snapshots, registry, quarantine and store, also beside a running service."""
    from importlib.metadata import version

    import apsw

    from twin.commands.place import config_at
    from twin.runtime.backup import BackupUnusable, back_up

    place = config_at(config, data_dir)
    with own_files(), failing(OSError, apsw.Error), wrong_input(BackupUnusable, FileExistsError):
        made = back_up(place.data_dir, out.absolute(), version("wearable-twin"), time.time_ns())
    size = sum(size for size, _ in made.files.values())
    if as_json:
        print_json({"out": str(out), "at": made.at, "files": len(made.files), "bytes": size})
    say(f"{len(made.files)} files, {size} bytes in {out}")


def restore_folder(
    backup: Annotated[Path, path_argument(metavar="BACKUP", help="Folder of `twin backup`.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Data folder to make.")
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Make a data folder of a backup; the folder must be empty or not be there.

    What came after the backup is lost, and the journal says so: an alarm until it is trimmed.
    """
    import apsw

    from twin.runtime.backup import BackupUnusable, restore

    if data_dir is not None and config is not None:
        raise WrongInput("--data-dir and --config: expected one of them, got both")
    folder = data_dir if data_dir is not None else _folder_of(config)
    with own_files(), failing(OSError, apsw.Error), wrong_input(BackupUnusable, FileExistsError):
        made = restore(backup, folder.expanduser().absolute(), time.time_ns)
    if as_json:
        print_json({"data_dir": str(folder), "at": made.at, "files": len(made.files)})
    say(f"the state of {made.at} is in {folder}; what came after it is reported as lost")


def _folder_of(config: Path | None) -> Path:
    from twin.commands.place import checked_config

    if config is None:
        raise WrongInput("expected --data-dir DIR or --config FILE: where to restore to")
    return checked_config(config).data_dir
