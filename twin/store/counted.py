"""How many observations of each device are in the record.

Table `device` holds the sums. What the last transactions added lies in `counted`, one small blob
that each transaction replaces: a statement for each device of each transaction was a sixth of what
storing a row cost. From time to time it is added to the sums.
"""

from __future__ import annotations

from collections.abc import Mapping

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.store.blocks import checked, with_checksum

#: Transactions after which the blob is added to the sums; devices in it at most, beyond as many
#: as a transaction has.
_TRANSACTIONS, _DEVICES = 1024, 256
_COUNT = np.dtype([("device", "<u4"), ("n", "<u4")])


class Counted:
    """The writer's counts; every change of the file is part of the caller's transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._transactions = 0
        pending = _pending(connection)
        self._counts = np.zeros(int(pending["device"].max(initial=0)) + 1, np.int64)
        self._counts[pending["device"]] = pending["n"]

    def waiting(self, highest: int) -> NDArray[np.int64]:
        """What is not in the sums yet, by number of the device, at least up to `highest`: to be
        added to, and written then."""
        if highest >= len(self._counts):
            more = np.zeros(highest + 1, np.int64)
            self._counts = np.append(self._counts, more)
        return self._counts

    def write(self, added: int) -> None:
        """Write the counts after a transaction that added so many."""
        self._transactions += 1
        waiting = np.flatnonzero(self._counts)
        if self._transactions >= _TRANSACTIONS or len(waiting) > _DEVICES + 2 * added:
            self._sum_up(waiting)
            waiting = waiting[:0]
        pending = np.empty(len(waiting), _COUNT)
        pending["device"], pending["n"] = waiting, self._counts[waiting]
        blob = with_checksum([pending.tobytes()])
        self._connection.execute("INSERT OR REPLACE INTO counted VALUES(0, ?)", (blob,))

    def _sum_up(self, devices: NDArray[np.intp]) -> None:
        self._connection.executemany(
            "UPDATE device SET stored = stored + ? WHERE id = ?",
            list(zip(self._counts[devices].tolist(), devices.tolist(), strict=True)),
        )
        self._counts[devices], self._transactions = 0, 0


def stored_by_device(connection: apsw.Connection) -> Mapping[str, int]:
    """Observations in the record, by device id. To be called in a transaction."""
    names: dict[int, str] = {}
    sums: dict[str, int] = {}
    for number, name, n in connection.execute("SELECT id, name, stored FROM device"):
        names[number], sums[name] = name, n
    for number, n in _pending(connection).tolist():
        sums[names[number]] += n
    return sums


def _pending(connection: apsw.Connection) -> NDArray[np.void]:
    if not connection.table_exists("main", "counted"):
        return np.empty(0, _COUNT)  # a file of a release before
    blob = connection.execute("SELECT counts FROM counted").get
    return np.frombuffer(b"" if blob is None else checked(blob), _COUNT)
