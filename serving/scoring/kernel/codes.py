"""Values become small codes, codes become a mask of rows a node: which of 64 rows go left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Vectors
from serving.scoring.kernel.tables import Tables
from serving.scoring.kernel.trees import CATEGORY, NAN_LEFT, NUMBER, ZERO_LEFT
from serving.scoring.kernel.vectors import ROWS, any_bit, at_most, compiled

TINY = np.float32(1e-35)
"""LightGBM takes anything this small for zero."""
UNKNOWN = 255
"""The code of a category that no set can hold, and of a missing value that goes right."""

Codes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Masks = npt.NDArray[np.uint64]


@compiled
def encode(values: Vectors, first: int, tables: Tables, codes: Codes, words: Words) -> None:
    """Writes the codes of up to 64 rows from `first` on, uint8 [columns, 64], and the one-hot words of categories."""
    rows = min(ROWS, len(values) - first)
    held = np.empty(ROWS, np.float32)
    place = np.empty(ROWS, np.uint32)
    for column in range(len(tables.column_features)):
        feature, kind = tables.column_features[column], tables.column_kinds[column]
        for row in range(ROWS):
            held[row] = values[first + min(row, rows - 1), feature]
        if kind == CATEGORY:
            _encode_categories(held, codes[column])
            for word in range(tables.word_start[column], tables.word_start[column + 1]):
                _one_hot(codes[column], word - tables.word_start[column], words[word])
            continue
        start, stop = tables.threshold_start[column], tables.threshold_start[column + 1]
        _encode_numbers(held, tables.thresholds[start:stop], place, codes[column])
        if kind != NUMBER:
            missing = np.uint8(0 if kind in (ZERO_LEFT, NAN_LEFT) else UNKNOWN)
            is_zero_missing = kind < NAN_LEFT
            for row in range(ROWS):
                value = held[row]
                if np.isnan(value) or (is_zero_missing and abs(value) <= TINY):
                    codes[column, row] = missing


@compiled
def _encode_categories(held: Vectors, codes: Codes) -> None:
    for row in range(len(held)):
        value = held[row]
        is_known = value > np.float32(-1) and value < np.float32(UNKNOWN)
        codes[row] = np.uint8(np.int32(value)) if is_known else np.uint8(UNKNOWN)


@compiled
def _one_hot(codes: Codes, word: int, bits: Words) -> None:
    for row in range(len(codes)):
        code = np.uint32(codes[row])
        bits[row] = np.uint32(1) << np.uint32(code & np.uint32(31)) if code >> np.uint32(5) == word else np.uint32(0)


@compiled
def _encode_numbers(held: Vectors, thresholds: Vectors, place: Words, codes: Codes) -> None:
    """Writes how many thresholds lie below each value: a binary search without a branch, all rows in step."""
    rows = len(held)
    for row in range(rows):
        place[row] = 0
    left = len(thresholds)
    while left > 0:
        half = np.uint32((left + 1) // 2)
        for row in range(rows):
            value = held[row] if abs(held[row]) > TINY else np.float32(0)  # also where it is NaN
            further = np.uint32(place[row] + half)
            place[row] = further if thresholds[np.uint32(further - np.uint32(1))] < value else place[row]
        left = left // 2
    for row in range(rows):
        codes[row] = np.uint8(place[row])


@compiled
def node_masks(tables: Tables, tree: int, codes: Codes, words: Words, masks: Masks) -> None:
    """Writes which rows go left at each node of a tree, uint64 [nodes]."""
    start = tables.node_start[tree]
    at_codes, at_words = codes.ctypes.data, words.ctypes.data
    for node in range(start, tables.node_start[tree + 1]):
        first_set, last_set = tables.set_start[node], tables.set_start[node + 1]
        if first_set == last_set:
            goes_left = at_most(np.uintp(at_codes + tables.node_columns[node] * ROWS), tables.node_codes[node])
        else:
            goes_left = np.uint64(0)
            for each in range(first_set, last_set):
                goes_left |= any_bit(np.uintp(at_words + tables.set_words[each] * (ROWS * 4)), tables.sets[each])
        masks[node - start] = goes_left


@compiled
def encode_row(values: Vectors, tables: Tables, codes: Codes) -> None:
    """Writes the codes of one row, float32 [k] -> uint8 [columns]: what `encode` writes for it."""
    for column in range(len(tables.column_features)):
        value, kind = values[tables.column_features[column]], tables.column_kinds[column]
        if kind == CATEGORY:
            is_known = value > np.float32(-1) and value < np.float32(UNKNOWN)
            codes[column] = np.uint8(np.int32(value)) if is_known else np.uint8(UNKNOWN)
            continue
        is_zero = not abs(value) > TINY  # also where it is NaN
        is_missing = is_zero if kind < NAN_LEFT else np.isnan(value)
        if kind != NUMBER and is_missing:
            codes[column] = np.uint8(0 if kind in (ZERO_LEFT, NAN_LEFT) else UNKNOWN)
            continue
        value = np.float32(0) if is_zero else value
        start, left = (
            tables.threshold_start[column],
            tables.threshold_start[column + 1] - tables.threshold_start[column],
        )
        place = 0
        while left > 0:
            half = (left + 1) // 2
            place = place + half if tables.thresholds[start + place + half - 1] < value else place
            left -= half
        codes[column] = np.uint8(place)


@compiled
def goes_left(tables: Tables, node: int, codes: Codes) -> bool:
    """Returns whether a row of these codes, uint8 [columns], goes left at a node."""
    code = codes[tables.node_columns[node]]
    first_set, last_set = tables.set_start[node], tables.set_start[node + 1]
    if first_set == last_set:
        return bool(code <= tables.node_codes[node])
    first_word = tables.word_start[tables.node_columns[node]]
    for each in range(first_set, last_set):
        if tables.set_words[each] - first_word == code >> 5:
            return bool((tables.sets[each] >> np.uint32(code & 31)) & np.uint32(1))
    return False
