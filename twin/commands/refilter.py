"""`twin refilter`: the record is filtered again, in order, and its estimates written anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.options import ConfigFile, DataDir, Json, instant
from twin.commands.printing import print_json, print_line

if TYPE_CHECKING:
    from twin.config import Config
    from twin.runtime.refilter import RefilterJob, Run

_BEGINNING = -(1 << 62)


def refilter_record(
    patient: Annotated[str | None, typer.Option(metavar="ID", help="Only this patient's.")] = None,
    signal: Annotated[str | None, typer.Option(metavar="CODE", help="Only this signal.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Stamps from this on; else all.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Filter the record of the stores again, as the background job does by itself.

    Beside a running service the service does it: it is asked, and begins within seconds.
    """
    import apsw

    from twin.commands.place import config_at
    from twin.store.protocol import StoreUnavailable
    from twin.store.sqlite_file import StoreDamaged

    place, since = config_at(config, data_dir), instant(start, "--from")
    answers = []
    with failing(StoreDamaged, StoreUnavailable, apsw.Error, OSError):
        for kind in place.store.kinds:
            keys = _ask(place, kind, patient, signal, _BEGINNING if since is None else since)
            answers.append((kind, keys, _run(place, kind)))
    if as_json:
        print_json({"stores": [_told(*answer) for answer in answers]})
        return
    for kind, keys, runs in answers:
        print_line(_words(kind, keys, runs))


def _file(place: Config, kind: str) -> Path:
    from twin.commands.place import present

    paths = place.paths
    path = paths.store if kind == "embedded" else paths.influx_record
    return present(path, f"record of the {kind} store")


def _ask(place: Config, kind: str, patient: str | None, signal: str | None, since: int) -> int:
    from twin.store.sqlite_file import open_store
    from twin.store.strayed import ask, prepare

    connection = open_store(_file(place, kind), readonly=False)
    try:
        prepare(connection)
        keys = ask(connection, patient, signal, since)
    finally:
        connection.close()
    if not keys:
        raise WrongInput(f"{kind}: nothing is recorded of this patient and signal")
    return keys


def _run(place: Config, kind: str) -> list[Run] | None:
    """What was done; None: the service runs, and does it."""
    from twin.store.sqlite_file import StoreInUse

    try:
        with _job(place, kind) as job:
            return job.run_all()
    except StoreInUse:
        return None


@contextmanager
def _job(place: Config, kind: str) -> Iterator[RefilterJob]:
    from twin.estimation.models import ModelError
    from twin.runtime.parts import model_of, opened_influx, refilters_of
    from twin.store.embedded import EmbeddedStore

    with wrong_input(ModelError):
        model = model_of(place)
    if kind == "embedded":
        with EmbeddedStore(place.paths.store) as embedded:
            yield refilters_of(embedded, None, model)[kind]
    else:
        with opened_influx(place) as influx:
            yield refilters_of(None, influx, model)[kind]


def _told(kind: str, keys: int, runs: list[Run] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"store": kind, "asked": keys, "running": runs is None}
    told["done"] = [
        {
            "patient": run.patient,
            "signal": run.signal,
            "anchor": None if run.anchor is None else _time(run.anchor),
            "forgotten": run.forgotten,
            "estimates": run.rows,
        }
        for run in runs or ()
    ]
    return told


def _time(stamp: int) -> str:
    from ingest.instant import format_instant

    return format_instant(stamp)


def _words(kind: str, keys: int, runs: list[Run] | None) -> str:
    if runs is None:
        return f"{kind}: the running service was asked for {keys} signals; it begins within seconds"
    estimates, cut = sum(run.rows for run in runs), sum(run.forgotten for run in runs)
    begun = f", {cut} from where retention left off" if cut else ""
    return f"{kind}: {len(runs)} signals, {estimates} estimates written anew{begun}"
