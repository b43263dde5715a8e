"""Numbers of rows put one behind another, compiled."""

from __future__ import annotations

from pathlib import Path

from ingest.compiled import kernels
from twin.estimate import NO_DEVICE

compiled, inlined = kernels((Path(__file__),))


@compiled
def renumber(rows, ends, patients, devices):  # type: ignore[no-untyped-def]
    """Let rows (dtype ESTIMATE_ROW, writable) name tables put one behind another.

    ends: where the rows of each part end; patients, devices: where its tables begin. All (parts,).
    """
    begin = 0
    for part in range(ends.shape[0]):
        for i in range(begin, ends[part]):
            row = rows[i]
            row.patient += patients[part]
            if row.device != NO_DEVICE:
                row.device += devices[part]
        begin = ends[part]
