"""Rows of many batches as columns, compiled: of a live step each batch has a row or two, and a call
of numpy for each column costs more than all of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.compiled import kernels

compiled, _ = kernels([Path(__file__)])

#: Columns of `batches`: where a batch's rows end; where its patients, devices and signals begin in
#: the names of all batches, and how many of each it has.
END, PATIENTS, DEVICES, SIGNALS, ITS_PATIENTS, ITS_DEVICES, ITS_SIGNALS, BATCH = range(8)
#: Rows of the columns of an arrival: numbers, stamps and counts, values.
PATIENT, DEVICE, SIGNAL, NUMBERS = range(4)
MEASURED_AT, RECEIVED_AT, DEVICE_STAMP, SEQUENCE, BOOT, INTEGERS = range(6)
VALUE, NOISE_STD, QUALITY, FLOATS = range(4)


@compiled
def number(rows, batches, patients, devices, signals, numbers):  # type: ignore[no-untyped-def]
    """Write the twin's numbers of the rows (n,) OBSERVATION_ROW of the batches (b, BATCH) into
    numbers (NUMBERS, n).

    patients, devices, signals: the twin's number of each name of all batches. Returns whether every
    row's indexes are inside its batch's tables; where not, what was written means nothing.
    """
    i = 0
    for b in range(batches.shape[0]):
        while i < batches[b, END]:
            row = rows[i]
            patient, device = np.int64(row["patient"]), np.int64(row["device"])
            signal = np.int64(row["signal"])
            if (
                patient >= batches[b, ITS_PATIENTS]
                or device >= batches[b, ITS_DEVICES]
                or signal >= batches[b, ITS_SIGNALS]
            ):
                return False
            numbers[PATIENT, i] = patients[batches[b, PATIENTS] + patient]
            numbers[DEVICE, i] = devices[batches[b, DEVICES] + device]
            numbers[SIGNAL, i] = signals[batches[b, SIGNALS] + signal]
            i += 1
    return True


@compiled
def spread(rows, integers, floats):  # type: ignore[no-untyped-def]
    """Write what else the rows (n,) say as columns: integers (INTEGERS, n), floats (FLOATS, n)."""
    for i in range(rows.shape[0]):
        row = rows[i]
        integers[MEASURED_AT, i] = row["measured_at"]
        integers[RECEIVED_AT, i] = row["received_at"]
        integers[DEVICE_STAMP, i] = row["device_stamp"]
        integers[SEQUENCE, i] = row["device_sequence"]
        integers[BOOT, i] = row["boot"]
        floats[VALUE, i] = row["value"]
        floats[NOISE_STD, i] = row["noise_std"]
        floats[QUALITY, i] = row["quality"]
