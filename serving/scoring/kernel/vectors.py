"""The few steps on 64 rows at once that loops do not become by themselves, in the vector types of the compiler.

Each works from memory to memory; LLVM writes it for the processor at hand, whatever its vectors are. An intrinsic gives
its type and a function that writes instructions; numba's arguments are addresses, masks (a bit a row) and numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

ROWS = 64
"""Rows of a block: the bits of one word."""
BLOCKS = 8
"""Blocks of a group, which goes through a tree together."""
GROUP = BLOCKS * ROWS
LANES = 32
"""Rows whose contributions are made at once."""
PUT_AT_ONCE = 8
POINTS = 8
"""Points of a quadrature that one row's steps take at once."""
_P = ParamSpec("_P")
_R = TypeVar("_R")
_I32 = ir.IntType(32)
_BITS = ir.VectorType(ir.IntType(1), ROWS)
_BYTES = ir.VectorType(ir.IntType(8), ROWS)
_WORDS = ir.VectorType(_I32, ROWS)
_NUMBERS = ir.VectorType(ir.FloatType(), ROWS)
_MASKS = ir.VectorType(ir.IntType(64), BLOCKS)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_CHOICE = ir.VectorType(ir.IntType(1), LANES)
_POINTS = ir.VectorType(ir.FloatType(), POINTS)
_MASK = ir.IntType(ROWS)
address, mask, lanes, count = types.uintp, types.uint64, types.uint32, types.intp


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Returns the function as machine code for other such functions, kept on disk for the next process.

    Kept machine code holds what the function calls in other files, of which numba takes no notice: it serves as long as
    no file of this room changes.
    """
    return _compiled(function, no_cpython_wrapper=True)


def entry(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Returns the same for Python to call; it runs without Python's lock."""
    return _compiled(function, nogil=True)


def _compiled(function: Callable[_P, _R], **options: bool) -> Callable[_P, _R]:
    made = cast(Any, njit)(cache=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
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
def in_set(_typing: Any, places: Any, bits: Any, members: Any) -> Any:
    """Returns the mask of rows that are in a set: uint8 [64] say which of its 16 bytes to look at, and at which bit."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        places, bits = (_load(builder, place, _BYTES)[0] for place in given[:2])
        found = _looked_up(context, builder, _load(builder, given[2], ir.VectorType(ir.IntType(8), 16))[0], places)
        shared = builder.and_(found, bits)
        return builder.bitcast(builder.icmp_unsigned("!=", shared, ir.Constant(_BYTES, [0] * ROWS)), _MASK)

    return mask(address, address, address), write


def _looked_up(context: Any, builder: Any, table: Any, places: Any) -> Any:
    """Returns the byte of 16 that each of 64 places names: one instruction where the processor has it."""
    features = _features(context)
    for feature, name, width in (
        ("+avx512bw", "llvm.x86.avx512.pshuf.b.512", 64),
        ("+avx2", "llvm.x86.avx2.pshuf.b", 32),
        ("+ssse3", "llvm.x86.ssse3.pshuf.b.128", 16),
    ):
        if feature in features:
            kind = ir.VectorType(ir.IntType(8), width)
            look_up = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind, kind]))
            tables = _shuffled(builder, table, table, [each % 16 for each in range(width)])
            parts = [
                builder.call(look_up, [tables, _shuffled(builder, places, places, range(first, first + width))])
                for first in range(0, ROWS, width)
            ]
            while len(parts) > 1:
                both = range(2 * parts[0].type.count)
                parts = [_shuffled(builder, *pair, both) for pair in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]
    found = ir.Constant(_BYTES, ir.Undefined)
    for row in range(ROWS):
        place = builder.extract_element(places, ir.Constant(_I32, row))
        found = builder.insert_element(found, builder.extract_element(table, place), ir.Constant(_I32, row))
    return found


def _features(context: Any) -> list[str]:
    """Returns what the processor that is compiled for can do, `+` before each."""
    features: str = context.codegen().magic_tuple()[2]
    return features.split(",")


@intrinsic
def count_below(_typing: Any, counts: Any, values: Any, limits: Any, step: Any, times: Any) -> Any:
    """Writes how many of 15 limits, float32 a step apart, lie below each float32 [64]: uint32, times a number."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values, below = _load(builder, given[1], _NUMBERS)[0], ir.Constant(_WORDS, [0] * ROWS)
        for each in range(15):
            place = builder.add(given[2], builder.mul(given[3], ir.Constant(given[3].type, each)))
            limit = builder.load(_pointer(builder, place, ir.FloatType()))
            is_below = builder.fcmp_ordered("<", _all(builder, limit, _NUMBERS), values)
            below = builder.sub(below, builder.sext(is_below, _WORDS))
        _store(builder, builder.mul(below, _all(builder, given[4], _WORDS)), _pointer(builder, given[0], _WORDS))
        return context.get_dummy_value()

    return types.void(address, address, address, address, types.uint32), write


@intrinsic
def split(_typing: Any, left: Any, right: Any, here: Any, masks: Any) -> Any:
    """Writes which rows of a group go left and right of those that are here, uint64 [8] at addresses."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        here, goes_left = _load(builder, given[2], _MASKS)[0], _load(builder, given[3], _MASKS)[0]
        to_left = builder.and_(here, goes_left)
        _store(builder, to_left, _pointer(builder, given[0], _MASKS))
        _store(builder, builder.xor(here, to_left), _pointer(builder, given[1], _MASKS))
        return context.get_dummy_value()

    return types.void(address, address, address, address), write


@intrinsic
def put(_typing: Any, places: Any, rows: Any, value: Any) -> Any:
    """Writes a byte where the first of eight masks, a group's size apart, is set, the next byte for the second ..."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        held, pointer = _load(builder, given[0], _BYTES)
        for each in range(PUT_AT_ONCE):
            place = builder.add(given[1], ir.Constant(given[1].type, each * 8 * BLOCKS))
            rows = builder.bitcast(builder.load(_pointer(builder, place, _MASK)), _BITS)
            value = builder.add(given[2], ir.Constant(given[2].type, each))
            held = builder.select(rows, _all(builder, value, _BYTES), held)
        _store(builder, held, pointer)
        return context.get_dummy_value()

    return types.void(address, address, types.uint8), write


@intrinsic
def go_down(_typing: Any, target: Any, source: Any, points: Any, former: Any, taken: Any, factors: Any) -> Any:
    """Writes products below an edge, float32 [points, 32]: what is above, times the edge's factors."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        target, source, points, former, taken, factors = given
        former, taken = builder.bitcast(former, _CHOICE), builder.bitcast(taken, _CHOICE)
        with _each_point(builder, points) as (rows, point):
            by = _factor(builder, factors, points, point, former, taken)
            above = _load(builder, builder.add(source, rows), _FLOATS)[0]
            _store(builder, builder.fmul(above, by), _pointer(builder, builder.add(target, rows), _FLOATS))
        return context.get_dummy_value()

    return types.void(address, address, count, lanes, lanes, address), write


def _goes_back(is_leaf: tuple[bool, bool]) -> Any:
    """Returns the step back at a node, of whose two children some are leaves.

    It writes the sums of what lies below, float32 [points, 32], adds to a part, float32 [32], what its feature gets.
    The sums below a leaf are its products, below a node those that its own step back wrote.
    """

    def step(
        _typing: Any, target: Any, first: Any, second: Any, part: Any, points: Any, former: Any,
        first_taken: Any, second_taken: Any, first_factors: Any, second_factors: Any,
    ) -> Any:  # fmt: skip
        def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            target, first, second, part, points, former, *of_sides = given
            former, *takens = (builder.bitcast(each, _CHOICE) for each in (former, *of_sides[:2]))
            nothing = ir.Constant(_FLOATS, [0.0] * LANES)
            total = cast(Any, cgutils).alloca_once(builder, _FLOATS)
            builder.store(nothing, total)
            with _each_point(builder, points) as (rows, point):
                below = []
                for leaf, source, taken, factors in zip(is_leaf, (first, second), takens, of_sides[2:], strict=True):
                    value = _load(builder, builder.add(source, rows), _FLOATS)[0]
                    if leaf:
                        value = builder.fmul(value, _factor(builder, factors, points, point, former, taken))
                    gets = builder.select(taken, *(_at(builder, factors, points, kind, point) for kind in (3, 4)))
                    below.append((value, gets))
                (left, gets_left), (right, gets_right) = below
                got = _multiply_add(builder, right, gets_right, builder.fmul(left, gets_left))
                builder.store(builder.fadd(builder.load(total), got), total)
                _store(builder, builder.fadd(left, right), _pointer(builder, builder.add(target, rows), _FLOATS))
            held, pointer = _load(builder, part, _FLOATS)
            _store(builder, builder.fadd(held, builder.select(former, builder.load(total), nothing)), pointer)
            return context.get_dummy_value()

        return types.void(*[address] * 4, count, *[lanes] * 3, *[address] * 2), write

    return intrinsic(step)


of_leaves, of_leaf_and_node, of_nodes = (_goes_back(kind) for kind in ((True, True), (True, False), (False, False)))


@contextmanager
def _each_point(builder: Any, points: Any) -> Iterator[tuple[Any, Any]]:
    """Writes a loop over points; yields how far a point's rows lie behind the first, and the point."""
    with cgutils.for_range(builder, points) as loop:
        yield builder.mul(loop.index, ir.Constant(loop.index.type, LANES * 4)), loop.index


def _factor(builder: Any, factors: Any, points: Any, point: Any, former: Any, taken: Any) -> Any:
    """Returns by what the products of rows are multiplied: where they take an edge, leave it here, or left before."""
    followed, left, left_before = (_at(builder, factors, points, kind, point) for kind in range(3))
    return builder.select(taken, followed, builder.select(former, left, left_before))


def _at(builder: Any, factors: Any, points: Any, kind: int, point: Any) -> Any:
    place = builder.add(builder.mul(points, ir.Constant(points.type, kind)), point)
    at = builder.add(factors, builder.mul(place, ir.Constant(place.type, 4)))
    return _all(builder, builder.load(_pointer(builder, at, ir.FloatType())), _FLOATS)


def _multiply_add(builder: Any, value: Any, by: Any, more: Any) -> Any:
    """Returns `value * by + more`, rounded once where the processor does it at once: alike in every vector."""
    kind = ir.FunctionType(value.type, [value.type] * 3)
    name = f"llvm.fmuladd.v{value.type.count}f32"
    return builder.call(builder.module.declare_intrinsic(name, (), kind), [value, by, more])


@intrinsic
def multiply(_typing: Any, target: Any, source: Any, by: Any) -> Any:
    """Writes the product of two times float32 [8] at addresses."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values, factors = (_load(builder, place, _POINTS)[0] for place in given[1:3])
        _store(builder, builder.fmul(values, factors), _pointer(builder, given[0], _POINTS))
        return context.get_dummy_value()

    return types.void(address, address, address), write


@intrinsic
def go_back(
    _typing: Any, gets: Any, target: Any, first: Any, second: Any, by_first: Any, by_second: Any,
    gets_first: Any, gets_second: Any,
) -> Any:  # fmt: skip
    """Writes the sum of two float32 [8], each times a factor, and what their feature gets of them."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        first, second, *factors = (_load(builder, place, _POINTS)[0] for place in given[2:])
        left, right = builder.fmul(first, factors[0]), builder.fmul(second, factors[1])
        got = _multiply_add(builder, right, factors[3], builder.fmul(left, factors[2]))
        _store(builder, got, _pointer(builder, given[0], _POINTS))
        _store(builder, builder.fadd(left, right), _pointer(builder, given[1], _POINTS))
        return context.get_dummy_value()

    return types.void(*[address] * 8), write


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
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return _shuffled(builder, first, nothing, [0] * kind.count)


def _shuffled(builder: Any, first: Any, second: Any, places: Iterable[int]) -> Any:
    kept = list(places)
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_I32, len(kept)), kept))
