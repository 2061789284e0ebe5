"""Scores of the whole base: one Parquet file and one rank table per target, model version and as-of date.

The scores come from `Scorer`, the same path as the API's. A pointer per target names the scores to use; it is switched
last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from features.kit.files import sha256_of, write_json, write_parquet
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.reading import Portraits
from serving.scoring.batch.file import CHUNK_ROWS, Explain, row_count, score_file, score_rows
from serving.scoring.batch.shadow import score_shadow
from serving.scoring.batch.stored import POINTER, PROVENANCE, SCORES, provenance_of
from serving.scoring.champion import load_champion, scorer_of
from serving.scoring.ranks import FILE as RANKS
from serving.scoring.ranks import scores_folder
from training.bundle import CHALLENGER, load

if TYPE_CHECKING:
    pass


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
    total = row_count(path)
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
                rows_of=lambda other: score_rows(other, portraits, path, threads, chunk_rows, tick)[1],
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
