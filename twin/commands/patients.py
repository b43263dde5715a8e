"""`twin patients`: pseudonyms and the labels that pages show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import failing, wrong_input
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.printing import print_columns, print_json, print_line

if TYPE_CHECKING:
    from ingest.registry import Registry
    from twin.config import Config

app = typer.Typer(no_args_is_help=True, help="Patients and their labels")


def registry_of(config: Config) -> Registry:
    """The registry of a configuration's data folder, to be closed."""
    from ingest.registry import Registry

    return Registry(config.paths.registry, config.ingest_settings().devices, time.time_ns)


@contextmanager
def opened_registry(config: ConfigFile, data_dir: DataDir) -> Iterator[Registry]:
    """The registry of a data folder; what it refuses is wrong input."""
    import apsw

    from ingest.database import DatabaseUnusable
    from ingest.registry import RegistryRefused
    from twin.commands.place import config_at

    place = config_at(config, data_dir)
    with (
        failing(apsw.Error, DatabaseUnusable),
        wrong_input(RegistryRefused),
        closing(registry_of(place)) as registry,
    ):
        yield registry


@app.command("list")
def list_patients(
    config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Every registered patient, with label and devices."""
    with opened_registry(config, data_dir) as registry:
        labels, bound = registry.labels(), registry.devices()
    devices: dict[str, list[str]] = {patient: [] for patient in labels}
    for each in bound:
        if each.patient is not None:
            devices.setdefault(each.patient, []).append(each.device)
    if as_json:
        patients = [
            {"id": patient, "label": labels.get(patient, ""), "devices": worn}
            for patient, worn in sorted(devices.items())
        ]
        print_json({"patients": patients})
    else:
        rows = [(p, labels.get(p, ""), " ".join(d)) for p, d in sorted(devices.items())]
        print_columns(("patient", "label", "devices"), rows)


@app.command("label")
def label_patient(
    patient: Annotated[str, typer.Argument(metavar="ID", help="The patient's pseudonym.")],
    text: Annotated[str, typer.Argument(metavar="LABEL", help='Like "Bed 12"; "" takes it away.')],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give a patient the name that pages show. It never leaves the registry."""
    with opened_registry(config, data_dir) as registry:
        registry.label(patient, text)
        label = registry.labels()[patient]
    if as_json:
        print_json({"id": patient, "label": label})
    else:
        print_line(f"{patient}: {label}")


@app.command("add")
def add_patient(
    label: Annotated[str, typer.Option(help="The name that pages show.")] = "",
    patient: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Pseudonym; without it, a random one.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register a new patient and print the pseudonym."""
    with opened_registry(config, data_dir) as registry:
        made = registry.add_patient(label, patient)
    if as_json:
        print_json({"id": made, "label": label.strip()})
    else:
        print_line(made)
