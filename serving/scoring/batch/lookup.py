"""One customer's stored score in microseconds: a file that every process maps, searched by customer id.

    header (JSON: of which model, reasons and settings) | customer ids, sorted, of one width | records in their order

It lies beside the scores that it was made with, and it only saves time: without it, and for a portrait that is another
than the one that was scored, scores are worked out anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import orjson

from features.kit.arrays import Vectors
from features.kit.files import write_bytes
from features.kit.home import Home
from serving.scoring.batch.records import Records, fingerprints, record_type, unpack
from serving.scoring.ranks import scores_folder
from serving.scoring.scorer import Scorer, StoredRows

if TYPE_CHECKING:
    from serving.scoring.settings import ScoreSettings

LOOKUP = "lookup.bin"
_HEADER_BYTES = 4096

Ids = npt.NDArray[np.bytes_]


def made_by(scorer: Scorer, most: int) -> dict[str, Any]:
    """Returns all that a record depends on besides the portrait."""
    manifest = scorer.bundle.manifest
    return {
        "target": scorer.target,
        "version": scorer.version,
        "model_hash": manifest.model_hash,
        "calibration": manifest.files.get("calibration.json", ""),
        "portraits": scorer.identity,
        "configuration": scorer.configuration,
        "most": most,
    }


class LookupWriter:
    """Writes a lookup block by block, each of its two parts in its place."""

    def __init__(self, file: BinaryIO, scorer: Scorer, most: int, rows: int, width: int, at: datetime) -> None:
        self._file = file
        # a byte more than the longest: no id touches the next, and the search for traces of a person finds whole words
        self._ids, self._records = np.dtype(f"S{width + 1}"), record_type(scorer, most)
        self._rows, self._done, self._last = rows, 0, b""
        self.is_sorted = True
        header = made_by(scorer, most) | {"rows": rows, "width": self._ids.itemsize, "at": at.isoformat()}
        file.write(orjson.dumps(header).ljust(_HEADER_BYTES))

    def add(self, ids: Sequence[bytes], records: Records) -> None:
        """Adds the next customers; where one is out of order `is_sorted` falls, and nobody could be found."""
        block = np.array(ids, dtype=self._ids)
        self.is_sorted = self.is_sorted and self._last < block[0] and bool((block[:-1] < block[1:]).all())
        self._last = block[-1]
        self._file.seek(_HEADER_BYTES + self._done * self._ids.itemsize)
        self._file.write(block.tobytes())
        self._file.seek(_HEADER_BYTES + self._rows * self._ids.itemsize + self._done * self._records.itemsize)
        self._file.write(records.tobytes())
        self._done += len(block)


@dataclass(frozen=True)
class Lookup:
    """The stored scores of one model and day, mapped.

    Attributes:
        scorer: The model.
        ids: The customers, sorted.
        records: Their records.
        at: When they were scored, UTC.
    """

    scorer: Scorer
    ids: Ids
    records: Records
    at: datetime

    @classmethod
    def open(cls, path: Path, scorer: Scorer, most: int) -> Self | None:
        """Returns a file's scores if they are what a model would say now, else None."""
        try:
            with path.open("rb") as file:
                header = orjson.loads(file.read(_HEADER_BYTES))
            expected = made_by(scorer, most)
            if {name: header[name] for name in expected} != expected:
                return None
            rows, ids = header["rows"], np.dtype(f"S{header['width']}")
            at, records = _HEADER_BYTES + rows * ids.itemsize, record_type(scorer, most)
            if path.stat().st_size != at + rows * records.itemsize:
                return None
            return cls(
                scorer,
                np.asarray(np.memmap(path, ids, "r", _HEADER_BYTES, (rows,))),
                np.asarray(np.memmap(path, records, "r", at, (rows,))),
                datetime.fromisoformat(header["at"]),
            )
        except (OSError, ValueError, KeyError, TypeError):  # none, or not whole: scores are worked out
            return None

    def find(self, ids: Sequence[str], values: Vectors, facts: Sequence[str]) -> StoredRows:
        """Returns what is stored of customers whose portraits are still those that were scored.

        Args:
            ids: The customers, n.
            values: Their portraits now, float32 [n, features of the portrait].
            facts: Their portraits' facts, n texts.
        """
        names = [customer_id.encode() for customer_id in ids]
        wanted = np.array(names, dtype=self.ids.dtype)  # of one type: otherwise all ids would be copied
        places = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        records = self.records[places]
        is_stored = (self.ids[places] == wanted) & (records["portrait"] == fingerprints(values, facts))
        is_stored &= [len(name) <= self.ids.itemsize for name in names]
        return StoredRows(is_stored, unpack(records, self.scorer), records["codes"], self.at)


def remove_customers(path: Path, customer_ids: frozenset[str]) -> int:
    """Rewrites a lookup without some customers and returns how many there were; a damaged one is removed."""
    content = path.read_bytes()
    try:
        header = orjson.loads(content[:_HEADER_BYTES])
        rows, width = header["rows"], header["width"]
        at = _HEADER_BYTES + rows * width
        size = (len(content) - at) // rows
        ids = np.frombuffer(content, f"S{width}", rows, _HEADER_BYTES)
        records = np.frombuffer(content, f"V{size}", rows, at)
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        path.unlink()
        return 0
    kept = ~np.isin(ids, [customer_id.encode() for customer_id in customer_ids])
    if not kept.all():
        header |= {"rows": int(kept.sum())}
        write_bytes(path, orjson.dumps(header).ljust(_HEADER_BYTES) + ids[kept].tobytes() + records[kept].tobytes())
    return int((~kept).sum())


class Lookups:
    """The lookups of a home as a running process uses them; what was written again is opened again."""

    def __init__(self, home: Home, settings: ScoreSettings) -> None:
        self._home = home
        self._most = settings.reasons.most
        self._lock = threading.Lock()
        self._open: dict[tuple[Scorer, date], tuple[str, int, Lookup | None]] = {}

    def get(self, scorer: Scorer, as_of: date) -> Lookup | None:
        """Returns the stored scores that a scorer would work out again on the portraits of a day, or None."""
        key = (scorer, as_of)
        known = self._open.get(key)
        if known is None:
            path = str(scores_folder(self._home, scorer.target, scorer.version, as_of) / LOOKUP)
        else:
            path = known[0]
        try:
            written = os.stat(path).st_mtime_ns  # noqa: PTH116 - asked by every request
        except OSError:  # it only saves time
            return None
        if known is None or known[1] != written:
            with self._lock:
                former = [one for one in self._open if one[0].target == scorer.target and one != key]
                for one in former:  # a model or a day that serves no more
                    del self._open[one]
                known = self._open[key] = (path, written, Lookup.open(Path(path), scorer, self._most))
        return known[2]
