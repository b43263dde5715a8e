"""A recorded file as messages: at its own pace or faster, stamped as if it happened now."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.fleet.message import Message
from ingest.instant import MILLISECOND
from ingest.recording import Recording

_NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Restamped:
    """When each of n rows is sent and what stamp it carries, ns since the start of the run.

    offset: what was added to every stamp (to an absolute start, add that too): whole milliseconds.
    """

    at: NDArray[np.int64]
    measured_at: NDArray[np.int64]
    offset: int


def restamp(
    measured_at: NDArray[np.int64], received_at: NDArray[np.int64], speed: float
) -> Restamped:
    """Rows sent in the distances of their receipts, divided by speed; all stamps moved by one span.

    At speed 1 the first row received is so moved that its receipt is now; at higher speed the last
    one's falls at the end of the run. Where a stamp would still lie after its own sending (a clock
    that ran ahead), all go back by as much: nothing is ever in the future. Arrays are (n,) int64
    ns, n ≥ 1, in any order.
    """
    passed = received_at - received_at.min()
    at = passed if speed == 1 else np.ceil(passed / speed).astype(np.int64)
    last = int(received_at.max())
    latest = min(int(at.max()) - last, int((at - measured_at).min()))
    offset = latest // MILLISECOND * MILLISECOND
    return Restamped(at, measured_at + offset, offset)


def device_names(recording: Recording) -> dict[tuple[str, str], str]:
    """(patient, device) → name in topics.

    A device of the file that serves several patients becomes one device for each: on the wire the
    device alone says whose a value is. What topics do not take becomes a dash.
    """
    patients: dict[str, set[str]] = defaultdict(set)
    for patient, device in zip(recording.patient, recording.device, strict=True):
        patients[device].add(patient)
    names: dict[tuple[str, str], str] = {}
    for device, wearers in sorted(patients.items()):
        for patient in sorted(wearers):
            wished = device if len(wearers) == 1 else f"{patient}-{device}"
            names[patient, device] = _free(wished, set(names.values()))
    return names


def _free(wished: str, taken: set[str]) -> str:
    name = _NOT_IN_TOPICS.sub("-", wished)[:64] or "device"
    number = 2
    while name in taken:
        name = f"{name[:60]}-{number}"
        number += 1
    return name


def played(recording: Recording, speed: float) -> Iterator[Message]:
    """The messages of a recording in the order of receipt; what came as one goes as one."""
    if not len(recording):
        return
    plan = restamp(recording.measured_at, recording.received_at, speed)
    names = device_names(recording)
    order = np.lexsort((np.arange(len(recording)), recording.received_at)).tolist()
    group: list[int] = []
    for row in order:
        if group and not _together(recording, group, row):
            yield _message(recording, plan, names, group)
            group = []
        group.append(row)
    yield _message(recording, plan, names, group)


def _together(recording: Recording, group: list[int], row: int) -> bool:
    first = group[0]
    return (
        recording.device[first] == recording.device[row]
        and recording.patient[first] == recording.patient[row]
        and recording.measured_at[first] == recording.measured_at[row]
        and recording.received_at[first] == recording.received_at[row]
        and all(recording.signal[member] != recording.signal[row] for member in group)
    )


def _message(
    recording: Recording,
    plan: Restamped,
    names: dict[tuple[str, str], str],
    group: list[int],
) -> Message:
    first = group[0]
    quality = {r: float(recording.quality[r]) for r in group if recording.quality[r] >= 0}
    return Message(
        names[recording.patient[first], recording.device[first]],
        int(plan.at[first]),
        (int(plan.measured_at[first]),),
        {recording.signal[row]: (float(recording.value[row]),) for row in group},
        quality={recording.signal[row]: (level,) for row, level in quality.items()},
        exact=True,
    )
