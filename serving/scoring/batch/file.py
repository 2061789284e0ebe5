"""Everybody in one file of portraits, scored in chunks: memory does not grow with the base; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.kit.arrays import Flags, Integers
from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.kit.terminal.progress import SILENT, Progress, Tick
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from serving.scoring.champion import load_champion, scorer_of
from serving.scoring.ranks import STEPS, RankTable
from serving.scoring.scorer import UNSEEN, ScoredRows, Scorer
from serving.scoring.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa
CHUNK_ROWS = 50_000

Explain = Literal["top", "all", "none"]


@dataclass(frozen=True)
class ScoredFile:
    """The scores of one file of portraits.

    Attributes:
        table: One row per customer, as `scores.parquet` holds them.
        columns: The same as numbers.
        ranks: Their spread, or None if nobody had a score.
        explained: Customers with reasons.
    """

    table: pa.Table
    columns: ScoredRows
    ranks: RankTable | None
    explained: int


def score_file(
    scorer: Scorer,
    portraits: Portraits,
    path: Path,
    as_of: date,
    *,
    explain: Explain = "top",
    ids: frozenset[str] = frozenset(),
    threads: int = 1,
    chunk_rows: int = CHUNK_ROWS,
    progress: Progress = SILENT,
) -> ScoredFile:
    """Returns the scores of everybody in a file of portraits; nothing is written.

    Args:
        scorer: The model.
        portraits: Whose feature list the file has.
        path: The file.
        as_of: Its as-of date.
        explain: Whose reasons to find.
        ids: Customers whose reasons to find besides.
        threads: Native threads.
        chunk_rows: Portraits in memory at a time.
        progress: Shows how far it is.
    """
    target = scorer.target
    with progress.step(f"scores: {target}", total=row_count(path)) as tick:
        customers, columns = score_rows(scorer, portraits, path, threads, chunk_rows, tick)
    is_enough = columns.is_enough
    ranks = None
    if is_enough.any():
        ranks = RankTable.of(target, scorer.version, as_of, columns.margins[is_enough])
    places = np.full(len(customers), -1) if ranks is None else np.where(is_enough, ranks.places(columns.margins), -1)
    wanted = _wanted(explain, ids, customers, places, load_settings().reasons.batch_top_share) & is_enough
    with progress.step(f"reasons: {target}", total=int(wanted.sum())) as tick:
        codes = _explain_chunks(scorer, portraits, path, wanted, threads, chunk_rows, tick)
    return ScoredFile(_table(scorer, customers, columns, places, codes), columns, ranks, int(wanted.sum()))


def explain_customers(home: Home, target: str, as_of: date, ids: Sequence[str]) -> dict[str, list[str]]:
    """Returns the reason codes of customers by the target's champion; without a portrait they are left out."""
    portraits = Portraits.open(home)
    path = portraits.path(as_of)
    scorer = scorer_of(load_champion(home, target, check_in_child=False), portraits)
    wanted_ids = frozenset(ids)
    found: dict[str, list[str]] = {}
    for table in _chunks(path, CHUNK_ROWS, ["customer_id", *portraits.feature_list.names, "facts"]):
        customers = table.column("customer_id").to_pylist()
        rows = [row for row, customer_id in enumerate(customers) if customer_id in wanted_ids]
        if rows:
            some = table.take(rows)
            codes = scorer.reason_codes(
                encode(some, portraits.feature_list), some.column("facts").to_pylist(), most=_most()
            )
            found |= dict(zip(some.column("customer_id").to_pylist(), codes, strict=True))
    return found


def _most() -> int:
    return load_settings().reasons.most


def row_count(path: Path) -> int:
    """Returns how many portraits a file holds."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _chunks(path: Path, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
            yield pa.Table.from_batches([batch])


def score_rows(
    scorer: Scorer, portraits: Portraits, path: Path, threads: int, chunk_rows: int, tick: Tick
) -> tuple[list[str], ScoredRows]:
    """Returns the customers of a file and their scores, read in chunks. Raises NotReadyError if it is empty."""
    customers: list[str] = []
    parts: list[ScoredRows] = []
    for table in _chunks(path, chunk_rows, ["customer_id", *portraits.feature_list.names]):
        parts.append(scorer.rows(encode(table, portraits.feature_list), threads=threads))
        customers += table.column("customer_id").to_pylist()
        tick(table.num_rows)
    if not parts:
        raise NotReadyError(f"{path}: nobody has a portrait", remedy="land feeds with customers known before this date")
    names = [field.name for field in fields(ScoredRows)]
    return customers, ScoredRows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _wanted(explain: Explain, ids: frozenset[str], customers: list[str], places: Integers, top_share: float) -> Flags:
    """Returns whose reasons to find, bool [n]."""
    wanted = np.full(len(customers), explain == "all")
    if explain == "top":
        wanted |= places >= STEPS - round(top_share * STEPS)
    if ids:
        wanted |= np.fromiter((customer_id in ids for customer_id in customers), dtype=bool, count=len(customers))
    return wanted


def _explain_chunks(
    scorer: Scorer,
    portraits: Portraits,
    path: Path,
    wanted: Flags,
    threads: int,
    chunk_rows: int,
    tick: Tick,
) -> dict[int, list[str]]:
    """Returns the reason codes of the wanted rows by row number."""
    codes: dict[int, list[str]] = {}
    most, start = _most(), 0
    for table in _chunks(path, chunk_rows, [*portraits.feature_list.names, "facts"]) if wanted.any() else ():
        rows = wanted[start : start + table.num_rows].nonzero()[0]
        if len(rows):
            some = table.take(rows)
            vectors, facts = encode(some, portraits.feature_list), some.column("facts").to_pylist()
            found = scorer.reason_codes(vectors, facts, most=most, threads=threads)
            codes |= dict(zip((start + rows).tolist(), found, strict=True))
            tick(len(rows))
        start += table.num_rows
    return codes


def _table(
    scorer: Scorer, customers: list[str], rows: ScoredRows, places: Integers, codes: dict[int, list[str]]
) -> pa.Table:
    import pyarrow as pa

    refused = ~rows.is_enough
    unranked = places < 0
    bands = pa.DictionaryArray.from_arrays(
        pa.array(scorer.bands.indices(places).astype(np.int32), mask=unranked), pa.array(scorer.bands.names)
    )
    return pa.table(
        {
            "customer_id": pa.array(customers, type=pa.string()),
            "status": pa.array(np.where(refused, "not_enough_data", "ok"), type=pa.string()),
            "margin": pa.array(rows.margins),
            "propensity": pa.array(rows.propensities, mask=refused),
            "percentile": pa.array(places / (STEPS / 100), mask=unranked),
            "times_base": pa.array(rows.times_base, mask=np.isnan(rows.times_base)),
            "band": bands.cast(pa.string()),
            "missing": _name_lists(rows.is_missing, scorer.dimensions),
            "flags": _name_lists(rows.is_unseen, tuple(UNSEEN + name for name in scorer.categories)),
            "reason_codes": pa.array([codes.get(row) for row in range(len(customers))], type=pa.list_(pa.string())),
        }
    )


def _name_lists(marks: Flags, names: Sequence[str]) -> pa.Array:
    """Returns the names of each row's marks; few patterns occur, so each is spelt out once."""
    import pyarrow as pa

    patterns, which = np.unique(marks, axis=0, return_inverse=True)
    spelt = [[names[place] for place in pattern.nonzero()[0]] for pattern in patterns]
    return pa.array(spelt, type=pa.list_(pa.string())).take(pa.array(which.reshape(-1)))
