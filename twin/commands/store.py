"""`twin store`: what the stores keep, what the database is given, what it refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import WrongInput, failing
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.printing import print_columns, print_json, print_line

if TYPE_CHECKING:
    from twin.config import Config
    from twin.store.influx import InfluxSettings

app = typer.Typer(no_args_is_help=True, help="Stores: retention, the database, rejected points")
rejected = typer.Typer(no_args_is_help=True, help="Points that the database refused")
app.add_typer(rejected, name="rejected")


@app.command("init")
def initialise_database(config: ConfigFile = None, as_json: Json = False) -> None:
    """Make the buckets and the downsampling tasks in InfluxDB that are missing."""
    from twin.runtime.retention import kept_of, limits_of
    from twin.store.influx_tasks import initialise
    from twin.store.protocol import StoreUnavailable

    checked, settings = _influx(config)
    with failing(StoreUnavailable):
        made = initialise(settings, kept_of(checked.store.retention), limits_of())
    if as_json:
        print_json({"buckets": made.buckets, "tasks": made.tasks})
        return
    for what, names in (("bucket", made.buckets), ("task", made.tasks)):
        for name in names:
            print_line(f"made {what} {name}")
    if not made.buckets and not made.tasks:
        print_line("everything is there")


@app.command("erase")
def erase_patient(
    patient: Annotated[str, typer.Option(metavar="ID", help="Pseudonym of the patient.")],
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Erase all points of a patient from InfluxDB, rows and windows, and read that back."""
    from twin.store.influx_tasks import erase
    from twin.store.protocol import StoreUnavailable

    _, settings = _influx(config)
    with failing(StoreUnavailable):
        gone = erase(settings, patient)
    if as_json:
        print_json({"erased": gone})
        return
    for bucket, points in gone.items():
        print_line(f"{points} points erased from {bucket}")


@app.command("retention")
def show_retention(
    run: Annotated[
        bool, typer.Option("--run", help="Do it now; the service must not be running.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """What the embedded store's retention did, the newest job first."""
    import apsw
    import msgspec

    from twin.commands.place import config_at, present
    from twin.store.retention import reports
    from twin.store.sqlite_file import StoreDamaged, StoreInUse, open_store

    place = config_at(config, data_dir)
    path = present(place.paths.store, "embedded store")
    with failing(StoreDamaged, StoreInUse, apsw.Error, OSError):
        if run:
            _run_retention(place)
        connection = open_store(path, readonly=True)
        found = reports(connection)
        connection.close()
    if as_json:
        print_json({"reports": [msgspec.to_builtins(each) for each in found]})
        return
    gone = ("observations", "estimates", "logs", "minutes", "quarters", "judgements")
    head = ("at", "windows", *gone)
    rows = [[_when(each.at), *(getattr(each, name) for name in head[1:])] for each in found]
    print_columns(head, rows)


@rejected.command("list")
def list_rejected(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Points that InfluxDB will never take as they are, and why; the newest first."""
    import apsw

    from twin.commands.place import config_at, present
    from twin.store.progress_file import ProgressFile

    path = present(config_at(config, data_dir).paths.influx_progress, "InfluxDB store")
    with failing(apsw.Error):
        progress = ProgressFile(path)
        points, total, expired = progress.points(limit), progress.rejected, progress.expired
        progress.close()
    if as_json:
        told = [{"line": line, "reason": reason} for line, reason in points]
        print_json({"total": total, "expired": expired, "points": told})
        return
    print_columns(("line", "reason"), points)
    print_line(f"{total} rejected, {expired} expired")


@rejected.command("replay")
def replay_rejected(config: ConfigFile = None, as_json: Json = False) -> None:
    """Offer them to InfluxDB again, after the cause is mended; what it takes leaves the list."""
    import apsw

    from twin.commands.place import present
    from twin.store.influx import InfluxSink
    from twin.store.protocol import StoreUnavailable

    checked, settings = _influx(config)
    path = present(checked.paths.influx_progress, "InfluxDB store")
    with failing(StoreUnavailable, apsw.Error), InfluxSink(settings, path) as sink:
        taken, left = sink.replay_rejected()
    if as_json:
        print_json({"taken": taken, "left": left})
        return
    print_line(f"{taken} taken, {left} left")


def _run_retention(place: Config) -> None:
    from twin.runtime.retention import kept_of, limits_of
    from twin.store.embedded import EmbeddedStore
    from twin.store.retention import Retention

    with EmbeddedStore(place.paths.store) as store:
        Retention(store, kept_of(place.store.retention), limits_of()).run(time.time_ns())


def _influx(config: ConfigFile) -> tuple[Config, InfluxSettings]:
    from twin.commands.place import checked_config
    from twin.runtime.parts import influx_settings

    if config is None:
        raise WrongInput("expected --config FILE, which says where the database is")
    checked = checked_config(config)
    if checked.store.influx is None:
        raise WrongInput(f"{config}: store.influx: expected a table, got none")
    return checked, influx_settings(checked)


def _when(instant: int) -> str:
    from ingest.instant import format_instant

    return format_instant(instant)
