"""Batches built from columns: the samples of many messages at once, a record for each partition."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.batch import RECORD_ROWS
from ingest.catalogue import CODES
from ingest.observation import OBSERVATION_ROW, ObservationBatch, encode_record


class Samples(NamedTuple):
    """n samples in order of receipt, (n,) each; units as in `Observation`.

    route: number of (partition, patient, device); signal: row of the catalogue. Quality and boot
    are not said.
    """

    route: NDArray[np.int64]
    signal: NDArray[np.int64]
    value: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    stamp: NDArray[np.int64]
    received_at: NDArray[np.int64]
    device_sequence: NDArray[np.int64]


def records_of(samples: Samples, names: Sequence[tuple[int, str, str]]) -> list[tuple[int, bytes]]:
    """(partition, record) pairs. names: partition, patient and device of each route.

    The rows are those that `batch_of_rows` makes; a partition of many rows has several records.
    """
    used, of = _dense(samples.route, len(names))
    tables = _tables([names[n] for n in used])
    place = tables.place[of]
    order = np.argsort(place, kind="stable")
    place = place[order]
    partition = tables.partition[place]
    borders = [0, *(np.flatnonzero(np.diff(partition)) + 1).tolist(), len(order)]
    firsts = [n for a, b in pairwise(borders) for n in range(a, b, RECORD_ROWS)]
    first_places, last_places = place[firsts], place[[*(n - 1 for n in firsts[1:]), -1]]
    sizes = np.diff(firsts, append=len(order))
    rows = np.empty(len(order), OBSERVATION_ROW)
    rows["patient"] = place - np.repeat(first_places, sizes)
    first_seats = np.array(tables.first_seat)
    rows["device"] = tables.seat[of][order] - np.repeat(first_seats[first_places], sizes)
    codes, rows["signal"] = _dense(samples.signal[order], len(CODES))
    rows["value"], rows["noise_std"] = samples.value[order], samples.noise_std[order]
    rows["quality"], rows["boot"] = np.nan, 0
    rows["measured_at"] = rows["device_stamp"] = samples.stamp[order]
    rows["received_at"] = samples.received_at[order]
    rows["device_sequence"] = samples.device_sequence[order]
    block, width = rows.tobytes(), OBSERVATION_ROW.itemsize
    signals = tuple(CODES[n] for n in codes)
    begins = np.searchsorted(place, np.arange(len(tables.patients) + 1)).tolist()
    seat, made = tables.first_seat, []
    for first, end, a, z in zip(
        firsts, [*firsts[1:], len(order)], first_places.tolist(), last_places.tolist(), strict=True
    ):
        batch = ObservationBatch(
            tuple(tables.patients[a : z + 1]),
            tuple(tables.devices[seat[a] : seat[z + 1]]),
            signals,
            _offsets(begins[a : z + 2], first, end),
            block[first * width : end * width],
        )
        made.append((int(partition[first]), encode_record(batch)))
    return made


def _offsets(begins: Sequence[int], first: int, end: int) -> bytes:
    """Where patients begin in a record of the rows first:end, of where they begin in all rows."""
    offsets = array("i", [min(max(n, first), end) - first for n in begins])
    if sys.byteorder == "big":
        offsets.byteswap()
    return offsets.tobytes()


def _dense(numbers: NDArray[np.int64], below: int) -> tuple[list[int], NDArray[np.int64]]:
    """The numbers that occur, rising, and which of them each is. In [0, below)."""
    occurs = np.zeros(below, bool)
    occurs[numbers] = True
    used = np.flatnonzero(occurs)
    which = np.empty(below, np.int64)
    which[used] = np.arange(len(used))
    return used.tolist(), which[numbers]


@dataclass(frozen=True, slots=True)
class _Tables:
    """Patients by partition and name (P), and their devices by name (D), each once.

    place, seat (routes,): which of them a route is of; partition (P,); first_seat: of each patient,
    and D.
    """

    patients: list[str]
    devices: list[str]
    first_seat: list[int]
    place: NDArray[np.int64]
    seat: NDArray[np.int64]
    partition: NDArray[np.int64]


def _tables(names: Sequence[tuple[int, str, str]]) -> _Tables:
    """names: partition, patient and device of each route."""
    place, seat = [0] * len(names), [0] * len(names)
    patients: list[str] = []
    devices: list[str] = []
    partition: list[int] = []
    first_seat: list[int] = []
    last = (-1, "", "")
    for n in sorted(range(len(names)), key=names.__getitem__):
        name = names[n]
        if name[1] != last[1] or not patients:
            partition.append(name[0])
            patients.append(name[1])
            first_seat.append(len(devices))
        if name != last:
            devices.append(name[2])
            last = name
        place[n], seat[n] = len(patients) - 1, len(devices) - 1
    first_seat.append(len(devices))
    numbers = (np.array(each, np.int64) for each in (place, seat, partition))
    return _Tables(patients, devices, first_seat, *numbers)
