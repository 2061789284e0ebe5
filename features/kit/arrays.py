"""The array types of the house: one name for each kind of numpy array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]
"""Rows are places in an array; days are `datetime64[D]`; labels are 0 or 1."""
