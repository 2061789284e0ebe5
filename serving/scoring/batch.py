"""Scores of the whole base: one Parquet file and one rank table per target, model version and as-of date.

The portraits are read in chunks, so memory does not grow with the base. The scores come from `Scorer`, the same path
as the API's. A pointer per target names the scores to use; it is switched last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson

from features.kit.arrays import Flags, Integers
from features.kit.errors import DataError, NotReadyError
from features.kit.files import read_json, read_parquet, sha256_of, write_json, write_parquet
from features.kit.home import Home
from features.kit.progress import SILENT, Progress, Tick
from features.kit.runs import hit
from features.portraits.reading import REPORT_FILE, Portraits
from features.portraits.vector import encode
from serving.scoring.ranks import FILE as RANKS
from serving.scoring.ranks import STEPS, RankTable, scores_folder
from serving.scoring.reasons.reasons import ReasonWriter, load_book
from serving.scoring.scorer import UNSEEN, ScoredRows, Scorer
from serving.scoring.settings import load_settings
from serving.scoring.shadow import score_shadow
from training.bundle import CHALLENGER, LoadedBundle, champion, load

if TYPE_CHECKING:
    import pyarrow as pa

SCORES = "scores.parquet"
POINTER = "current.json"
PROVENANCE = b"insight.provenance"
CHUNK_ROWS = 50_000

Explain = Literal["top", "all", "none"]


@dataclass(frozen=True)
class ScoreReport:
    """What a batch wrote.

    Attributes:
        target: What was predicted.
        version: The model's version.
        as_of: The as-of date.
        rows: Customers in the base.
        refused: Customers without enough data for a score.
        base_rate: The model's base rate.
        mean: Mean propensity of the base, or None if nobody had a score.
        explained: Customers with reasons.
        seconds: Wall seconds.
        path: The scores.
        shadow: How far the challenger's scores differ (`shadow.py`), or None without one.
    """

    target: str
    version: str
    as_of: date
    rows: int
    refused: int
    base_rate: float
    mean: float | None
    explained: int
    seconds: float
    path: Path
    shadow: dict[str, Any] | None = None


@dataclass(frozen=True)
class Scores:
    """The scores of one target that count now.

    Attributes:
        target: What was predicted.
        version: The model's version.
        as_of: The as-of date.
        folder: Where they lie.
    """

    target: str
    version: str
    as_of: date
    folder: Path

    @classmethod
    def current(cls, home: Home, target: str) -> Scores | None:
        """Returns the scores that the pointer names, or None. Raises DataError if the pointer is damaged."""
        pointer = home.scores / target / POINTER
        if not pointer.exists():
            return None
        content = read_json(pointer)
        try:
            version, as_of = str(content["version"]), date.fromisoformat(content["as_of"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{pointer}: {error}", remedy="run `insight score` again") from None
        return cls(target, version, as_of, scores_folder(home, target, version, as_of))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Returns the scores sorted by customer, with the named columns or all of them."""
        remedy = f"insight score --as-of {self.as_of} makes it again"
        return read_parquet(self.folder / SCORES, columns, remedy=remedy)


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


def score_base(
    home: Home,
    target: str,
    as_of: date,
    *,
    explain: Explain = "top",
    ids: frozenset[str] = frozenset(),
    threads: int = 1,
    chunk_rows: int = CHUNK_ROWS,
    progress: Progress = SILENT,
    check_in_child: bool = True,
    version: str | None = None,
) -> ScoreReport:
    """Writes the scores of everybody with a portrait on a date, by the target's champion.

    Args:
        home: The state.
        target: What to predict.
        as_of: The as-of date of the portraits.
        explain: Whose reasons to find: the top share of `configs/serving.yaml`, everybody, or nobody.
        ids: Customers whose reasons to find besides.
        threads: Native threads of LightGBM.
        chunk_rows: Portraits in memory at a time; changes no score.
        progress: Shows how far it is.
        check_in_child: First load the model in a child process (see `training.bundle.load`).
        version: Score with this version instead, and leave the pointer to the scores that count where it is.

    Raises:
        NotReadyError: If there is no champion or no portrait of that date.
        BundleError: If the champion fails its checks or does not fit the portraits.
    """
    started = time.perf_counter()
    portraits = Portraits.open(home)
    path = portraits.path(as_of)
    bundle = (
        load_champion(home, target, check_in_child=check_in_child)
        if version is None
        else load(home.bundles / target / version, check_in_child=check_in_child)
    )
    scorer = scorer_of(bundle, portraits)
    folder = scores_folder(home, target, scorer.version, as_of)
    total = _row_count(path)
    scored = score_file(
        scorer, portraits, path, as_of, explain=explain, ids=ids, threads=threads, chunk_rows=chunk_rows,
        progress=progress,
    )  # fmt: skip
    columns, is_enough, ranks = scored.columns, scored.columns.is_enough, scored.ranks
    origin = orjson.dumps(provenance_of(scorer, portraits, as_of), option=orjson.OPT_SORT_KEYS)
    table = scored.table.replace_schema_metadata({PROVENANCE: origin})
    (folder / RANKS).unlink(missing_ok=True)  # until the new table is there, the API answers null
    hit("score.before_scores")
    write_parquet(folder / SCORES, table)
    hit("score.after_scores")
    if ranks is not None:
        ranks.save(folder)
    if version is None:
        hit("score.before_pointer")
        pointer = {"version": scorer.version, "as_of": as_of.isoformat(), "rows": total}
        write_json(home.scores / target / POINTER, pointer | {"portrait_sha256": sha256_of(path)})
        hit("score.after_pointer")
    shadow = None
    if version is None and (home.bundles / target / CHALLENGER).exists():
        with progress.step(f"shadow: {target}", total=total) as tick:
            shadow = score_shadow(
                home, target, as_of, scorer.version, scored.table["customer_id"].to_pylist(), columns,
                check_in_child=check_in_child, scorer_of=lambda bundle: scorer_of(bundle, portraits),
                rows_of=lambda other: _score_chunks(other, portraits, path, threads, chunk_rows, tick)[1],
            )  # fmt: skip
    return ScoreReport(
        target=target,
        version=scorer.version,
        as_of=as_of,
        rows=total,
        refused=int((~is_enough).sum()),
        base_rate=scorer.bundle.manifest.base_rate,
        mean=float(columns.propensities[is_enough].mean()) if is_enough.any() else None,
        explained=scored.explained,
        seconds=round(time.perf_counter() - started, 2),
        path=folder / SCORES,
        shadow=shadow,
    )


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
    with progress.step(f"scores: {target}", total=_row_count(path)) as tick:
        customers, columns = _score_chunks(scorer, portraits, path, threads, chunk_rows, tick)
    is_enough = columns.is_enough
    ranks = None
    if is_enough.any():
        ranks = RankTable.of(target, scorer.version, as_of, columns.margins[is_enough])
    places = np.full(len(customers), -1) if ranks is None else np.where(is_enough, ranks.places(columns.margins), -1)
    wanted = _wanted(explain, ids, customers, places, load_settings().reasons.batch_top_share) & is_enough
    with progress.step(f"reasons: {target}", total=int(wanted.sum())) as tick:
        codes = _explain_chunks(scorer, portraits, path, wanted, threads, chunk_rows, tick)
    return ScoredFile(_table(scorer, customers, columns, places, codes), columns, ranks, int(wanted.sum()))


def provenance_of(scorer: Scorer, portraits: Portraits, as_of: date) -> dict[str, Any]:
    """Returns what a stored score was made of, so that `insight replay` can make it again."""
    path = portraits.path(as_of)
    report = path.parent / REPORT_FILE
    told = read_json(report) if report.exists() else {}
    return {
        "target": scorer.target,
        "version": scorer.version,
        "model_hash": scorer.bundle.manifest.model_hash,
        "portrait_identity": portraits.feature_list.identity,
        "portrait_sha256": sha256_of(path),
        "built_from": told.get("built_from"),
        "arrived_until": told.get("arrived_until"),
        "reasons": load_book().content_hash(),
        "settings": load_settings().content_hash(),
    }


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


def load_champion(home: Home, target: str, *, check_in_child: bool = True) -> LoadedBundle:
    """Returns the target's champion after every check. Raises NotReadyError if there is none, else BundleError."""
    folder = champion(home.bundles, target)
    if folder is None:
        raise NotReadyError(f"no model of '{target}' has been promoted", remedy=f"insight train {target}")
    return load(folder, check_in_child=check_in_child)


def scorer_of(bundle: LoadedBundle, portraits: Portraits) -> Scorer:
    """Returns the scorer of a bundle on these portraits' feature list, with the shipped reasons and settings."""
    book = load_book()
    return Scorer(bundle, portraits.feature_list, settings=load_settings(), book=book, writer=ReasonWriter(book))


def _most() -> int:
    return load_settings().reasons.most


def _row_count(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _chunks(path: Path, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
            yield pa.Table.from_batches([batch])


def _score_chunks(
    scorer: Scorer, portraits: Portraits, path: Path, threads: int, chunk_rows: int, tick: Tick
) -> tuple[list[str], ScoredRows]:
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
