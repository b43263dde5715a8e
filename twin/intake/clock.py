"""Each device's clock against the receipts of its messages: offset, drift, and what is corrected.

A stamp's lead is its distance ahead of its receipt: the clock's offset less the delay of the way.
The delay varies and is never negative, so the least delayed observation of each minute tells of the
clock, and a line through those, older minutes forgotten by and by, gives offset and drift with
their standard deviations. How late the least delayed of them was nobody knows, so that of a
backlog alone the offset is as uncertain as the delay (`_unknown_delay`). A slow clock and a backlog
look the same, so the offset is only shown, and two things alone are corrected: stamps that are all
ahead of their receipts, by the smallest lead seen, and the slow clock of a device that is declared
live.

A correction is a function of the device's own stamp, so that the same stamp gives the same
measured_at whenever and however often it comes, and identity holds. It changes on a tick, from the
newest stamp on, and corrected stamps never go backwards: a clock is set back by running at half
speed until it is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.device_report import Changed
from twin.estimation.kalman import NEVER
from twin.intake.kernel import (
    BEGAN,
    CORRECTION,
    DELAY,
    DRIFT,
    DRIFT_STD,
    LEAST,
    LEAST_BEFORE,
    LIVE,
    LL,
    MINUTE_LEAST,
    MINUTE_MOST,
    MINUTE_SEEN,
    MINUTE_SQUARES,
    MINUTE_SUM,
    MINUTES,
    MOST,
    MOST_BEFORE,
    NEWEST,
    OFFSET,
    OFFSET_STD,
    SEEN,
    SHIFTED,
    SQUARES,
    SUM,
    TL,
    TOLD_OFFSET,
    TT,
    L,
    T,
    W,
)
from twin.intake.table import DeviceTable

#: Of the sums each minute keeps this share: the line looks back over about half an hour.
KEPT = 0.97
#: Minutes after which the smallest lead seen begins anew: it holds for one to two of these spans.
SPAN = 5.0
#: A lead below this is never corrected (s), nor one of fewer observations, nor within 3 σ.
LEAST_LEAD = 2.0
OBSERVATIONS = 5
#: A correction moves only by more than this (s).
STEP = 0.1
#: What remains unknown of an offset however well the line fits (s): receipts are stamped so.
FLOOR = 0.01
REMEMBERED = 64


@dataclass(slots=True)
class Shifts:
    """What is taken from the stamps of the rows whose clock is corrected or that declare a delay.

    Of each such row pieces (since, by, base), oldest first: a stamp after `since` is moved by −by
    ns, but not before base + (stamp − since) / 2, which is where the piece before has left off.
    """

    pieces: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    def move(self, row: int, since: int, by: int) -> None:
        """From the stamp `since` on, take `by` ns. NEVER: from the beginning."""
        pieces = self.pieces.setdefault(row, [(NEVER, 0, NEVER)])
        if since == NEVER:
            pieces[:] = [(NEVER, by, NEVER)]
            return
        pieces.append((since, by, self.moved(row, np.array([since]))[0].item()))
        if len(pieces) > REMEMBERED:
            del pieces[0]
            pieces[0] = (NEVER, pieces[0][1], NEVER)

    def moved(self, row: int, stamp: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) the stamps of one row's device, corrected."""
        pieces = np.array(self.pieces[row], np.int64)
        at = np.maximum(np.searchsorted(pieces[:, 0], stamp, side="left") - 1, 0)
        since, by, base = pieces[at].T
        wanted = stamp - by
        first = since == NEVER
        ahead = stamp - np.where(first, stamp, since)
        return np.asarray(np.where(first, wanted, np.maximum(wanted, base + (ahead + 1) // 2)))

    def apply(
        self, table: DeviceTable, row: NDArray[np.int64], stamp: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """(n,) measured_at of the rows' stamps; None where nothing is corrected."""
        if not self.pieces:
            return None
        shifted = np.flatnonzero(table.marks[row, SHIFTED])
        if not len(shifted):
            return None
        measured = stamp.copy()
        order = shifted[np.argsort(row[shifted], kind="stable")]
        for group in np.split(order, np.flatnonzero(np.diff(row[order])) + 1):
            measured[group] = self.moved(int(row[group[0]]), stamp[group])
        return measured


def close_minute(table: DeviceTable, shifts: Shifts, rows: NDArray[np.int64]) -> None:
    """Take the minute that is over into the estimates of these rows' clocks, and correct.

    Called on a tick, at most once a minute for each row.
    """
    rows = rows[table.clock[rows, MINUTE_SEEN] > 0]
    if not len(rows):
        return
    c = table.clock[rows]
    _fit(c, table.marks[rows, NEWEST])
    _look(c)
    wanted = _wanted(c, table.marks[rows, LIVE] > 0)
    moved = np.abs(wanted - c[:, CORRECTION]) > np.where(wanted == 0, 0, STEP)
    c[moved, CORRECTION] = wanted[moved]
    c[:, [MINUTE_SEEN, MINUTE_SUM, MINUTE_SQUARES]] = 0
    c[:, MINUTE_LEAST], c[:, MINUTE_MOST] = np.inf, -np.inf
    untold = np.abs(c[:, OFFSET] - c[:, TOLD_OFFSET]) > np.maximum(0.25, c[:, OFFSET_STD])
    table.change(rows[moved | untold | (c[:, W] == 1)], Changed.CLOCK)
    table.clock[rows] = c
    for row in rows[moved].tolist():
        apply_shift(table, shifts, row)


def apply_shift(table: DeviceTable, shifts: Shifts, row: int) -> None:
    """What is taken from this row's stamps is correction and declared delay from its newest on."""
    by = round(float(table.clock[row, CORRECTION]) * 1e9) + int(table.marks[row, DELAY])
    if by or table.marks[row, SHIFTED]:
        shifts.move(row, int(table.marks[row, NEWEST]), by)
        table.marks[row, SHIFTED] = 1


def forget_clocks(table: DeviceTable, rows: NDArray[np.int64]) -> None:
    """Ingest's own clock stepped: what these rows' leads were says nothing any more."""
    c = table.clock[rows]
    c[:, MINUTE_SEEN:OFFSET] = 0
    c[:, [MINUTE_LEAST, LEAST, LEAST_BEFORE]] = np.inf
    c[:, [MINUTE_MOST, MOST, MOST_BEFORE]] = -np.inf
    table.clock[rows] = c


def _fit(c: NDArray[np.float64], newest: NDArray[np.int64]) -> None:
    """Offset and drift at the newest stamp, each with its standard deviation."""
    now = newest * 1e-9
    began = c[:, W] == 0
    c[began, BEGAN] = now[began]
    t, lead = now - c[:, BEGAN], c[:, MINUTE_MOST]
    c[:, W:BEGAN] *= KEPT
    for column, added in ((W, 1.0), (T, t), (L, lead), (TT, t * t), (TL, t * lead), (LL, lead**2)):
        c[:, column] += added
    w = c[:, W]
    mean_t, mean_l = c[:, T] / w, c[:, L] / w
    spread = np.maximum(c[:, TT] / w - mean_t**2, 0)
    line = (w > 2.5) & (spread > 30.0**2)
    safe = np.where(line, spread, 1.0)
    drift = np.where(line, (c[:, TL] / w - mean_t * mean_l) / safe, 0.0)
    rest = np.maximum(c[:, LL] / w - mean_l**2 - drift**2 * spread, 0)
    noise = rest * w / np.maximum(w - 2, 0.5) + FLOOR**2
    from_mean = np.where(line, t - mean_t, 0.0)
    c[:, OFFSET] = mean_l + drift * from_mean
    c[:, OFFSET_STD] = np.sqrt(noise * (1 / w + from_mean**2 / (w * safe)) + _unknown_delay(c) ** 2)
    c[:, DRIFT] = drift * 1e6
    c[:, DRIFT_STD] = np.where(line, np.sqrt(noise / (w * safe)) * 1e6, np.nan)


def _unknown_delay(c: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) seconds by which the least delayed observations may have been late, as a deviation.

    Of w minutes' exponential delays the least is a w-th of their scale, which the minute's leads
    show by their spread. That all were late alike, by as much as they are behind their receipt,
    is what one minute cannot exclude; each further one is taken to halve it.
    """
    w, seen = c[:, W], c[:, MINUTE_SEEN]
    mean = c[:, MINUTE_SUM] / seen
    spread = np.sqrt(np.maximum(c[:, MINUTE_SQUARES] / seen - mean**2, 0))
    alike = np.maximum(-c[:, MINUTE_MOST], 0) * 2.0 ** (1 - w)
    return np.hypot(spread / w, alike)


def _look(c: NDArray[np.float64]) -> None:
    """The minute's leads into their spread and the extremes seen."""
    for column, of_minute in ((SEEN, MINUTE_SEEN), (SUM, MINUTE_SUM), (SQUARES, MINUTE_SQUARES)):
        c[:, column] = c[:, column] * KEPT + c[:, of_minute]
    anew = c[:, MINUTES] >= SPAN
    for extreme, before, nothing in ((LEAST, LEAST_BEFORE, np.inf), (MOST, MOST_BEFORE, -np.inf)):
        c[anew, before], c[anew, extreme] = c[anew, extreme], nothing
    c[anew, MINUTES] = 0
    c[:, MINUTES] += 1
    c[:, LEAST] = np.minimum(c[:, LEAST], c[:, MINUTE_LEAST])
    c[:, MOST] = np.maximum(c[:, MOST], c[:, MINUTE_MOST])


def _wanted(c: NDArray[np.float64], live: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) seconds to take from the stamps: positive of a clock that is ahead.

    A correction that stands is not withdrawn by a backlog: only once a whole minute brought nothing
    that is as far ahead (or, of a live device, as far behind).
    """
    seen = np.maximum(c[:, SEEN], 1)
    deviation = np.sqrt(np.maximum(c[:, SQUARES] / seen - (c[:, SUM] / seen) ** 2, 0))
    threshold = np.maximum(LEAST_LEAD, 3 * deviation)
    enough = c[:, SEEN] >= OBSERVATIONS
    smallest = np.minimum(c[:, LEAST], c[:, LEAST_BEFORE])
    largest = np.maximum(c[:, MOST], c[:, MOST_BEFORE])
    ahead = enough & (smallest > threshold)
    behind = enough & live & (-largest > threshold)
    wanted = np.where(ahead, smallest, np.where(behind, largest, 0.0))
    standing = c[:, CORRECTION]
    holds = (wanted == 0) & (standing > 0) & (c[:, MINUTE_MOST] >= standing - STEP)
    return np.asarray(np.where(holds, standing, wanted))
