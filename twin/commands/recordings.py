"""Recordings and references as `twin validate` is given them: files of several people, joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.recording import Recording, read_recording
from twin.commands.failure import WrongInput
from twin.estimation.comparators import device_label
from twin.estimation.pairing import Key, Readings, readings, subset


@dataclass(frozen=True, slots=True)
class People:
    """Recordings as one. labels: patient → how a report calls the person, by the file's name."""

    recording: Recording
    labels: Mapping[str, str]


def people(
    paths: Sequence[Path], wide: Mapping[str, str] | None, time_column: str | None
) -> People:
    """Read the files; who has the same id in two files is one person. Raises RecordingError.

    Two files of one name that name no patient would become one person without anybody meaning it.
    """
    read = [read_recording(path, wide, time_column) for path in paths]
    labels: dict[str, str] = {}
    unnamed: set[str] = set()
    for path, recording in zip(paths, read, strict=True):
        stem = path.name.split(".")[0] or path.name
        patients = list(dict.fromkeys(recording.patient))
        if patients == [stem]:
            if stem in unnamed:
                raise WrongInput(
                    f"{path}: another recording is called {stem!r}, too: expected different names, "
                    "or a column `patient`"
                )
            unnamed.add(stem)
        for n, patient in enumerate(patients, 1):
            label = stem if len(patients) == 1 else f"{stem} #{n}"
            same = sum(label == each.partition(" (")[0] for each in labels.values())
            labels.setdefault(patient, f"{label} ({same + 1})" if same else label)
    return People(joined(read), labels)


def joined(recordings: Sequence[Recording]) -> Recording:
    """One after the other; what was refused is added up."""
    refused: Counter[str] = Counter()
    for each in recordings:
        refused.update(each.refused)
    return Recording(
        [patient for each in recordings for patient in each.patient],
        [device for each in recordings for device in each.device],
        [signal for each in recordings for signal in each.signal],
        value=np.concatenate([each.value for each in recordings]),
        measured_at=np.concatenate([each.measured_at for each in recordings]),
        received_at=np.concatenate([each.received_at for each in recordings]),
        noise_std=np.concatenate([each.noise_std for each in recordings]),
        quality=np.concatenate([each.quality for each in recordings]),
        line=np.concatenate([each.line for each in recordings]),
        blank=sum(each.blank for each in recordings),
        refused=dict(refused),
    )


def withheld(recording: Recording, device: str) -> tuple[Recording, Mapping[Key, Readings]]:
    """The recording without this device, whose readings are the reference. Raises WrongInput."""
    labels = [
        device_label(each, patient)
        for each, patient in zip(recording.device, recording.patient, strict=True)
    ]
    chosen = np.array(
        [device in (each, label) for each, label in zip(recording.device, labels, strict=True)],
        bool,
    )
    if not chosen.any():
        seen = ", ".join(sorted(set(labels))[:20])
        raise WrongInput(f"--reference-device: got {device!r}, expected one of {seen}")
    rest = subset(recording, np.flatnonzero(~chosen))
    rest = replace(rest, blank=recording.blank, refused=recording.refused)
    return rest, readings(recording, np.flatnonzero(chosen))


def reference_columns(
    paths: Sequence[Path], wide: Mapping[str, str], time_column: str | None
) -> Mapping[Key, Readings]:
    """Readings of other columns of the recordings' own files. Raises RecordingError."""
    return readings(joined([read_recording(path, wide, time_column) for path in paths]))


def reference_file(path: Path, recording: Recording) -> Mapping[Key, Readings]:
    """Readings of a long file; of one person where neither names any. Raises RecordingError."""
    patients = set(recording.patient)
    only = next(iter(patients)) if len(patients) == 1 else None
    found = readings(read_recording(path, patient=only))
    wanted = set(zip(recording.patient, recording.signal, strict=True))
    if not wanted & found.keys():
        raise WrongInput(
            f"{path}: got no reading of a patient and signal of the recordings, expected the same "
            "ids in its column `patient`"
        )
    return found


def reference_for(
    recording: Recording,
    paths: Sequence[Path],
    file: Path | None,
    device: str | None,
    wide: Mapping[str, str] | None,
    time_column: str | None,
) -> tuple[str, Recording, Mapping[Key, Readings] | None]:
    """What the reference is in words, what the twin gets, what it is judged by."""
    if file is not None:
        return f"readings in {file.name}", recording, reference_file(file, recording)
    if device is not None:
        rest, truth = withheld(recording, device)
        return f"the device {device}, withheld from the twin", rest, truth
    if wide is not None:
        return (
            f"column {', '.join(wide)}",
            recording,
            reference_columns(paths, wide, time_column),
        )
    return "the recording's own later readings", recording, None
