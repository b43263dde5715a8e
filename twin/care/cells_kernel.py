"""The cells of a frame as JSON, compiled: thousands a second, without an object for any of them.

What a cell says is what `display.shown` says of its row, written as msgspec writes it; a property
test compares them.
"""

from __future__ import annotations

from pathlib import Path

from numpy import float64, int64, rint, uint64

from ingest.compiled import kernels
from twin.bands import Z90, Z95
from twin.estimate import Status
from twin.text.shortest import SOURCES, TOUCHED, write_float, write_integer, write_scaled

compiled, inlined = kernels((Path(__file__), *SOURCES))

#: Bytes of one cell at most, and how many behind the last one are touched.
CELL, BEYOND = 128, TOUCHED
#: Rows of what is shown of a signal, as `vitals.columns` gives them.
LEAN, STEEP, UNCERTAIN, RELATIVE, SCALE, DIGITS = range(6)
_FRESH, _LATE, _DIVERGED = int(Status.FRESH), int(Status.LATE), int(Status.DIVERGED)
_MILLISECOND = 1_000_000
#: What `write_scaled` takes.
_FEW, _MOST_DIGITS = 1e8, 5
_OPEN, _CLOSE, _COMMA, _ZERO = 91, 93, 44, 48


@compiled
def write_cells(rows, places, vitals, time, number, bits, text):  # type: ignore[no-untyped-def]
    """Write a list of cells, one for each place (n,) in rows (LATEST_ROW), into text (uint8); how
    many bytes.

    vitals: (6, signals). time: of the frame, ns. number, bits: (1,), the same memory as float64 and
    uint64. text must have room for n · CELL + 2 bytes and BEYOND.
    """
    text[0] = _OPEN
    at = 1
    for i in range(places.shape[0]):
        if i > 0:
            text[at] = _COMMA
            at += 1
        at = _cell(rows, places[i], vitals, time, number, bits, text, at)
    text[at] = _CLOSE
    return at + 1


@inlined
def _cell(rows, place, vitals, time, number, bits, text, at):  # type: ignore[no-untyped-def]
    row = rows[place]
    mean, std, scale95 = row.mean, row.std, float64(row.scale95)
    if row.coasting:
        mean, std, scale95 = row.coast_mean, row.coast_std, float64(row.coast_scale95)
    half95 = Z95 * std * scale95
    text[at] = _OPEN
    at = write_integer(text, at + 1, place)
    at = _decimal(mean, row.signal, vitals, number, bits, text, at)
    at = _decimal(half95, row.signal, vitals, number, bits, text, at)
    at = _whole(_arrow(row, vitals), text, at)
    unsure = row.coasting or row.status == _DIVERGED or _is_uncertain(row, mean, half95, vitals)
    at = _whole(int64(unsure), text, at)
    at = _whole(int64(row.status), text, at)
    at = _whole((row.as_of - time) // _MILLISECOND, text, at)
    text[at] = _CLOSE
    return at + 1


@inlined
def _decimal(said, signal, vitals, number, bits, text, at):  # type: ignore[no-untyped-def]
    """As `vitals.rounded`."""
    text[at] = _COMMA
    scale, digits = vitals[SCALE, signal], int64(vitals[DIGITS, signal])
    scaled = rint(said * scale)
    if 0 < scaled < _FEW and digits <= _MOST_DIGITS:  # as it mostly is
        return write_scaled(text, at + 1, uint64(scaled), digits)
    number[0] = scaled / scale
    return write_float(text, at + 1, bits[0])


@inlined
def _whole(said, text, at):  # type: ignore[no-untyped-def]
    text[at] = _COMMA
    if 0 <= said < 10:  # as it mostly is
        text[at + 1] = _ZERO + said
        return at + 2
    return write_integer(text, at + 1, said)


@inlined
def _arrow(row, vitals):  # type: ignore[no-untyped-def]
    """As `vitals.arrows`; a stale or absent value has none."""
    size = abs(row.trend)
    if not (row.status == _FRESH or row.status == _LATE) or not size > Z90 * row.trend_std:
        return 0
    steps = int64(size >= vitals[LEAN, row.signal]) + int64(size >= vitals[STEEP, row.signal])
    return -steps if row.trend < 0 else steps


@inlined
def _is_uncertain(row, mean, half95, vitals):  # type: ignore[no-untyped-def]
    """As `vitals.uncertain`."""
    width = abs(mean) if vitals[RELATIVE, row.signal] > 0 else 1.0
    return half95 > width * vitals[UNCERTAIN, row.signal]
