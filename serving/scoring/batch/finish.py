"""From a model's records to what is served of them: rank table, scores as a table, lookup. Written block by block."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.kit.arrays import Flags, Floats
from features.kit.errors import DataError
from features.kit.files import atomic_path
from features.kit.runs import hit
from serving.scoring.batch.blocks import Base, Job, column_of, records_of
from serving.scoring.batch.lookup import LOOKUP, LookupWriter
from serving.scoring.batch.records import Records, unpack
from serving.scoring.batch.stored import PROVENANCE, SCORES
from serving.scoring.ranks import FILE as RANKS
from serving.scoring.ranks import STEPS, RankTable
from serving.scoring.reasons.choice import NO_REASON
from serving.scoring.scorer import UNSEEN, Scorer

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Finished:
    """The scores of one model as they were written.

    Attributes:
        ranks: Their spread, or None if nobody had a score.
        margins: Raw scores, float64 [n].
        propensities: Calibrated propensities, float64 [n]; NaN where there is not enough data.
        explained: Customers with reasons.
    """

    ranks: RankTable | None
    margins: Floats
    propensities: Floats
    explained: int

    @property
    def is_enough(self) -> Flags:
        """Returns who has a score, bool [n]."""
        return ~np.isnan(self.propensities)


def finish(
    base: Base, job: Job, work: Path, folder: Path, as_of: date, *, origin: bytes = b"", at: datetime | None = None
) -> Finished:
    """Writes a model's scores and rank table into a folder, and their lookup where everybody is explained.

    Args:
        base: Who was scored.
        job: The model.
        work: Where its records are (see `score_blocks`).
        folder: Where to write.
        as_of: The as-of date.
        origin: What the scores were made of, for the file's metadata.
        at: When they were made, UTC; None: no lookup is wanted.
    """
    records, scorer = records_of(work, job), job.scorer
    margins, propensities = column_of(records, "margin"), column_of(records, "propensity")
    is_enough, ranks = ~np.isnan(propensities), None
    if is_enough.any():
        ranks = RankTable.of(scorer.target, scorer.version, as_of, margins[is_enough])
    for name in (RANKS, LOOKUP):  # until the new ones are there, the API answers null and scores by itself
        (folder / name).unlink(missing_ok=True)
    hit("score.before_scores")
    is_wanted = at is not None and job.explain
    explained = _write_rows(base, job, records, ranks, folder, origin, at if is_wanted else None)
    hit("score.after_scores")
    if ranks is not None:
        ranks.save(folder)
    return Finished(ranks, margins, propensities, explained)


def _write_rows(
    base: Base, job: Job, records: Sequence[Records], ranks: RankTable | None, folder: Path, origin: bytes,
    at: datetime | None,
) -> int:  # fmt: skip
    """Writes table and lookup; returns how many customers have reasons."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    scorer, explained, rows = job.scorer, 0, sum(map(len, records))
    with atomic_path(folder / SCORES) as temporary:
        with ExitStack() as stack:
            writer = lookup = None
            if at is not None:
                sizes = (pc.max(pc.binary_length(block["customer_id"])) for block in base.blocks(["customer_id"]))
                place = stack.enter_context(atomic_path(folder / LOOKUP))
                file = stack.enter_context(place.open("wb"))
                width = max(size.as_py() for size in sizes)
                lookup = LookupWriter(file, scorer, base.settings.reasons.most, rows, width, at)
            for block, found in zip(base.blocks(["customer_id"]), records, strict=True):
                customers = block["customer_id"].combine_chunks()
                table = table_of(scorer, customers, found, ranks).replace_schema_metadata({PROVENANCE: origin})
                explained += len(table) - table["reason_codes"].null_count
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(temporary, table.schema, compression="zstd"))
                writer.write_table(table)
                if lookup is not None:
                    lookup.add(customers.cast("binary").to_pylist(), found)
        written = pq.read_metadata(temporary).num_rows
        if written != rows:
            raise DataError(f"{folder / SCORES}: wrote {written} of {rows} rows")
    if lookup is not None and not lookup.is_sorted:
        (folder / LOOKUP).unlink()
    return explained


def table_of(scorer: Scorer, customers: pa.Array, records: Records, ranks: RankTable | None) -> pa.Table:
    """Returns the records of n customers as rows of `scores.parquet`."""
    import pyarrow as pa

    rows = unpack(records, scorer)
    refused = ~rows.is_enough
    places = np.full(len(records), -1) if ranks is None else np.where(refused, -1, ranks.places(rows.margins))
    unranked = places < 0
    bands = pa.DictionaryArray.from_arrays(
        pa.array(scorer.bands.indices(places).astype(np.int32), mask=unranked), pa.array(scorer.bands.names)
    )
    is_given = records["codes"] != NO_REASON
    counts = is_given.sum(axis=1)
    starts = pa.array(np.append(0, counts.cumsum()).astype(np.int32), mask=np.append(counts == 0, False))
    codes = pa.DictionaryArray.from_arrays(
        pa.array(records["codes"][is_given].astype(np.int32)), pa.array(scorer.codes)
    ).cast(pa.string())
    return pa.table(
        {
            "customer_id": customers,
            "status": pa.array(np.where(refused, "not_enough_data", "ok"), type=pa.string()),
            "margin": pa.array(rows.margins),
            "propensity": pa.array(rows.propensities, mask=refused),
            "percentile": pa.array(places / (STEPS / 100), mask=unranked),
            "times_base": pa.array(rows.times_base, mask=np.isnan(rows.times_base)),
            "band": bands.cast(pa.string()),
            "missing": _name_lists(records["missing"], rows.is_missing, scorer.dimensions),
            "flags": _name_lists(records["unseen"], rows.is_unseen, tuple(UNSEEN + name for name in scorer.categories)),
            "reason_codes": pa.ListArray.from_arrays(starts, codes),
            "reason_contributions": pa.ListArray.from_arrays(starts, pa.array(records["contributions"][is_given])),
        }
    )


def _name_lists(packed: np.ndarray, marks: Flags, names: Sequence[str]) -> pa.Array:
    """Returns the names of each row's marks; few patterns occur, so each is spelt out once."""
    import pyarrow as pa

    patterns = np.ascontiguousarray(packed).view(f"S{packed.shape[1]}").reshape(-1) if names else np.zeros(len(marks))
    _, first, which = np.unique(patterns, return_index=True, return_inverse=True)
    spelt = [[names[place] for place in marks[row].nonzero()[0]] for row in first]
    return pa.array(spelt, type=pa.list_(pa.string())).take(pa.array(which.reshape(-1)))
