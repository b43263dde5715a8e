"""The compiled part of a score row: the bytes that msgspec makes of a `twin.judgement.Score`.

A ward of thousands tells some thousands of scores each second, seven parameters each. As objects,
made and then encoded, they cost ten times what is known of them does. Written are the bytes that
`Score` says in MessagePack: structs as arrays, numbers as short as they can be, strings with their
length (https://github.com/msgpack/msgpack/blob/master/spec.md).
"""

from __future__ import annotations

import math

from twin.assessment.kernel import HELD, NEVER
from twin.estimation.compiled import compiled, inlined
from twin.estimation.machine import bits, natural

#: Heads of arrays of so many: a score, its chances, its components, one of these.
_SCORE, _CHANCES, _COMPONENTS, _COMPONENT = 0x9B, 0x94, 0x97, 0x96
_FALSE, _FLOAT, _EMPTY = 0xC2, 0xCB, 0xA0
#: No more bytes than these does a row take beside its texts, nor a parameter of it.
ROOM = 128
#: What is said of a missing value: msgspec writes Python's nan.
_NAN = 0x7FF8000000000000


@inlined
def put_bytes(out, o, whole, n):  # type: ignore[no-untyped-def]
    """The n lowest bytes of a whole number, the highest first; returns the next place."""
    for k in range(n):
        out[natural(o + k)] = (whole >> (8 * (n - 1 - k))) & 0xFF
    return o + n


@inlined
def put_bits(out, o, of):  # type: ignore[no-untyped-def]
    """A float by its bits."""
    out[natural(o)] = _FLOAT
    return put_bytes(out, o + 1, of, 8)


@compiled
def put_number(out, o, whole):  # type: ignore[no-untyped-def]
    """A whole number (int64)."""
    if whole >= 0:
        if whole < 0x80:
            return put_bytes(out, o, whole, 1)
        if whole < 0x100:
            head, n = 0xCC, 1
        elif whole < 0x10000:
            head, n = 0xCD, 2
        elif whole < 0x100000000:
            head, n = 0xCE, 4
        else:
            head, n = 0xCF, 8
    else:
        if whole >= -0x20:
            return put_bytes(out, o, whole, 1)
        if whole >= -0x80:
            head, n = 0xD0, 1
        elif whole >= -0x8000:
            head, n = 0xD1, 2
        elif whole >= -0x80000000:
            head, n = 0xD2, 4
        else:
            head, n = 0xD3, 8
    out[natural(o)] = head
    return put_bytes(out, o + 1, whole, n)


@inlined
def put_part(out, o, given, begin, end):  # type: ignore[no-untyped-def]
    """given[begin:end], as it is."""
    for k in range(end - begin):
        out[natural(o + k)] = given[natural(begin + k)]
    return o + end - begin


@inlined
def put_text(out, o, texts, begin, end):  # type: ignore[no-untyped-def]
    """The string texts[begin:end]."""
    n = end - begin
    if n < 32:
        o = put_bytes(out, o, 0xA0 | n, 1)
    elif n < 0x100:
        o = put_bytes(out, o, (0xD9 << 8) | n, 2)
    elif n < 0x10000:
        o = put_bytes(out, o, (0xDA << 16) | n, 3)
    else:
        o = put_bytes(out, o, (0xDB << 32) | n, 5)
    return put_part(out, o, texts, begin, end)


@compiled
def pack(  # type: ignore[no-untyped-def]
    patients, at, names, name_ends, actors, actor_ends, words, word_ends, held_of, columns,
    vital_row, per_unit, held, context, charted, charted_at, entered, entered_at, source, now,
    later, out, ends,
):  # fmt: skip
    """Write the score rows of n patients as of a tick `at` (ns) into out (bytes), one after
    another; ends (n,) gets where each ends.

    names, actors: texts one after another, ends (n,) and (n · parameters,), of who entered what.
    words: as they are to be written, ends (parameters + 3,): the names of the parameters, "device",
    "entry", the model's version. held_of (parameters,): column of `held` of each parameter; columns
    (HELD,): column of the entries of each of `held`, −1: nobody enters it. now, later (n, 4):
    chances. The others by patient.
    """
    o, named, parameters = 0, 0, held_of.shape[0]
    for n in range(patients.shape[0]):
        p = patients[n]
        out[natural(o)] = _SCORE
        o = put_text(out, o + 1, names, named, name_ends[n])
        named = name_ends[n]
        o = put_number(out, o, at)
        total, complete, three = 0, True, False
        for v in range(HELD):
            total += max(held[p, v], 0)
            complete = complete and held[p, v] >= 0
            three = three or held[p, v] == 3
        o = put_number(out, o, total)
        o = put_bytes(out, o, _FALSE | complete, 1)
        o = put_bytes(out, o, _FALSE | three, 1)
        o = put_number(out, o, max(int(context[p]) // 2, 1))
        out[natural(o)] = _CHANCES
        o += 1
        for k in range(4):
            o = put_bits(out, o, bits(now[n, k]))
        out[natural(o)] = _CHANCES
        o += 1
        for k in range(4):
            o = put_bits(out, o, bits(later[n, k]))
        out[natural(o)] = _COMPONENTS
        o += 1
        for c in range(parameters):
            v = held_of[c]
            by_hand, since, value = True, entered_at[p, columns[v]], entered[p, columns[v]]
            if v < 5:
                row = vital_row[v]
                measured = charted_at[p, row]
                by_hand = columns[v] >= 0 and (
                    source[p, v] == 1 if held[p, v] >= 0 else since > measured
                )
                if not by_hand:
                    since = measured
                    value = math.floor(charted[p, row] * per_unit[v] + 0.5) / per_unit[v]
            out[natural(o)] = _COMPONENT
            o = put_part(out, o + 1, words, word_ends[c - 1] if c > 0 else 0, word_ends[c])
            if since == NEVER:
                o = put_bits(out, put_bytes(out, o, 0xFF, 1), _NAN)
                o = put_bytes(out, o, (_EMPTY << 8) | _EMPTY, 3)  # a zero before them
                continue
            o = put_number(out, o, int(held[p, v]))
            o = put_number(out, put_bits(out, o, bits(value)), since)
            word = parameters + by_hand
            o = put_part(out, o, words, word_ends[word - 1], word_ends[word])
            if by_hand:
                mine = n * parameters + c
                begin = actor_ends[mine - 1] if mine > 0 else 0
                o = put_text(out, o, actors, begin, actor_ends[mine])
            else:
                o = put_bytes(out, o, _EMPTY, 1)
        o = put_part(out, o, words, word_ends[parameters + 1], word_ends[parameters + 2])
        o = put_bytes(out, o, _EMPTY, 1)
        ends[n] = o
    return o
