"""The few steps on 64 rows at once that loops do not become by themselves, in the vector types of the compiler.

Each works from memory to memory; LLVM writes it for the processor at hand, whatever its vectors are. An intrinsic gives
its type and a function that writes instructions; numba's arguments are addresses, masks (a bit a row) and numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic as _intrinsic

ROWS = 64
"""Rows of a block: the bits of one word."""
PUT_AT_ONCE = 8
POINTS = 8
"""Points of a quadrature that one row's steps take at once."""
_P = ParamSpec("_P")
_R = TypeVar("_R")
_BITS = ir.VectorType(ir.IntType(1), ROWS)
_BYTES = ir.VectorType(ir.IntType(8), ROWS)
_WORDS = ir.VectorType(ir.IntType(32), ROWS)
_FLOATS = ir.VectorType(ir.FloatType(), ROWS)
_POINTS = ir.VectorType(ir.FloatType(), POINTS)
_MASK = ir.IntType(ROWS)
address, mask, number = types.uintp, types.uint64, types.float32


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Returns the function as machine code, kept on disk for the next process; it runs without Python's lock.

    Kept machine code holds what the function calls in other files, of which numba takes no notice: it serves as long as
    no file of this room changes.
    """
    made: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    made._cache._cache_file._source_stamp = _source_of_room()  # noqa: SLF001 - there is no public way
    return cast(Callable[_P, _R], made)


@cache
def _source_of_room() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function as numba's intrinsic."""
    return cast(Callable[..., Any], _intrinsic(function))


@intrinsic
def at_most(_typing: Any, codes: Any, limit: Any) -> Any:
    """Returns the mask of rows whose code, uint8 [64] at an address, is at most a limit."""

    def write(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values, limits = _load(builder, given[0], _BYTES)[0], _all(builder, given[1], _BYTES)
        return builder.bitcast(builder.icmp_unsigned("<=", values, limits), _MASK)

    return mask(address, types.uint8), write


@intrinsic
def any_bit(_typing: Any, words: Any, bits: Any) -> Any:
    """Returns the mask of rows whose one-hot word, uint32 [64] at an address, shares a bit with a set."""

    def write(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        shared = builder.and_(_load(builder, given[0], _WORDS)[0], _all(builder, given[1], _WORDS))
        return builder.bitcast(builder.icmp_unsigned("!=", shared, ir.Constant(_WORDS, [0] * ROWS)), _MASK)

    return mask(address, types.uint32), write


@intrinsic
def put(_typing: Any, places: Any, rows: Any, value: Any) -> Any:
    """Writes a byte where the first of eight masks, uint64 [8], is set, the next byte where the second is ..."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        held, pointer = _load(builder, given[0], _BYTES)
        for each in range(PUT_AT_ONCE):
            place = builder.add(given[1], ir.Constant(given[1].type, each * 8))
            rows = builder.bitcast(builder.load(_pointer(builder, place, _MASK)), _BITS)
            value = builder.add(given[2], ir.Constant(given[2].type, each))
            held = builder.select(rows, _all(builder, value, _BYTES), held)
        _store(builder, held, pointer)
        return context.get_dummy_value()

    return types.void(address, address, types.uint8), write


@intrinsic
def scale(_typing: Any, target: Any, source: Any, rows: Any, others: Any, first: Any, second: Any, third: Any) -> Any:
    """Writes source times `first` where `rows` is set, else `second` where `others` is, else `third`; float32 [64]."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        first, second, third = (_all(builder, value, _FLOATS) for value in given[4:7])
        rest = builder.select(builder.bitcast(given[3], _BITS), second, third)
        by = builder.select(builder.bitcast(given[2], _BITS), first, rest)
        product = builder.fmul(_load(builder, given[1], _FLOATS)[0], by)
        _store(builder, product, _pointer(builder, given[0], _FLOATS))
        return context.get_dummy_value()

    return types.void(address, address, mask, mask, number, number, number), write


@intrinsic
def collect(_typing: Any, gets: Any, above: Any, below: Any, rows: Any, first: Any, second: Any) -> Any:
    """Adds what lies below, times `first` or `second` by the mask, to `gets`, and as it is to `above`; float32 [64]."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        got, at_got = _load(builder, given[0], _FLOATS)
        sums, at_sums = _load(builder, given[1], _FLOATS)
        values = _load(builder, given[2], _FLOATS)[0]
        first, second = (_all(builder, value, _FLOATS) for value in given[4:6])
        by = builder.select(builder.bitcast(given[3], _BITS), first, second)
        _store(builder, builder.fadd(got, builder.fmul(values, by)), at_got)
        _store(builder, builder.fadd(sums, values), at_sums)
        return context.get_dummy_value()

    return types.void(address, address, address, mask, number, number), write


@intrinsic
def add_where(_typing: Any, target: Any, source: Any, rows: Any) -> Any:
    """Adds float32 [64] to another where the mask is set."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        sums, pointer = _load(builder, given[0], _FLOATS)
        nothing = ir.Constant(_FLOATS, [0.0] * ROWS)
        values = builder.select(builder.bitcast(given[2], _BITS), _load(builder, given[1], _FLOATS)[0], nothing)
        _store(builder, builder.fadd(sums, values), pointer)
        return context.get_dummy_value()

    return types.void(address, address, mask), write


@intrinsic
def multiply(_typing: Any, target: Any, source: Any, by: Any) -> Any:
    """Writes the product of two times float32 [8] at addresses."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values, factors = (_load(builder, place, _POINTS)[0] for place in given[1:3])
        _store(builder, builder.fmul(values, factors), _pointer(builder, given[0], _POINTS))
        return context.get_dummy_value()

    return types.void(address, address, address), write


@intrinsic
def add(_typing: Any, target: Any, source: Any) -> Any:
    """Adds float32 [8] to another."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        sums, pointer = _load(builder, given[0], _POINTS)
        _store(builder, builder.fadd(sums, _load(builder, given[1], _POINTS)[0]), pointer)
        return context.get_dummy_value()

    return types.void(address, address), write


def _pointer(builder: Any, place: Any, kind: Any) -> Any:
    return builder.inttoptr(place, kind.as_pointer())


def _load(builder: Any, place: Any, kind: Any) -> tuple[Any, Any]:
    """Returns the vector at an address, and the pointer."""
    pointer = _pointer(builder, place, kind)
    value = builder.load(pointer)
    value.align = 1
    return value, pointer


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer).align = 1


def _all(builder: Any, value: Any, kind: Any) -> Any:
    """Returns a vector that holds one value in each place."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    )
