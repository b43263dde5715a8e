"""A model as the text of a model file: what `parse_model` reads back to the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields

from ingest.catalogue import Signal
from twin.estimation.device_tables import DeviceNoise, DeviceTable
from twin.estimation.models import ModelFile
from twin.estimation.signal_model import SignalModel


def model_text(model: ModelFile, name: str, version: str, note: str) -> str:
    """The whole model under another name; note: a comment at the head, lines of their own."""
    lines = [*(f"# {line}" for line in note.splitlines())]
    lines += [f"name = {json.dumps(name)}", f"version = {json.dumps(version)}"]
    declared = {signal.code: signal for signal in model.declared}
    for code, constants in model.signals.items():
        lines += ["", f"[signal.{code}]", *_constants(constants)]
        if code in declared:
            lines += ["", f"[signal.{code}.catalogue]", *_catalogue(declared[code])]
    for device in model.devices:
        lines += _device(device)
    return "\n".join(lines) + "\n"


def _constants(model: SignalModel) -> Iterator[str]:
    for each in fields(SignalModel):
        value = getattr(model, each.name)
        if each.default is not MISSING and value == each.default:
            continue
        if each.name == "calibration":
            value = [list(row) for row in value]
        yield f"{each.name} = {json.dumps(value, ensure_ascii=False)}"


def _device(table: DeviceTable) -> Iterator[str]:
    name = json.dumps(table.pattern, ensure_ascii=False)
    yield from ("", f"[device.{name}]", f"delay = {json.dumps(table.delay)}")
    yield f"source = {json.dumps(table.source, ensure_ascii=False)}"
    for code, noise in table.signals.items():
        yield from ("", f"[device.{name}.{code}]")
        for each in fields(DeviceNoise):
            if getattr(noise, each.name) != each.default:
                yield f"{each.name} = {json.dumps(getattr(noise, each.name))}"


def _catalogue(signal: Signal) -> Iterator[str]:
    said = {
        "unit": signal.unit,
        "loinc": signal.loinc or "none",
        "lower": signal.lower,
        "upper": signal.upper,
        "resolution": signal.resolution,
        "expected_interval": signal.expected_interval_s,
        "spot": signal.spot,
    } | {f"name_{language}": name for language, name in signal.names.items()}
    for key, value in said.items():
        yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
