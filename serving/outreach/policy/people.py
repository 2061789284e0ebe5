"""Where subscriptions and persons stand in the policy's arrays: sorted ids of a fixed width, 20 bytes each, no dict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Rows

Keys = npt.NDArray[np.bytes_]
Places = npt.NDArray[np.int32]


class Positions(Mapping[str, int]):
    """Id -> place in a sorted array of ids."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def find(self, ids: Iterable[str]) -> Rows:
        """Returns the place of each id, -1 for one that is not there."""
        width = self._keys.dtype.itemsize
        asked = [name.encode(errors="surrogatepass") for name in ids]
        asked = [b"\0" if len(name) > width or b"\0" in name else name for name in asked]
        return self.find_keys(np.array(asked, dtype=self._keys.dtype))

    def find_keys(self, wanted: Keys) -> Rows:
        """Returns the place of each padded id, -1 for one that is not there."""
        if not len(self._keys):
            return np.full(len(wanted), -1, dtype=np.intp)
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where((self._keys[places] == wanted) & (wanted != b""), places, -1)

    def __getitem__(self, name: str) -> int:
        """Returns an id's place. Raises KeyError for one that is not there."""
        (place,) = self.find([name]).tolist()
        if place < 0:
            raise KeyError(name)
        return int(place)

    def __iter__(self) -> Iterator[str]:
        """Yields the ids in order."""
        return (key.decode() for key in self._keys.tolist())

    def __len__(self) -> int:
        """Returns how many ids there are."""
        return len(self._keys)


def padded(column: Any, width: int = 0) -> Keys:
    """Returns a column of ids as bytes of one width, padded with NUL, which no id ends with; `width` is the least."""
    import pyarrow.compute as pc

    whole = column.combine_chunks()
    widest = max(1, width, pc.max(pc.binary_length(whole)).as_py() or 0)
    content = pc.ascii_rpad(whole, width=widest, padding="\0").buffers()[2]
    return np.frombuffer(content or b"", dtype=f"S{widest}", count=len(whole))


@dataclass(frozen=True)
class Scope:
    """Some persons with all rows that they hold, each person's rows together.

    Attributes:
        persons: Their codes, ascending, int [p].
        rows: The rows of the policy, int [r].
        holder: Which of `persons` holds each of the rows, int [r].
    """

    persons: Rows
    rows: Rows
    holder: Rows


class People:
    """The persons who hold the rows of a policy; a person's code is its place among the sorted person ids."""

    def __init__(self, table: Any) -> None:
        keys = padded(table.column("person_id"))
        rank = table.column("person_rank").to_numpy()
        self._order = np.empty(len(keys), dtype=np.int32)
        self._order[rank] = np.arange(len(keys), dtype=np.int32)
        ordered = keys[self._order]
        first = np.ones(len(keys), dtype=bool)
        first[1:] = ordered[1:] != ordered[:-1]
        self._starts = np.append(np.flatnonzero(first), len(keys))
        self._names = ordered[first]
        self.codes = Positions(self._names)
        self.of_row: Places = np.empty(len(keys), dtype=np.int32)
        self.of_row[self._order] = np.cumsum(first, dtype=np.int32) - 1

    def names(self, persons: Rows) -> list[str]:
        """Returns the ids of some persons."""
        return [name.decode() for name in self._names[persons].tolist()]

    def find(self, column: Any) -> Rows:
        """Returns the code of each person of an Arrow column, -1 for one who holds no row."""
        width = self._names.dtype.itemsize
        keys = padded(column, width)
        found = self.codes.find_keys(keys.astype(f"S{width}"))
        return np.where(np.char.str_len(keys) > width, -1, found) if keys.dtype.itemsize > width else found

    def everybody(self) -> Scope:
        """Returns the scope of all rows."""
        persons = np.arange(len(self._names), dtype=np.intp)
        return Scope(persons, self._order.astype(np.intp), np.repeat(persons, np.diff(self._starts)))

    def scope(self, persons: Rows) -> Scope:
        """Returns the scope of some persons, given by ascending codes."""
        spans = [self._order[self._starts[code] : self._starts[code + 1]] for code in persons]
        holder = np.repeat(np.arange(len(persons)), [len(span) for span in spans])
        return Scope(persons, np.concatenate([self._order[:0], *spans]).astype(np.intp), holder)

    def first_rows(self, rows: Rows) -> Flags:
        """Returns which of some rows is the first of its person among them."""
        _, first = np.unique(self.of_row[rows], return_index=True)
        flags = np.zeros(len(rows), dtype=bool)
        flags[first] = True
        return flags
