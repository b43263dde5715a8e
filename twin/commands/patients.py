"""`twin patients`: pseudonyms and the labels that pages show."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.commands.consents import give_consent, withdraw_consent
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.place import opened_registry
from twin.commands.printing import print_columns, print_json, print_line

app = typer.Typer(no_args_is_help=True, help="Patients and their labels")


@app.command("list")
def list_patients(
    config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Every registered patient, with label and devices."""
    with opened_registry(config, data_dir, to_read=True) as registry:
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


app.command("consent")(give_consent)
app.command("withdraw")(withdraw_consent)
