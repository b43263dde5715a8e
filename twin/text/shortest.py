"""Numbers as text, compiled: the shortest decimals that read back as the same float64.

Of several that are as short, the nearest to the number (Giulietti, The Schubfach way to render
doubles, 2020). As msgspec writes JSON: `72.0`, `0.00001`, `1e-6`, `1e16`; `null` where there is no
finite number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.compiled import kernels
from twin.text.words import copy, leading, product, put

SOURCES = (Path(__file__), Path(__file__).with_name("words.py"))
compiled, inlined = kernels(SOURCES)

#: Bytes of the longest float64, and how many behind the first one writing it may touch.
LONGEST, TOUCHED = 24, 40
_LEAST = -292


def _powers() -> NDArray[np.uint64]:
    """(617, 2): 10ᵏ for k = −292 … 324 in 128 bits, upper and lower half, rounded up."""
    rows = []
    for k in range(_LEAST, 325):
        shift = 127 - (k * 1_741_647 >> 19)  # 10ᵏ · 2^shift lies in [2¹²⁷, 2¹²⁸)
        above, below = 10 ** max(k, 0) << max(shift, 0), 10 ** max(-k, 0) << max(-shift, 0)
        whole = -(-above // below)
        rows.append((whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF))
    return np.array(rows, np.uint64)


def _u(number: int) -> Any:
    """In compiled code a uint64 and another integer would become a float."""
    return np.uint64(number)


_POWERS = _powers()
_TENS = np.array([10**n for n in range(20)], np.uint64)
_0, _1, _2, _3, _4, _8, _10, _16, _19, _32, _40, _52, _63 = map(
    _u, (0, 1, 2, 3, 4, 8, 10, 16, 19, 32, 40, 52, 63)
)
_E8, _E16, _HIDDEN, _FRACTION, _EXPONENT = map(_u, (10**8, 10**16, 1 << 52, (1 << 52) - 1, 0x7FF))
# Division by 10⁴, 100 and 10 as multiplication, in lanes of 32, 16 and 8 bits.
_BY_4, _PER_4 = _u((10_000 << 32) - 1), _u(109_951_163)
_BY_2, _PER_2, _LANES_2 = _u((100 << 16) - 1), _u(5_243), _u(0x0000_007F_0000_007F)
_BY_1, _PER_1, _LANES_1 = _u((10 << 8) - 1), _u(103), _u(0x000F_000F_000F_000F)
_ZEROS = _u(0x3030_3030_3030_3030)
_BEFORE = _u(0x3030_3030_3030_2E30)  # "0.000000"
_NULL = _u(0x6C6C_756E)
_ZERO, _MINUS, _POINT, _E = 48, 45, 46, 101


@inlined
def _odd(upper, lower, c):  # type: ignore[no-untyped-def]
    """The integer part of power · c / 2¹²⁸, with its last bit set where that is not exact."""
    x, _ = product(lower, c)
    z, y = product(upper, c)
    y += x
    if y < x:
        z += _1
    if y > _1:
        z |= _1
    return z


@inlined
def _decimal(fraction, biased):  # type: ignore[no-untyped-def]
    """(d, e): d · 10ᵉ is the shortest that reads back the same; d may end in zeros."""
    c, q = fraction, -1_074
    if biased != 0:
        c, q = fraction | _HIDDEN, biased - 1_075
        if -53 < q <= 0:
            below = np.uint64(-q)
            if c & ((_1 << below) - _1) == _0:
                return c >> below, 0
    uneven = c & _1
    closer = fraction == _0 and biased > 1  # the next lower float64 is half as far
    k = (q * 1_262_611 - (524_031 if closer else 0)) >> 22
    upper, lower = _POWERS[-k - _LEAST, 0], _POWERS[-k - _LEAST, 1]
    h = np.uint64(q + (-k * 1_741_647 >> 19) + 1)
    c *= _4
    low = _odd(upper, lower, (c - (_1 if closer else _2)) << h) + uneven
    exact = _odd(upper, lower, c << h)
    high = _odd(upper, lower, (c + _2) << h) - uneven
    # Without branches: which way it goes is not to be foreseen.
    s = exact >> _2
    tens = s // _10
    at = tens * _40
    down, up = low <= at, at + _40 <= high
    shorter = (s >= _10) & (down != up)
    shorter_d = tens + np.uint64(up)
    at = s << _2
    down, up = low <= at, at + _4 <= high
    nearer = (exact > at + _2) | ((exact == at + _2) & (s & _1 != _0))
    longer_d = s + (np.uint64(up) if down != up else np.uint64(nearer))
    return (shorter_d if shorter else longer_d), k + np.int64(shorter)


@inlined
def _size(n):  # type: ignore[no-untyped-def]
    """How many digits n > 0 has."""
    least = (64 - leading(n)) * 1_233 >> 12
    return least + np.int64(n >= _TENS[least])


@inlined
def _eight(n):  # type: ignore[no-untyped-def]
    """The digits of n < 10⁸ in the bytes of a word, the first one lowest."""
    n = (n << _32) - _BY_4 * (n * _PER_4 >> _40)
    n = (n << _16) - _BY_2 * (n * _PER_2 >> _19 & _LANES_2)
    return (n << _8) - _BY_1 * (n * _PER_1 >> _10 & _LANES_1)


@inlined
def _exponent(text, at, e):  # type: ignore[no-untyped-def]
    """Write e and the exponent; the byte after it."""
    text[at] = _E
    at += 1
    if e < 0:
        text[at] = _MINUS
        at += 1
        e = -e
    if e >= 100:
        text[at] = _ZERO + e // 100
        at += 1
    if e >= 10:
        text[at] = _ZERO + e // 10 % 10
        at += 1
    text[at] = _ZERO + e % 10
    return at + 1


@inlined
def write_float(text, at, bits):  # type: ignore[no-untyped-def]
    """Write the float64 of these bits (uint64) into text (uint8) from byte `at` on.

    Returns the byte after it; those up to at + TOUCHED are written too.
    """
    biased, fraction = np.int64(bits >> _52 & _EXPONENT), bits & _FRACTION
    if biased == 0x7FF:
        put(text, at, _NULL)
        return at + 4
    text[at] = _MINUS
    at += np.int64(bits >> _63)
    if bits << _1 == _0:
        put(text, at, _BEFORE)
        return at + 3
    d, e = _decimal(fraction, biased)
    size = _size(d)
    e += size - 1  # that of the first digit
    d *= _TENS[17 - size]
    first = d // _E16
    d -= first * _E16
    left = d // _E8
    right = _eight(d - left * _E8)
    left = _eight(left)
    digits = 17 - (leading(right) >> 3) if right != _0 else 9 - (leading(left) >> 3)
    if -5 <= e < 0:
        put(text, at, _BEFORE)
        at += 1 - e
    text[at] = _ZERO + np.int64(first)
    put(text, at + 1, left | _ZEROS)
    put(text, at + 9, right | _ZEROS)
    if -5 <= e < 0:
        return at + digits
    point = e + 1 if 0 <= e < 16 else 1
    copy(text, at + point + 1, text, at + point)
    text[at + point] = _POINT
    if 0 <= e < 16:
        return at + max(digits + 1, point + 2)
    return _exponent(text, at + digits + 1 if digits > 1 else at + 1, e)


@inlined
def write_integer(text, at, n):  # type: ignore[no-untyped-def]
    """Write n (int64) into text (uint8) from byte `at` on.

    Returns the byte after it; those up to at + TOUCHED are written too.
    """
    text[at] = _MINUS
    at += np.int64(n < 0)
    d = _0 - np.uint64(n) if n < 0 else np.uint64(n)
    size = _size(d | _1)
    if d < _E8:
        put(text, at, _eight(d * _TENS[8 - size]) | _ZEROS)
        return at + size
    d *= _TENS[19 - size]
    first = d // _E16
    d -= first * _E16
    left = d // _E8
    begin = np.int64(first)
    text[at] = _ZERO + begin // 100
    text[at + 1] = _ZERO + begin // 10 % 10
    text[at + 2] = _ZERO + begin % 10
    put(text, at + 3, _eight(left) | _ZEROS)
    put(text, at + 11, _eight(d - left * _E8) | _ZEROS)
    return at + size


@inlined
def write_scaled(text, at, n, digits):  # type: ignore[no-untyped-def]
    """Write n / 10ᵈ, n (uint64) < 10⁸ and d = digits (int64) 1 to 5, as `write_float` writes the
    nearest float64: of so few digits no shorter text reads back as the same.

    Returns the byte after it; those up to at + TOUCHED are written too.
    """
    word = _eight(n)
    whole = max(np.int64(1), _size(n | _1) - digits)
    put(text, at, (word | _ZEROS) >> np.uint64(8 * (8 - digits - whole)))
    point = at + whole
    copy(text, point + 1, text, point)
    text[point] = _POINT
    return point + 1 + max(np.int64(1), digits - (leading(word) >> 3))
