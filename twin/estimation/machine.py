"""What the compiled kernel tells the compiler and the machine, on which no result depends.

Where the columns of records are, which indexes are never negative, which memory is needed soon.
Uncompiled, each of these functions does what its Python body says.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable
from numpy.typing import NDArray

# What of the compiler has no types.
_typed: Any = type_callable
_coded: Any = lower_builtin
_parts: Any = cgutils.unpack_tuple

_BYTE, _INT32, _NOTHING = ir.IntType(8).as_pointer(), ir.IntType(32), ir.VoidType()


def field(kind: np.dtype[Any], name: str) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """A function of records as bytes (n · kind.itemsize,) that gives a field of them as an array.

    (n,), or of a field of several numbers (n, at least that many): in compiled code a row is the
    field and what follows it, so that the array counts as contiguous, and the place of each number
    is known but for the number of its row.
    """
    fields: Any = kind.fields
    dtype, offset = fields[name][:2]
    single, item = dtype.subdtype is None, dtype.base
    made = types.Array(from_dtype(item), 1 if single else 2, "A" if single else "C")
    columns = () if single else (kind.itemsize // item.itemsize,)
    strides = (kind.itemsize,) if single else (kind.itemsize, item.itemsize)

    def of(records: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(records.view(kind)[name])

    @_typed(of)
    def _type(context: Any) -> Any:
        return lambda records: made

    @_coded(of, types.Array)
    def _code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        from numba.np.arrayobj import populate_array  # who loads from the cache needs none of it

        fill: Any = populate_array

        def number(n: int) -> Any:
            return context.get_constant(types.intp, n)

        given = context.make_array(signature.args[0])(context, builder, args[0])
        array = context.make_array(made)(context, builder)
        fill(
            array,
            data=builder.bitcast(builder.gep(given.data, [number(offset)]), array.data.type),
            shape=[
                builder.sdiv(given.nitems, number(kind.itemsize)),
                *(number(n) for n in columns),
            ],
            strides=[number(n) for n in strides],
            itemsize=number(item.itemsize),
            meminfo=None,
            parent=None,
        )
        return array._getvalue()

    return of


def natural(i: Any) -> Any:
    """i, an index that is never negative: the compiler need not ask whether it counts from the end.

    A negative one is undefined behaviour, as one beyond the end is.
    """
    return i


@_typed(natural)
def _type_natural(context: Any) -> Any:
    return lambda i: i


@_coded(natural, types.Integer)
def _code_natural(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    told = builder.module.declare_intrinsic(
        "llvm.assume", (), ir.FunctionType(_NOTHING, [ir.IntType(1)])
    )
    builder.call(told, [builder.icmp_signed(">=", args[0], ir.Constant(args[0].type, 0))])
    return args[0]


def fetch(array: Any, row: Any) -> None:
    """Ask for the memory of array[row], which is needed soon."""


@_typed(fetch)
def _type_fetch(context: Any) -> Any:
    return lambda array, row: types.none


@_coded(fetch, types.Array, types.Integer)
def _code_fetch(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    (stride, *_) = _parts(builder, array.strides)
    at = builder.gep(builder.bitcast(array.data, _BYTE), [builder.mul(args[1], stride)])
    asked = builder.module.declare_intrinsic(
        "llvm.prefetch", [_BYTE], ir.FunctionType(_NOTHING, [_BYTE, _INT32, _INT32, _INT32])
    )
    builder.call(asked, [at, _INT32(1), _INT32(3), _INT32(1)])  # to write; all caches; data
    return context.get_dummy_value()


def bits(x: float) -> int:
    """The bits of a float64 as an int64."""
    return int(unpack("<q", pack("<d", x))[0])


@_typed(bits)
def _type_bits(context: Any) -> Any:
    return lambda x: types.int64


@_coded(bits, types.Float)
def _code_bits(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.bitcast(args[0], ir.IntType(64))
