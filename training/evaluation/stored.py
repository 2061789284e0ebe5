"""The judged rows of a version as one Parquet file in its bundle, so that verdicts can be repeated without the model.

A customer is kept as 16 hex digits of a hash: enough to tell that two rows are of one customer and to join two
versions, and no identifier that anybody could look up by reading the file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.kit.arrays import Rows
from features.kit.errors import BundleError
from training.bundle import JUDGED, pseudonym
from training.evaluation.evaluate import Judged

_COLUMNS = ("customer", "as_of_date", "label", "kind", "score", "propensity", "weight")
_SLICE = "slice_"


def pseudonyms(customers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns 16 hex digits for each customer, the same for the same customer."""
    return np.array([pseudonym(str(customer)) for customer in customers.tolist()], dtype=str)


def to_parquet(judged: Judged) -> bytes:
    """Returns the rows as Parquet: sorted by as-of date and customer, slices as columns, without the oracle."""
    keys = pseudonyms(judged.customers)
    as_of = _dates(judged)
    order = np.lexsort((keys, as_of))
    columns: dict[str, Any] = {
        "customer": pa.array(keys[order].tolist(), pa.string()),
        "as_of_date": pa.array(as_of[order].astype("datetime64[D]")),
        "label": pa.array(judged.labels[order].astype(np.int8)),
        "kind": _words(judged.kinds[order]),
        "score": pa.array(judged.scores[order]),
        "propensity": pa.array(judged.propensities[order]),
        "weight": pa.array(judged.stands_for[order]),
    }
    columns |= {_SLICE + name: _words(values[order]) for name, values in judged.groupings.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def read_judged(folder: Path) -> Judged:
    """Returns the stored rows of a bundle. Raises BundleError if it has none."""
    try:
        table = pq.read_table(folder / JUDGED, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise BundleError(f"{folder / JUDGED}: cannot be read ({error})") from None
    groups = {
        name.removeprefix(_SLICE): np.array(table[name].to_pylist(), dtype=str)
        for name in table.column_names
        if name.startswith(_SLICE)
    }
    lacking = sorted(set(_COLUMNS) - set(table.column_names))
    if lacking:
        raise BundleError(f"{folder / JUDGED}: lacks {', '.join(lacking)}", remedy="train again")
    return Judged(
        customers=np.array(table["customer"].to_pylist(), dtype=str),
        labels=table["label"].to_numpy().astype(np.int8),
        kinds=np.array(table["kind"].to_pylist(), dtype=str),
        scores=table["score"].to_numpy(),
        propensities=table["propensity"].to_numpy(),
        classes=groups.pop("class", None),
        as_of=table["as_of_date"].to_numpy().astype("datetime64[D]"),
        slices=groups,
        weights=table["weight"].to_numpy(),
    )


def row_keys(customers: npt.NDArray[Any], as_of: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns one text per row that names its customer (a pseudonym) and as-of date."""
    days = as_of.astype("datetime64[D]").astype(str)
    return np.char.add(np.char.add(customers.astype(str), "@"), days)


def keys_of(stored: Judged) -> npt.NDArray[Any]:
    """Returns the row keys of stored rows, whose customers are pseudonyms already."""
    return row_keys(stored.customers, _dates(stored))


def places(wanted: npt.NDArray[Any], known: npt.NDArray[Any]) -> Rows:
    """Returns where each wanted key stands among the known ones, -1 where it does not."""
    import pandas as pd

    return np.asarray(pd.Index(known).get_indexer(pd.Index(wanted)), dtype=np.intp)


def _dates(judged: Judged) -> npt.NDArray[Any]:
    return np.zeros(len(judged.labels), "datetime64[D]") if judged.as_of is None else judged.as_of


def _words(values: Sequence[Any] | npt.NDArray[Any]) -> Any:
    """Returns a dictionary column: few words, many rows."""
    return pa.array([str(value) for value in values], pa.string()).dictionary_encode()
