"""A copy of the twin's state to ask questions of. It leads nowhere; nothing live knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.journal.protocol import partition_of
from ingest.recording import Recording
from twin.assessment.activity_response import ActivityResponse
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.models import ModelFile, base_model
from twin.estimation.names import Names
from twin.estimation.replay import refusals
from twin.part import Seen
from twin.snapshot import SnapshotFolder, SnapshotUnreadable, position_in, restore
from twin.step import new_state


@dataclass(frozen=True, slots=True)
class Branch:
    """bank: nobody else's. devices: ids of devices by the bank's numbers. responses: how its
    patients' hearts answer activity."""

    bank: Bank
    devices: Sequence[str]
    responses: ActivityResponse


def branch_of_recording(
    recording: Recording, until: int | None = None, model: ModelFile | None = None
) -> Branch:
    """The state after all that was measured before `until` (ns UTC; None: all of it), in order."""
    bank, devices = Bank(model or base_model()), Names()
    order = np.lexsort((np.arange(len(recording)), recording.received_at, recording.measured_at))
    order = order[refusals(recording, order, bank).usable]
    if until is not None:
        order = order[recording.measured_at[order] < until]
    patient = np.array([bank.number_of(recording.patient[i]) for i in order], np.int64)
    signal = np.array([SIGNAL_ROW[recording.signal[i]] for i in order], np.int64)
    events = Events(
        bank.find(patient, signal),
        recording.measured_at[order],
        recording.value[order],
        recording.noise_std[order],
        recording.quality[order],
        np.array([devices.number(recording.device[i]) for i in order], np.int32),
    )
    updated, responses = bank.update(events), ActivityResponse(bank)
    responses.observe(
        Seen(
            patient,
            signal,
            events.slot,
            events.device.astype(np.int64),
            events.value,
            events.quality,
            events.stamp,
            recording.received_at[order],
            updated,
        )
    )
    return Branch(bank, devices.text, responses)


def branch_of_snapshots(folder: Path, partitions: int, patient: str) -> Branch:
    """The state of the newest readable snapshot of the patient's partition, about a minute old.

    A running worker is not disturbed. Raises SnapshotUnreadable: there is none at all.
    """
    state, files = new_state(partitions), SnapshotFolder(folder)
    partition = partition_of(patient, partitions)
    names = [path.name for path in folder.glob(f"p{partition:03d}-*") if not path.suffix]
    for name in sorted(names, key=position_in, reverse=True):
        try:
            restore(state, name, files.read(name))
        except SnapshotUnreadable:
            state.forget(partition)
            continue
        responses = next(part for part in state.parts if isinstance(part, ActivityResponse))
        return Branch(state.bank, state.devices.text, responses)
    raise SnapshotUnreadable(str(folder), "no readable snapshot there yet")
