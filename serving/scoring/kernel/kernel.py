"""One model's kernel: the same margins to the last bit and the same contributions within 1e-5, many times faster.

A model that the kernel does not support, and a machine on which it cannot be compiled, are scored by LightGBM itself,
and the log says so once. `INSIGHT_KERNEL=off` does it for every model.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from features.kit.arrays import Floats, Vectors
from features.kit.errors import DataError
from features.kit.files import read_json
from features.kit.log import get_logger
from serving.scoring.kernel.tables import CompiledModel, compile_model
from training.bundle import GOLDEN, LoadedBundle

SWITCH = "INSIGHT_KERNEL"
FEW = 8
"""Up to as many rows each row is scored by itself; a block of 64 costs about as much as these."""
CHUNK = 4096
CLOSE = 1e-5
"""How far contributions may be from LightGBM's, times the largest of them where that is above 1."""
_lock = threading.Lock()
_kernels: WeakKeyDictionary[LoadedBundle, Kernel | None] = WeakKeyDictionary()


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

        self._check(values)
        result, tables = np.empty(len(values)), self._model.tables
        if len(values) <= FEW:
            margins_of_rows(values, tables, result)
        else:
            _in_chunks(lambda rows: margins_of(values[rows], tables, result[rows]), len(values), threads)
        return result

    def contributions(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns what each feature adds to the raw score, float64 [n, k + 1]; the last column is the mean score."""
        from serving.scoring.kernel.shapley import contributions_of, contributions_of_rows

        self._check(values)
        parts = np.empty((len(values), self._model.features), dtype=np.float32)
        tables, depth = self._model.tables, self._model.depth
        if len(values) == 1:  # half a block costs little more
            contributions_of_rows(values, tables, parts)
        else:
            _in_chunks(lambda rows: contributions_of(values[rows], tables, depth, parts[rows]), len(values), threads)
        return np.column_stack([parts, np.full(len(values), self._model.expected)])

    def _check(self, values: Vectors) -> None:
        """Raises DataError for another shape or type: machine code would read beyond the rows."""
        if values.ndim != 2 or values.shape[1] != self._model.features or values.dtype != np.float32:
            shape = f"{values.dtype} {list(values.shape)}"
            raise DataError(f"kernel: expected float32 [n, {self._model.features}], got {shape}")


def kernel_of(bundle: LoadedBundle) -> Kernel | None:
    """Returns the kernel of a bundle, made once and held against its golden rows; None where LightGBM has to score."""
    with _lock:
        if bundle not in _kernels:
            _kernels[bundle] = _checked(bundle)
        return _kernels[bundle]


def _checked(bundle: LoadedBundle) -> Kernel | None:
    if os.environ.get(SWITCH) == "off":
        return None
    manifest = bundle.manifest
    try:
        kernel = Kernel.of(bundle.described())
        why = _differs(kernel, bundle)
    # A model unlike the known ones (UnsupportedModelError, KeyError, ZeroDivisionError ...), a numba that is not there,
    # is another or cannot compile (ImportError, AttributeError, NumbaError ...), machine code that cannot be kept
    # (OSError, RuntimeError): in every case LightGBM can score.
    except Exception as error:  # noqa: BLE001
        why = f"{type(error).__name__}: {error}"
    if not why:
        return kernel
    get_logger().warning("kernel_off", target=manifest.target, version=manifest.version, reason=why)
    return None


def _differs(kernel: Kernel, bundle: LoadedBundle) -> str:
    """Returns in what the golden rows come out differently, one by one or in a block; empty if in nothing.

    Both are needed of contributions, too: each way is code of its own, and its machine code may be older than the code.
    """
    golden = np.array(read_json(bundle.folder / GOLDEN)["values"], dtype=np.float32)
    margins = bundle.margins(golden)
    by_row = np.concatenate([kernel.margins(golden[row : row + 1]) for row in range(len(golden))])
    if margins.tobytes() != kernel.margins(golden).tobytes() or margins.tobytes() != by_row.tobytes():
        return "margins of golden rows"
    some = range(0, len(golden), -(-len(golden) // FEW))
    expected = bundle.contributions(golden[some])
    by_row = np.concatenate([kernel.contributions(golden[row : row + 1]) for row in some])
    found = np.stack([by_row, kernel.contributions(golden)[some]])
    is_close = np.abs(found - expected).max() <= CLOSE * max(1.0, np.abs(expected).max())
    return "" if is_close else "contributions of golden rows"


def _in_chunks(work: Callable[[slice], None], rows: int, threads: int) -> None:
    """Runs work on slices of rows, on as many threads as are allowed."""
    slices = [slice(start, start + CHUNK) for start in range(0, rows, CHUNK)]
    if threads == 1 or len(slices) == 1:
        for each in slices:
            work(each)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slices))  # an error of a thread is raised here
