"""One model's kernel: the same margins to the last bit and the same contributions within 1e-5, many times faster.

A model that the kernel does not support, and a machine on which it cannot be compiled, are scored by LightGBM itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from features.kit.arrays import Floats, Vectors
from serving.scoring.kernel.tables import CompiledModel, compile_model
from serving.scoring.kernel.vectors import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

FEW = 8
"""Up to as many rows each row goes by itself; a block of 64 costs as much as about this many."""
CHUNK = 64 * ROWS


class Kernel:
    """A compiled model. Thread-safe; no row's result depends on the rows that are scored with it."""

    def __init__(self, model: CompiledModel) -> None:
        self._model = model

    @classmethod
    def of(cls, dump: Mapping[str, Any]) -> Kernel:
        """Returns the kernel of a model that `Booster.dump_model` described.

        Raises:
            UnsupportedModelError: If only LightGBM itself can score it.
        """
        return cls(compile_model(dump))

    def margins(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns the raw scores of float32 [n, k] vectors, float64 [n]: bit-equal to `Booster.predict`."""
        from serving.scoring.kernel.margins import margins_of, margins_of_rows

        result = np.empty(len(values))
        tables = self._model.tables
        if len(values) <= FEW:
            margins_of_rows(values, tables, result)
        else:
            _in_chunks(lambda rows: margins_of(values[rows], tables, result[rows]), len(values), threads)
        return result

    def contributions(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns what each feature adds to the raw score, float64 [n, k + 1]; the last column is the mean score."""
        from serving.scoring.kernel.shapley import contributions_of, contributions_of_rows

        parts = np.empty((len(values), self._model.features), dtype=np.float32)
        tables, depth = self._model.tables, self._model.depth
        if len(values) <= FEW:
            contributions_of_rows(values, tables, depth, parts)
        else:
            _in_chunks(lambda rows: contributions_of(values[rows], tables, depth, parts[rows]), len(values), threads)
        return np.column_stack([parts, np.full(len(values), self._model.expected)])


def _in_chunks(work: Callable[[slice], None], rows: int, threads: int) -> None:
    """Runs work on slices of rows, on as many threads as are allowed."""
    slices = [slice(start, start + CHUNK) for start in range(0, rows, CHUNK)]
    if threads == 1 or len(slices) == 1:
        for each in slices:
            work(each)
        return
    with ThreadPoolExecutor(threads) as pool:
        for each in pool.map(work, slices):
            assert each is None  # noqa: S101 - an error of a thread is raised here
