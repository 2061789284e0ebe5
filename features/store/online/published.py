"""Whom a publish held, by the home's own portraits: a customer that the store has lost is no unknown one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import mmh3
import numpy as np

from features.kit.home import Home
from features.store.online.pointer import Pointer

_SAMPLE = 20


class Published:
    """The customers of the live portraits, kept as 8 bytes each. Thread-safe.

    Where the home's partition has not as many rows as were published (built anew since, or gone), nobody is known.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._known: tuple[tuple[Pointer, int], np.ndarray, list[str]] | None = None

    def among(self, pointer: Pointer, ids: Iterable[str]) -> frozenset[str]:
        """Returns which of some customers were published."""
        hashes, _ = self._of(pointer)
        return frozenset(one for one in ids if _has(hashes, _hash(one)))

    def sample(self, pointer: Pointer) -> list[str]:
        """Returns a few of the customers, evenly over all."""
        return self._of(pointer)[1]

    def facts_of(self, pointer: Pointer, ids: Sequence[str]) -> dict[str, str]:
        """Returns the facts of those customers that were published."""
        import pyarrow.parquet as pq

        asked = [("customer_id", "in", list(ids))]
        columns = ["customer_id", "facts"]
        table = pq.read_table(self._path(pointer), columns=columns, filters=asked, partitioning=None, use_threads=False)
        return dict(zip(*(table[name].to_pylist() for name in columns), strict=True))

    def _path(self, pointer: Pointer) -> Path:
        from features.portraits.reading import PORTRAIT_FILE, partition

        return partition(self._home.portraits / pointer.identity, pointer.as_of) / PORTRAIT_FILE

    def _of(self, pointer: Pointer) -> tuple[np.ndarray, list[str]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, ids = self._path(pointer), []
        with self._lock:
            try:
                key = (pointer, path.stat().st_mtime_ns)
                if self._known is not None and self._known[0] == key:
                    return self._known[1:]
                ids = pq.read_table(path, columns=["customer_id"], partitioning=None, use_threads=False)[0].to_pylist()
            except (pa.ArrowException, OSError):  # what serves is the store; readiness and the next build see the file
                key = (pointer, 0)
            if len(ids) != pointer.rows:
                ids = []
            hashes = np.sort(np.fromiter((_hash(one) for one in ids), dtype=np.int64, count=len(ids)))
            self._known = (key, hashes, ids[:: max(1, len(ids) // _SAMPLE)])
            return self._known[1:]


def _hash(customer_id: str) -> int:
    return mmh3.hash64(customer_id.encode())[0]


def _has(hashes: np.ndarray, wanted: int) -> bool:
    place = int(np.searchsorted(hashes, wanted))
    return place < len(hashes) and int(hashes[place]) == wanted
