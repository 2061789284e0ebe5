"""Scores of the whole base: one Parquet file and one rank table per target, model version and as-of date.

The scores come from `Scorer`, the same path as the API's. The portraits are read once for all targets; a pointer per
target names the scores to use, and is switched last. A killed job goes on after its last whole block.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq

from features.kit.clock import utc_now
from features.kit.errors import BundleError, NotReadyError
from features.kit.files import write_json
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.reading import Portraits
from serving.scoring.batch.blocks import BLOCK_ROWS, Base, Job, column_of, records_of, score_blocks
from serving.scoring.batch.finish import Finished, finish
from serving.scoring.batch.lookup import made_by
from serving.scoring.batch.shadow import challenger_of, write_shadow
from serving.scoring.batch.spark import score_on_spark
from serving.scoring.batch.stored import POINTER, SCORES, WORK, provenance_of
from serving.scoring.champion import load_champion, scorer_of
from serving.scoring.ranks import scores_folder
from serving.scoring.reasons.book import load_book
from serving.scoring.settings import load_settings
from training.bundle import LoadedBundle, load

if TYPE_CHECKING:
    from serving.scoring.scorer import Scorer


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
        seconds: Wall seconds until its scores counted; the targets of one job share the pass over the portraits.
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


def score_targets(
    home: Home,
    targets: Sequence[str],
    as_of: date,
    *,
    explain: bool = True,
    threads: int = 1,
    block_rows: int = BLOCK_ROWS,
    progress: Progress = SILENT,
    check_in_child: bool = True,
    version: str | None = None,
    on_spark: bool = False,
) -> dict[str, ScoreReport | BundleError]:
    """Writes the scores of everybody with a portrait on a date, by the targets' champions, in one pass.

    A champion that must not be loaded, or does not fit these portraits, is answered as its error; the others go on.

    Args:
        home: The state.
        targets: What to predict.
        as_of: The as-of date of the portraits.
        explain: Whether to find everybody's reasons.
        threads: Blocks at work at a time.
        block_rows: Portraits of a block; changes no score.
        progress: Shows how far it is.
        check_in_child: First load each model in a child process (see `training.bundle.load`).
        version: Score with this version of one target instead, and leave the pointer where it is.
        on_spark: Score the blocks on Spark's executors (`spark.py`).

    Raises:
        NotReadyError: If a target has no champion, or there is no portrait of that date.
    """
    started, at = time.perf_counter(), utc_now()
    portraits, book = Portraits.open(home), load_book()
    base = Base(portraits.path(as_of), portraits.feature_list, book, load_settings(), block_rows)
    if not base.rows:
        raise NotReadyError(
            f"{base.path}: nobody has a portrait", remedy="land feeds with customers known before this date"
        )

    def scorer_for(bundle: LoadedBundle) -> Scorer:
        return scorer_of(bundle, portraits, book)

    found: dict[str, ScoreReport | BundleError] = {}
    jobs: dict[str, Job] = {}
    beside: dict[str, tuple[str, Job | str]] = {}
    for target in targets:
        try:
            bundle = (
                load_champion(home, target, check_in_child=check_in_child)
                if version is None
                else load(home.bundles / target / version, check_in_child=check_in_child)
            )
            jobs[target] = Job(scorer_for(bundle), explain)
        except BundleError as error:
            found[target] = error
            continue
        other = None if version else challenger_of(home, target, scorer_for, check_in_child=check_in_child)
        if other is not None:
            beside[target] = other
    if not jobs:
        return found
    origin, work = provenance_of(portraits, as_of, book, base.settings), home.scores / WORK
    every = [*jobs.values(), *(job for _, job in beside.values() if isinstance(job, Job))]
    made = [made_by(job.scorer, base.settings.reasons.most) for job in every]
    elsewhere = partial(score_on_spark, home, base, every, work, threads) if on_spark else None
    plan = {"origin": origin, "models": made}
    score_blocks(base, every, work, plan, threads=threads, progress=progress, elsewhere=elsewhere)
    for target, job in jobs.items():
        with progress.step(f"ranks: {target}"):
            served = _finish(home, base, job, work, as_of, origin, at, has_pointer=version is None)
            shadow = _shadow(home, base, work, as_of, (job, served), *beside[target]) if target in beside else None
        found[target] = ScoreReport(
            target=target,
            version=job.scorer.version,
            as_of=as_of,
            rows=len(served.margins),
            refused=int((~served.is_enough).sum()),
            base_rate=job.scorer.bundle.manifest.base_rate,
            mean=float(served.propensities[served.is_enough].mean()) if served.is_enough.any() else None,
            explained=served.explained,
            seconds=round(time.perf_counter() - started, 2),
            path=scores_folder(home, target, job.scorer.version, as_of) / SCORES,
            shadow=shadow,
        )
    shutil.rmtree(work)
    return {target: found[target] for target in targets}


def _finish(
    home: Home,
    base: Base,
    job: Job,
    work: Path,
    as_of: date,
    origin: dict[str, Any],
    at: datetime,
    *,
    has_pointer: bool,
) -> Finished:
    """Writes one target's scores, then the pointer to them."""
    model = job.scorer.bundle.manifest
    made_of = origin | {"target": model.target, "version": model.version, "model_hash": model.model_hash}
    folder = scores_folder(home, model.target, model.version, as_of)
    done = finish(base, job, work, folder, as_of, at=at, origin=orjson.dumps(made_of, option=orjson.OPT_SORT_KEYS))
    if has_pointer:
        hit("score.before_pointer")
        pointer = {"version": model.version, "as_of": as_of.isoformat(), "rows": len(done.margins)}
        pointer["portrait_sha256"] = origin["portrait_sha256"]
        write_json(home.scores / model.target / POINTER, pointer)
        hit("score.after_pointer")
    return done


def _shadow(
    home: Home, base: Base, work: Path, as_of: date, champion: tuple[Job, Finished], version: str, beside: Job | str
) -> dict[str, Any]:
    """Returns how far the challenger's scores differ, or why there are none."""
    job, served = champion
    versions, target = (job.scorer.version, version), job.scorer.target
    if isinstance(beside, str):
        return {"challenger": version, "champion": versions[0], "rows": 0, "reason": beside}
    records = records_of(work, beside)
    customers = pq.read_table(base.path, columns=["customer_id"], partitioning=None)["customer_id"]
    return write_shadow(
        home, target, as_of, versions, customers, (served.margins, served.propensities),
        (column_of(records, "margin"), column_of(records, "propensity")),
    )  # fmt: skip
