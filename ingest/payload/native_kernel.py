"""The native format of a group of messages, compiled: those of one stamp in their usual form.

Usual: an object of `time` (whole milliseconds, or ISO-8601 to the µs in UTC), `values` (known
signals, each once, decimal numbers of at most 15 digits without exponent) and perhaps `sequence`,
in any order, no escapes. Whatever is not usual is left: its count stays −1, and `native_bulk` reads
it. Exact: a number of at most 15 digits over a power of ten of at most 10²² is the nearest double
of its text (Clinger 1990). A property test compares it with `native`.
"""

from __future__ import annotations

from pathlib import Path

from ingest.compiled import kernels

compiled, inlined = kernels([Path(__file__)])

#: Digits that a number may have: all of them are exact in a double.
_DIGITS = 15
_TENS = tuple(10.0**n for n in range(_DIGITS + 1))
#: Milliseconds, ± which is well inside int64 ns.
_MOST_MS = 9_000_000_000_000
_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE, _MINUS, _DOT = 34, 44, 58, 123, 125, 45, 46
_ZERO, _NINE = 48, 57
_TIME, _VALUES, _SEQUENCE = b"time", b"values", b"sequence"
#: A signal of a message is marked by a bit, so more of them are not known here.
SIGNALS_AT_MOST = 62


@inlined
def _space(text, i, end):  # type: ignore[no-untyped-def]
    """The place of the first byte from i on that is no white space."""
    while i < end and (text[i] == 32 or text[i] == 10 or text[i] == 13 or text[i] == 9):
        i += 1
    return i


@inlined
def _after(text, i, end, byte):  # type: ignore[no-untyped-def]
    """The place after the byte and the white space around it; −1 if another one is there."""
    i = _space(text, i, end)
    if i >= end or text[i] != byte:
        return -1
    return _space(text, i + 1, end)


@inlined
def _digit(text, i, end):  # type: ignore[no-untyped-def]
    return i < end and _ZERO <= text[i] <= _NINE


@inlined
def _is(text, i, size, word):  # type: ignore[no-untyped-def]
    """Whether the `size` bytes at i are this word."""
    if size != len(word):
        return False
    for j in range(size):  # noqa: SIM110 — numba has no generators
        if text[i + j] != word[j]:
            return False
    return True


@compiled
def _end_of_name(text, i, end):  # type: ignore[no-untyped-def]
    """The place of the quote that ends the name which begins at i; −1: it is no plain ASCII."""
    while i < end and text[i] != _QUOTE:
        if text[i] < 32 or text[i] > 126 or text[i] == 92:
            return -1
        i += 1
    return i if i < end else -1


@compiled
def _number(text, i, end):  # type: ignore[no-untyped-def]
    """(place after it or −1, digits as a whole number, how many of them are decimals, sign)."""
    sign = 1
    if i < end and text[i] == _MINUS:
        sign = -1
        i += 1
    first, whole, decimals = i, 0, 0
    while _digit(text, i, end):
        whole = whole * 10 + (text[i] - _ZERO)
        i += 1
        if i - first > _DIGITS:
            return -1, 0, 0, 0
    digits = i - first
    if digits == 0 or (digits > 1 and text[first] == _ZERO):
        return -1, 0, 0, 0
    if i < end and text[i] == _DOT:
        i += 1
        while _digit(text, i, end):
            whole = whole * 10 + (text[i] - _ZERO)
            i += 1
            decimals += 1
            if digits + decimals > _DIGITS:
                return -1, 0, 0, 0
        if decimals == 0:
            return -1, 0, 0, 0
    if whole == 0 and sign < 0:  # −0
        return -1, 0, 0, 0
    return i, whole, decimals, sign


@inlined
def _two(text, i):  # type: ignore[no-untyped-def]
    """The number of two digits at i, −1 if they are none."""
    if not (_ZERO <= text[i] <= _NINE and _ZERO <= text[i + 1] <= _NINE):
        return -1
    return (text[i] - _ZERO) * 10 + (text[i + 1] - _ZERO)


@compiled
def _instant(text, i, end):  # type: ignore[no-untyped-def]
    """(place of the quote after it or −1, ns UTC) of `2026-11-25T08:00:00.123456Z` at i."""
    if end - i < 21 or text[i + 4] != _MINUS or text[i + 7] != _MINUS or text[i + 10] != 84:
        return -1, 0
    if text[i + 13] != _COLON or text[i + 16] != _COLON:
        return -1, 0
    century, year, month, day = (
        _two(text, i),
        _two(text, i + 2),
        _two(text, i + 5),
        _two(text, i + 8),
    )
    hour, minute, second = _two(text, i + 11), _two(text, i + 14), _two(text, i + 17)
    if century < 19 or century > 21 or year < 0 or month < 1 or month > 12 or day < 1:
        return -1, 0
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1, 0
    year += 100 * century
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 31
    if month == 2:
        longest = 29 if leap else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        longest = 30
    if day > longest:
        return -1, 0
    i += 19
    micro, scale = 0, 1_000_000
    if text[i] == _DOT:
        i += 1
        while _digit(text, i, end) and scale > 1:
            micro = micro * 10 + (text[i] - _ZERO)
            scale //= 10
            i += 1
        if scale == 1_000_000:
            return -1, 0
    micro *= scale
    if i + 1 >= end or text[i] != 90 or text[i + 1] != _QUOTE:
        return -1, 0
    # Days since 1970-01-01 (Hinnant, days_from_civil): the year begins in March.
    y = year - 1 if month <= 2 else year
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = y * 365 + y // 4 - y // 100 + y // 400 + of_year - 719_468
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    return i + 1, (seconds * 1_000_000 + micro) * 1_000


@compiled
def _signal(text, i, size, codes, code_at):  # type: ignore[no-untyped-def]
    """The row of the signal that the `size` bytes at i name, −1: none."""
    for s in range(code_at.shape[0] - 1):
        begin = code_at[s]
        if code_at[s + 1] - begin == size:
            same = True
            for j in range(size):
                if text[i + j] != codes[begin + j]:
                    same = False
                    break
            if same:
                return s
    return -1


@compiled
def _values(text, i, end, codes, code_at, n, at, of, signal, value):  # type: ignore[no-untyped-def]
    """(place after the object of values that begins at i or −1, place after its last sample)."""
    i = _after(text, i, end, _OPEN)
    seen = 0
    while i >= 0:
        if i >= end or text[i] != _QUOTE:
            return -1, at
        stop = _end_of_name(text, i + 1, end)
        if stop < 0:
            return -1, at
        row = _signal(text, i + 1, stop - i - 1, codes, code_at)
        if row < 0 or seen >> row & 1:
            return -1, at
        seen |= 1 << row
        i = _after(text, stop + 1, end, _COLON)
        if i < 0:
            return -1, at
        i, whole, decimals, sign = _number(text, i, end)
        if i < 0:
            return -1, at
        of[at], signal[at], value[at] = n, row, sign * (whole / _TENS[decimals])
        at += 1
        i = _space(text, i, end)
        if i < end and text[i] == _CLOSE:
            return i + 1, at
        i = _after(text, i, end, _COMMA)
    return -1, at


@compiled
def read_singles(  # type: ignore[no-untyped-def]
    text, ends, codes, code_at, count, stamp, sequence, of, signal, value
):  # fmt: skip
    """Read messages that lie one after the other in text (uint8), each to its place in ends (n,).

    codes (uint8), code_at (signals + 1,): the signals' codes one after the other, where each
    begins. Written: count (n,), how many samples a message has, −1: it is not usual; its stamp (ns
    UTC) and sequence (−1: none); and of each sample, in order, which message it is of, its signal's
    row and its value in the canonical unit. Returns the number of samples; room for one in five
    bytes of text is enough.
    """
    at, begin = 0, 0
    for n in range(ends.shape[0]):
        end = ends[n]
        count[n] = -1
        first, said, values, numbered = at, False, False, False
        stamp[n], sequence[n] = 0, -1
        i = _after(text, begin, end, _OPEN)
        begin = end
        whole = False
        while i >= 0:
            if i >= end or text[i] != _QUOTE:
                break
            stop = _end_of_name(text, i + 1, end)
            if stop < 0:
                break
            name, size = i + 1, stop - i - 1
            i = _after(text, stop + 1, end, _COLON)
            if i < 0 or i >= end:
                break
            if not said and _is(text, name, size, _TIME):
                said = True
                if text[i] == _QUOTE:
                    i, stamp[n] = _instant(text, i + 1, end)
                    i += 1 if i >= 0 else 0
                else:
                    i, number, decimals, sign = _number(text, i, end)
                    if decimals > 0 or number > _MOST_MS:
                        break
                    stamp[n] = sign * number * 1_000_000
            elif not values and _is(text, name, size, _VALUES):
                values = True
                i, at = _values(text, i, end, codes, code_at, n, at, of, signal, value)
            elif not numbered and _is(text, name, size, _SEQUENCE):
                numbered = True
                i, number, decimals, sign = _number(text, i, end)
                if decimals > 0 or sign < 0:
                    break
                sequence[n] = number
            else:
                break
            if i < 0:
                break
            i = _space(text, i, end)
            if i < end and text[i] == _CLOSE:
                whole = _space(text, i + 1, end) == end
                break
            i = _after(text, i, end, _COMMA)
        if whole and said and values:
            count[n] = at - first
        else:
            at = first
    return at
