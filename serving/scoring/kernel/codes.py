"""Values become small codes, codes become a mask of rows a node: which of 64 rows go left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Vectors
from serving.scoring.kernel.tables import HALF, PIVOTS, Tables
from serving.scoring.kernel.trees import CATEGORY, NAN_LEFT, NUMBER, ZERO_LEFT
from serving.scoring.kernel.vectors import ROWS, at_most, compiled, count_below, in_set

TINY = np.float32(1e-35)
"""LightGBM takes anything this small for zero."""
UNKNOWN = 255
"""The code of a category that no set can hold, and of a missing value that goes right."""

Codes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Masks = npt.NDArray[np.uint64]


@compiled
def encode(values: Vectors, first: int, tables: Tables, planes: Codes, at: int) -> None:
    """Writes the planes of up to 64 rows from `first` on, uint8 [planes, rows of a group], from place `at` on."""
    rows = min(ROWS, len(values) - first)
    held = np.empty(ROWS, np.float32)
    place = np.empty(ROWS, np.uint32)
    last = -1
    for column in range(len(tables.column_features)):
        feature, kind, plane = tables.column_features[column], tables.column_kinds[column], tables.column_planes[column]
        if feature != last:
            for row in range(ROWS):
                held[row] = values[first + min(row, rows - 1), feature]
        if kind == CATEGORY:
            _encode_categories(held, planes[plane : tables.column_planes[column + 1], at : at + ROWS])
            continue
        if feature != last:
            _search(held, tables.thresholds[tables.threshold_start[column] : tables.threshold_start[column + 1]], place)
            last = feature
        _encode_numbers(held, kind, place, planes[plane, at : at + ROWS])


@compiled
def _encode_numbers(held: Vectors, kind: int, place: Words, codes: Codes) -> None:
    missing = np.uint8(0 if kind in (ZERO_LEFT, NAN_LEFT) else UNKNOWN)
    is_zero_missing = kind < NAN_LEFT
    for row in range(ROWS):
        codes[row] = np.uint8(place[row])
    if kind != NUMBER:
        for row in range(ROWS):
            if np.isnan(held[row]) or (is_zero_missing and abs(held[row]) <= TINY):
                codes[row] = missing


@compiled
def _encode_categories(held: Vectors, planes: Codes) -> None:
    for row in range(len(held)):
        code = _category(held[row])
        planes[0, row] = code & np.uint8(15)
        for half in range(len(planes) - 1):
            bit = np.uint8(1 << ((code >> 4) & 7))
            planes[1 + half, row] = bit if code >> 7 == half else np.uint8(0)


@compiled
def _category(value: np.float32) -> np.uint8:
    is_known = value > np.float32(-1) and value < np.float32(UNKNOWN)
    return np.uint8(np.int32(value)) if is_known else np.uint8(UNKNOWN)


@compiled
def _search(held: Vectors, thresholds: Vectors, place: Words) -> None:
    """Writes how many thresholds lie below each value, without a branch and all rows in step."""
    value = np.empty(ROWS, np.float32)
    for row in range(ROWS):
        value[row] = held[row] if abs(held[row]) > TINY else np.float32(0)  # also where it is NaN
    size = (len(thresholds) + 1) // PIVOTS
    last_of_first = thresholds.ctypes.data + (size - 1) * 4
    count_below(
        np.uintp(place.ctypes.data), np.uintp(value.ctypes.data), np.uintp(last_of_first), np.uintp(size * 4),
        np.uint32(size),
    )  # fmt: skip
    left = size - 1
    while left > 0:
        half = np.uint32((left + 1) // 2)
        for row in range(ROWS):
            further = np.uint32(place[row] + half)
            place[row] = further if thresholds[np.uint32(further - np.uint32(1))] < value[row] else place[row]
        left = left // 2


@compiled
def node_masks(tables: Tables, tree: int, blocks: int, planes: Codes, masks: Masks) -> None:
    """Writes which rows go left at each node of a tree, uint64 [nodes, blocks of a group]."""
    start, stop = tables.node_start[tree], tables.node_start[tree + 1]
    at_planes, size = planes.ctypes.data, planes.shape[1]
    middle = start + tables.numbers[tree]
    for place in range(start, middle):
        node = tables.order[place]
        at, limit = at_planes + tables.node_planes[start + node] * size, tables.node_codes[start + node]
        for block in range(blocks):
            masks[node, block] = at_most(np.uintp(at + block * ROWS), limit)
    for place in range(middle, stop):
        node = tables.order[place]
        masks[node] = 0
        at = at_planes + tables.node_planes[start + node] * size
        for each in range(tables.set_start[start + node], tables.set_start[start + node + 1]):
            bits, members = at + (1 + tables.set_halves[each]) * size, tables.sets.ctypes.data + each * (HALF // 8)
            for block in range(blocks):
                masks[node, block] |= in_set(
                    np.uintp(at + block * ROWS), np.uintp(bits + block * ROWS), np.uintp(members)
                )


@compiled
def encode_row(values: Vectors, tables: Tables, codes: Codes) -> None:
    """Writes the codes of one row, float32 [k] -> uint8 [planes], each where its column's first plane is."""
    for column in range(len(tables.column_features)):
        value, kind = values[tables.column_features[column]], tables.column_kinds[column]
        plane = tables.column_planes[column]
        if kind == CATEGORY:
            codes[plane] = _category(value)
            continue
        is_zero = not abs(value) > TINY  # also where it is NaN
        is_missing = is_zero if kind < NAN_LEFT else np.isnan(value)
        if kind != NUMBER and is_missing:
            codes[plane] = np.uint8(0 if kind in (ZERO_LEFT, NAN_LEFT) else UNKNOWN)
            continue
        value = np.float32(0) if is_zero else value
        start = tables.threshold_start[column]
        left, place = tables.threshold_start[column + 1] - start, 0
        while left > 0:
            half = (left + 1) // 2
            place = place + half if tables.thresholds[start + place + half - 1] < value else place
            left -= half
        codes[plane] = np.uint8(place)


@compiled
def goes_left(tables: Tables, node: int, codes: Codes) -> bool:
    """Returns whether a row of these codes, uint8 [planes], goes left at a node."""
    code = codes[tables.node_planes[node]]
    first_set, last_set = tables.set_start[node], tables.set_start[node + 1]
    if first_set == last_set:
        return bool(code <= tables.node_codes[node])
    for each in range(first_set, last_set):
        if tables.set_halves[each] == code >> 7:
            return bool((tables.sets[each, code & 15] >> ((code >> 4) & 7)) & 1)
    return False
