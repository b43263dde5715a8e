"""`twin patients consent` and `withdraw`: on what basis a patient's data may be kept."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import format_instant
from twin.commands.options import ConfigFile, DataDir, Json, instant
from twin.commands.place import config_at, opened_registry
from twin.commands.printing import print_columns, print_json, print_line

if TYPE_CHECKING:
    from ingest.binding import Binding
    from ingest.consent import Basis
    from twin.config import Config

Patient = Annotated[str, typer.Argument(metavar="ID", help="The patient's pseudonym.")]


def give_consent(
    patient: Patient,
    basis: Annotated[
        str | None,
        typer.Option(
            metavar="BASIS",
            help="consent, care, vital_interest, legal_obligation or research. Without it, what "
            "is registered is listed.",
        ),
    ] = None,
    signals: Annotated[
        str | None,
        typer.Option(metavar="CODES", help="Like heart_rate,spo2; without it, all signals."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="First stamp; without it, the beginning."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="End; without it, open.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register on what basis a patient's data may be kept, and which.

    It must hold at the stamp of a measurement and now; what has none is counted and never stored.
    """
    from ingest.consent import Basis
    from ingest.registry_devices import consent

    codes = frozenset(each.strip() for each in (signals or "").split(",")) - {""}
    began, ended = instant(start, "--from"), instant(end, "--until")
    with opened_registry(config, data_dir, to_read=basis is None) as registry:
        if basis is not None:
            consent(registry, Basis(patient, basis, codes, began, ended), "command")
        _show(patient, registry.content.bases.get(patient, ()), as_json)


def withdraw_consent(
    patient: Patient,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End every basis of a patient now. Nothing more is kept; what waits in quarantine goes."""
    from ingest.registry_devices import withdraw

    with opened_registry(config, data_dir) as registry:
        ended = withdraw(registry, patient, "command")
        worn = [each for each in registry.bindings() if each.patient == patient]
    erased = _erase(config_at(config, data_dir), worn)
    if as_json:
        print_json({"id": patient, "ended": [_in_json(each) for each in ended], "erased": erased})
    else:
        print_line(
            f"{patient}: {len(ended)} bases ended, nothing more is kept; "
            f"{erased} messages erased from quarantine"
        )


def _erase(place: Config, worn: list[Binding]) -> int:
    from ingest.quarantine import Quarantine
    from twin.commands.quarantine import erase_worn

    if not place.paths.quarantine.exists():
        return 0
    settings = place.ingest_settings().quarantine
    with closing(Quarantine(place.paths.quarantine, settings)) as quarantine:
        return sum(erase_worn(quarantine, worn).values())


def _show(patient: str, bases: tuple[Basis, ...], as_json: bool) -> None:
    if as_json:
        print_json({"id": patient, "bases": [_in_json(each) for each in bases]})
        return
    rows = [
        (each.kind, " ".join(sorted(each.signals)) or "all", _at(each.start), _at(each.end))
        for each in bases
    ]
    print_columns(("basis", "signals", "from", "until"), rows)


def _in_json(basis: Basis) -> dict[str, object]:
    return {
        "basis": basis.kind,
        "signals": sorted(basis.signals) or None,
        "from": _at(basis.start),
        "until": _at(basis.end),
    }


def _at(time_ns: int | None) -> str | None:
    return None if time_ns is None else format_instant(time_ns)
