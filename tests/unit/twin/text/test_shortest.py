"""The text of a number: byte for byte what msgspec writes, which reads back the same."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twin.text.line_kernel import write_lines
from twin.text.shortest import LONGEST, TOUCHED

TOP = Path(__file__).parents[4]
STEPPED = """
import numpy as np
from tests.unit.twin.text.test_shortest import FEW, STAMPS, floats, integers
from twin.text.line_kernel import write_lines
assert not hasattr(write_lines, "py_func")
with np.errstate(over="ignore"):
    print(floats(FEW).decode(), integers(STAMPS).decode())
"""
NOTHING, NONE = np.zeros(32, np.uint8), np.zeros(4, np.int64)
FEW = np.array(
    [
        *(0.0, -0.0, 1.0, -72.5, 1e15, 1e16, 123456789.125, 5e-324, 2.0**-44, 1e-5, 1e-6, 1e22),
        *(1e23, 9007199254740993.0, 1.7976931348623157e308, -1e-300, 0.1, 0.3, 1 / 3, 6.5e-100),
        *(1e100, float("nan"), float("inf"), float("-inf")),
    ]
)
STAMPS = np.array([0, 7, -1, 10**18, 10**18 - 1, 2**63 - 1, -(2**63), 1_764_000_000_000_000_000])


def floats(numbers: NDArray[np.float64]) -> bytes:
    """Each of them, between commas."""
    n = len(numbers)
    text, ends = np.empty(n * (LONGEST + 3) + TOUCHED, np.uint8), np.empty(n, np.int64)
    bits = np.array(numbers).view(np.uint64).reshape(1, n)
    stamps, at = np.zeros(n, np.int64), NONE[:3]
    after = write_lines(text, 0, ends, NOTHING, at, stamps, NOTHING, at, bits, stamps)
    assert after == (ends[-1] if n else 0)
    return text[:after].tobytes().replace(b"0\n", b",")


def integers(numbers: NDArray[np.int64]) -> bytes:
    n = len(numbers)
    text, ends = np.empty(n * 21 + TOUCHED, np.uint8), np.empty(n, np.int64)
    none, at = np.empty((0, n), np.uint64), NONE[:3]
    series = np.zeros(n, np.int64)
    after = write_lines(text, 0, ends, NOTHING, at, series, NOTHING, at, none, np.array(numbers))
    return text[:after].tobytes().replace(b"\n", b",")


def same(numbers: NDArray[np.float64]) -> None:
    """Asserts that they read as msgspec writes them; names the first that do not."""
    expected, made = msgspec.json.encode(numbers.tolist())[1:-1] + b",", floats(numbers)
    if made != expected:
        each = zip(numbers.tolist(), made.split(b","), expected.split(b","), strict=False)
        wrong = [(x.hex(), got, right) for x, got, right in each if got != right]
        pytest.fail(f"{len(wrong)} are wrong: {wrong[:5]}")


def with_neighbours(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    both = [np.nextafter(numbers, 0), numbers, np.nextafter(numbers, np.inf)]
    return np.concatenate([*both, *(-each for each in both)])


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(20261127)


def test_numbers_chosen_by_hand() -> None:
    assert floats(FEW).split(b",")[:-1] == [
        *(b"0.0", b"-0.0", b"1.0", b"-72.5", b"1000000000000000.0", b"1e16", b"123456789.125"),
        *(b"5e-324", b"5.684341886080802e-14", b"0.00001", b"1e-6", b"1e22", b"1e23"),
        *(b"9007199254740992.0", b"1.7976931348623157e308", b"-1e-300", b"0.1", b"0.3"),
        *(b"0.3333333333333333", b"6.5e-100", b"1e100", b"null", b"null", b"null"),
    ]
    same(FEW)


def test_random_bits_are_as_msgspec_writes_them(chance: np.random.Generator) -> None:
    for _ in range(10):
        same(chance.integers(0, 2**64, 200_000, np.uint64).view(np.float64))


def test_subnormal_numbers(chance: np.random.Generator) -> None:
    few = np.arange(5_000, dtype=np.uint64)
    many = chance.integers(0, 2**52, 200_000, np.uint64) >> chance.integers(
        0, 52, 200_000, np.uint64
    )
    same(np.concatenate([few, many]).view(np.float64))


def test_powers_of_two_and_ten_and_what_lies_beside_them() -> None:
    same(with_neighbours(np.array([2.0**n for n in range(-1074, 1024)])))
    tens = [float(f"{m}e{n}") for n in range(-324, 309) for m in (*range(1, 10), 99, 1.5)]
    same(with_neighbours(np.array([x for x in tens if x < 1e308])))


def test_every_binary_exponent_with_few_and_many_bits(chance: np.random.Generator) -> None:
    exponents = np.arange(0x7FF, dtype=np.uint64) << np.uint64(52)
    few = [np.uint64(1 << n) for n in range(52)] + [np.uint64((1 << 52) - 1 - n) for n in range(9)]
    many = chance.integers(0, 2**52, 60, np.uint64)
    same((exponents[:, None] | np.array([*few, *many], np.uint64)).reshape(-1).view(np.float64))


def test_whole_numbers_and_short_decimals(chance: np.random.Generator) -> None:
    whole = chance.integers(-(2**53), 2**53, 200_000) >> chance.integers(0, 53, 200_000)
    same(whole.astype(np.float64))
    same(np.arange(-5_000, 5_000) / 8)
    same(chance.integers(-(10**6), 10**6, 200_000) / 10.0 ** chance.integers(0, 23, 200_000))
    same(np.round(chance.normal(70, 30, 200_000), 2))


def test_halfway_between_two_decimals(chance: np.random.Generator) -> None:
    """Odd multiples of a power of two: two decimals are as near to many of them."""
    odd = (chance.integers(2**52, 2**53, 100_000) | 1).astype(np.float64)
    for n in range(-6, 6):
        same(odd * 2.0**n)


def test_numbers_as_a_filter_makes_them(chance: np.random.Generator) -> None:
    same(chance.normal(70, 30, 500_000))
    same(chance.lognormal(0, 9, 500_000))


def test_stamps(chance: np.random.Generator) -> None:
    many = chance.integers(-(2**63), 2**63 - 1, 200_000) >> chance.integers(0, 63, 200_000)
    edges = [s * (10**n + d) for n in range(19) for d in (-1, 0, 1) for s in (-1, 1)]
    numbers = np.concatenate([STAMPS, many, edges])
    assert integers(numbers) == "".join(f"{n}," for n in numbers.tolist()).encode()


def test_no_number_is_longer_than_said(chance: np.random.Generator) -> None:
    longest = floats(np.array([-1.2345678901234567e-308, -2.2250738585072014e-308]))
    assert max(map(len, longest.split(b","))) == LONGEST


def test_uncompiled_it_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STEPPED],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=TOP, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert done.stdout == f"{floats(FEW).decode()} {integers(STAMPS).decode()}\n"


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=80), min_size=1, max_size=4),
    st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    st.integers(0, 50),
    st.integers(0, 9),
)
def test_a_line_is_its_start_its_numbers_between_their_pieces_and_its_stamp(
    starts: list[bytes], between: list[bytes], n: int, before: int
) -> None:
    chance = np.random.default_rng(n)
    k = len(between) - 1
    series, stamps = chance.integers(0, len(starts), n), chance.integers(-9, 10**18, n)
    numbers = chance.normal(0, 1e3, (k, n))
    expected = [
        starts[s]
        + b"".join(p + str(x).encode() for p, x in zip(between, row, strict=False))
        + between[-1]
        + str(stamp).encode()
        + b"\n"
        for s, row, stamp in zip(series, numbers.T.tolist(), stamps.tolist(), strict=True)
    ]
    size = sum(map(len, expected))
    text, ends = np.full(before + size + TOUCHED, 7, np.uint8), np.empty(n, np.int64)
    start_at, between_at = (np.cumsum([0, *map(len, parts)]) for parts in (starts, between))
    pools = [np.frombuffer(bytearray(b"".join(p) + bytes(16)), np.uint8) for p in (starts, between)]
    bits = numbers.view(np.uint64)
    after = write_lines(
        text, before, ends, pools[0], start_at, series, pools[1], between_at, bits, stamps
    )
    assert text[:before].tolist() == [7] * before
    assert text[before:after].tobytes() == b"".join(expected)
    cuts = pairwise([before, *ends.tolist()])
    assert [text[a:b].tobytes() for a, b in cuts] == expected
