"""What compiled writers of text ask of the machine: 128-bit products, several bytes at once.

Uncompiled, each of these functions does what its Python body says. Bytes lie lowest first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable
from numpy.typing import NDArray

# What of the compiler has no types.
_typed: Any = type_callable
_coded: Any = lower_builtin
_pair: Any = types.UniTuple

_INT64, _INT128, _BLOCK = ir.IntType(64), ir.IntType(128), ir.IntType(128)

#: Bytes that `copy` may write and read beyond the last one.
BEYOND = 15


def product(a: Any, b: Any) -> Any:
    """Upper and lower half (uint64) of a · b, both uint64."""
    whole = int(a) * int(b)
    return np.uint64(whole >> 64), np.uint64(whole & 0xFFFF_FFFF_FFFF_FFFF)


@_typed(product)
def _type_product(context: Any) -> Any:
    return lambda a, b: _pair(types.uint64, 2)


@_coded(product, types.uint64, types.uint64)
def _code_product(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    a, b = (builder.zext(arg, _INT128) for arg in args)
    whole = builder.mul(a, b)
    upper = builder.trunc(builder.lshr(whole, ir.Constant(_INT128, 64)), _INT64)
    return context.make_tuple(builder, signature.return_type, (upper, builder.trunc(whole, _INT64)))


def leading(a: Any) -> int:
    """How many of the 64 bits of a (uint64) are 0 before the first that is not."""
    return 64 - int(a).bit_length()


@_typed(leading)
def _type_leading(context: Any) -> Any:
    return lambda a: types.int64


@_coded(leading, types.uint64)
def _code_leading(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))


def put(text: NDArray[np.uint8], at: Any, word: Any) -> None:
    """Write the 8 bytes of a word (uint64) at byte `at`."""
    text[at : at + 8] = np.frombuffer(np.uint64(word).tobytes(), np.uint8)


@_typed(put)
def _type_put(context: Any) -> Any:
    return lambda text, at, word: types.none


@_coded(put, types.Array, types.Integer, types.uint64)
def _code_put(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    builder.store(args[2], _pointer(context, builder, signature, args, 0, _INT64), align=1)
    return context.get_dummy_value()


def copy(text: NDArray[np.uint8], at: Any, source: NDArray[np.uint8], begin: Any) -> None:
    """Write 16 bytes of source, from byte `begin` on, at byte `at` of text."""
    text[at : at + 16] = source[begin : begin + 16].copy()


@_typed(copy)
def _type_copy(context: Any) -> Any:
    return lambda text, at, source, begin: types.none


@_coded(copy, types.Array, types.Integer, types.Array, types.Integer)
def _code_copy(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    read = builder.load(_pointer(context, builder, signature, args, 2, _BLOCK), align=1)
    builder.store(read, _pointer(context, builder, signature, args, 0, _BLOCK), align=1)
    return context.get_dummy_value()


def _pointer(
    context: Any, builder: Any, signature: Any, args: Any, which: int, kind: ir.Type
) -> Any:
    """Of the byte that args[which + 1] names in the array args[which]."""
    array = context.make_array(signature.args[which])(context, builder, args[which])
    place = builder.gep(array.data, [args[which + 1]])
    return builder.bitcast(place, kind.as_pointer())
