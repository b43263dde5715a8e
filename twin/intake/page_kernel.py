"""The compiled part of reading a page of the journal: batches as columns, names as numbers.

What is read is a sealed `ObservationBatch` as MessagePack
(https://github.com/msgpack/msgpack/blob/master/spec.md): patients, devices and signals as arrays of
strings, offsets and rows as bytes. A record that is not plainly that, or has a name that no table
knows, is left to who reads one at a time.
"""

from __future__ import annotations

import numpy as np

from ingest.observation import OBSERVATION_ROW
from twin.estimation.compiled import compiled, inlined
from twin.estimation.machine import fetch, natural

#: Bytes of an envelope and of a row; where a row's three indexes end.
ENVELOPE, ROW = 12, OBSERVATION_ROW.itemsize
#: A row of the table of names: hash · NUMBERS + number, −1: nothing.
NUMBERS = 2**31
#: Kinds of what has a size: its short form, how many bits say the size in it, its form with 1, 2
#: and 4 bytes of size (−1: there is none such).
_ARRAY = (0x90, 0x0F, -1, 0xDC, 0xDD)
_TEXT = (0xA0, 0x1F, 0xD9, 0xDA, 0xDB)
_BYTES = (-1, 0, 0xC4, 0xC5, 0xC6)
_BASIS, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


@inlined
def byte(text, i):  # type: ignore[no-untyped-def]
    """The byte at i as a signed number: with an unsigned one sums would be floats."""
    return np.int64(text[natural(i)])


@inlined
def sized(text, i, end, kind):  # type: ignore[no-untyped-def]
    """(size, the place after it) of what begins at i; size −1: it is not of this kind."""
    short, bits, one, two, four = kind
    if i >= end:
        return -1, i
    head, n = byte(text, i), 0
    if head & ~bits == short:
        return head & bits, i + 1
    if head == one:
        n = 1
    elif head == two:
        n = 2
    elif head == four:
        n = 4
    if n == 0 or i + 1 + n > end:
        return -1, i
    size = 0
    for k in range(n):
        size = (size << 8) | byte(text, i + 1 + k)
    return size, i + 1 + n


@inlined
def hashed(text, begin, end):  # type: ignore[no-untyped-def]
    """32-bit FNV-1a of text[begin:end] (draft-eastlake-fnv), mixed: its low bits choose a row."""
    h = _BASIS
    for i in range(begin, end):
        h = ((h ^ byte(text, i)) * _PRIME) & _MASK
    return h ^ (h >> 15)


@compiled
def add(names, ends, first, table):  # type: ignore[no-untyped-def]
    """Put the names from `first` on into the table: names as bytes one after another, ends (n,)."""
    mask = table.shape[0] - 1
    for n in range(first, ends.shape[0]):
        h = hashed(names, ends[n - 1] if n > 0 else 0, ends[n])
        place = h & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = h * NUMBERS + n


@inlined
def number(text, i, n, h, names, ends, table):  # type: ignore[no-untyped-def]
    """The number of the name text[i:i + n], whose hash is h; −1: it is not in the table."""
    mask = table.shape[0] - 1
    place = h & mask
    while table[natural(place)] >= 0:
        row = table[natural(place)]
        if row // NUMBERS == h:
            found = row % NUMBERS
            begin = ends[natural(found - 1)] if found > 0 else 0
            same = ends[natural(found)] - begin == n
            k = 0
            while same and k < n:
                same = text[natural(i + k)] == names[natural(begin + k)]
                k += 1
            if same:
                return found
        place = (place + 1) & mask
    return -1


@compiled
def numbers(  # type: ignore[no-untyped-def]
    text, i, end, names, ends, table, found, kind, hashes, places
):  # fmt: skip
    """(how many, the place after them) of an array of names at i, their numbers into
    found[kind]; −1: it is none, or a name is not in the table. hashes, places: scratch."""
    count, i = sized(text, i, end, _ARRAY)
    if count > found.shape[1]:
        return -1, i
    mask = table.shape[0] - 1
    for k in range(count):  # first where all of them are, so that they are waited for together
        n, begin = sized(text, i, end, _TEXT)
        i = begin + n
        if n < 0 or i > end:
            return -1, i
        h = hashed(text, begin, i)
        fetch(table, h & mask)
        hashes[natural(k)], places[natural(k), 0], places[natural(k), 1] = h, begin, n
    for k in range(count):
        begin, n = places[natural(k), 0], places[natural(k), 1]
        known = number(text, begin, n, hashes[natural(k)], names, ends, table)
        if known < 0:
            return -1, i
        found[kind, natural(k)] = known
    return count, i


@compiled
def read(  # type: ignore[no-untyped-def]
    text, ends, patients, patient_ends, patient_table, devices, device_ends, device_table,
    signals, signal_ends, signal_table, found, hashes, places, rows, patient, device, signal, upto,
):  # fmt: skip
    """Read n records, text (bytes) one after another, ends (n,), as far as they are plain.

    Names, ends and table of each kind as `add` has them. found (3, room), hashes (room,) and places
    (room, 2) are scratch. Written: the rows as they are, into rows (bytes), their numbers into
    patient, device and signal (rows,), and upto (n,): how many rows there are up to each record,
    −1: this one is left.
    """
    done, begin = 0, 0
    for r in range(ends.shape[0]):
        i, end = begin + ENVELOPE, ends[r]
        begin = end
        upto[r] = -1
        fields, i = sized(text, i, end, _ARRAY)
        if fields != 5:
            continue
        some, i = numbers(
            text, i, end, patients, patient_ends, patient_table, found, 0, hashes, places
        )
        if some < 0:
            continue
        others, i = numbers(
            text, i, end, devices, device_ends, device_table, found, 1, hashes, places
        )
        if others < 0:
            continue
        kinds, i = numbers(
            text, i, end, signals, signal_ends, signal_table, found, 2, hashes, places
        )
        if kinds < 0:
            continue
        skipped, i = sized(text, i, end, _BYTES)
        if skipped < 0:
            continue
        size, i = sized(text, i + skipped, end, _BYTES)
        if size < 0 or i + size != end or size % ROW != 0:
            continue
        count, inside = size // ROW, True
        for k in range(count):
            at = i + k * ROW
            p, d = word(text, at), word(text, at + 4)
            s = byte(text, at + 8) | byte(text, at + 9) << 8
            if p >= some or d >= others or s >= kinds:
                inside = False
                break
            patient[natural(done + k)] = found[0, natural(p)]
            device[natural(done + k)] = found[1, natural(d)]
            signal[natural(done + k)] = found[2, natural(s)]
        if not inside:
            continue
        for k in range(size):
            rows[natural(done * ROW + k)] = text[natural(i + k)]
        done += count
        upto[r] = done
    return done


@inlined
def word(text, i):  # type: ignore[no-untyped-def]
    """The whole number of four bytes at i, the lowest first."""
    low = byte(text, i) | byte(text, i + 1) << 8
    return low | byte(text, i + 2) << 16 | byte(text, i + 3) << 24
