"""The array types of the house: one name for each kind of numpy array."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Table = TypeVar("Table", bound=DataclassInstance)

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]
"""Rows are places in an array; days are `datetime64[D]`; labels are 0 or 1."""


def take(table: Table, rows: npt.NDArray[Any]) -> Table:
    """Returns some rows of a frozen dataclass of arrays: each array field loses the others, the rest stays."""
    arrays = {field.name: getattr(table, field.name) for field in fields(table)}
    return replace(table, **{name: array[rows] for name, array in arrays.items() if isinstance(array, np.ndarray)})
