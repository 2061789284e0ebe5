"""The portraits of a day in one pass, block by block, by all models; a killed pass goes on after its last block.

    portrait.parquet --block of rows, encoded once--> each model's scores and reasons --> <work>/<model>/<block>.npy

Memory does not grow with the base: as many blocks are held as there are threads.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.kit.files import atomic_path, read_json, write_json
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.feature_list import FeatureList
from features.portraits.vector import encode
from serving.scoring.batch.records import Records, fingerprints, pack, record_type
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.reasons.choice import facts_held
from serving.scoring.scorer import Scorer, reasons_in
from serving.scoring.settings import ScoreSettings

BLOCK_ROWS = 32_768
PLAN = "plan.json"


@dataclass(frozen=True)
class Job:
    """One model on the whole base.

    Attributes:
        scorer: The model.
        explain: Whether to find everybody's reasons.
    """

    scorer: Scorer
    explain: bool = True

    @property
    def name(self) -> str:
        """Returns the name of its folder of blocks."""
        return f"{self.scorer.target}-{self.scorer.version}"


@dataclass(frozen=True)
class Base:
    """The portraits of one day, and by what they are scored.

    Attributes:
        path: The file, sorted by customer.
        features: Its feature list.
        book: The reasons.
        settings: How many reasons there are, and of how many dimensions.
        block_rows: Portraits of a block; changes no score.
    """

    path: Path
    features: FeatureList
    book: ReasonBook
    settings: ScoreSettings
    block_rows: int = BLOCK_ROWS

    @cached_property
    def rows(self) -> int:
        """Returns how many portraits there are."""
        return int(pq.read_metadata(self.path).num_rows)

    def rows_of(self, number: int) -> int:
        """Returns the rows of a block."""
        return min(self.block_rows, self.rows - number * self.block_rows)

    def block(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Returns some columns of one block, read from the row groups that hold it."""
        first, rows = number * self.block_rows, self.rows_of(number)
        with pq.ParquetFile(self.path) as file:
            ends = np.cumsum([file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)])
            groups = range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(ends, first + rows)) + 1)
            before = int(ends[groups[0] - 1]) if groups[0] else 0
            return file.read_row_groups(list(groups), columns=list(columns), use_threads=False).slice(
                first - before, rows
            )

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yields some columns of each block."""
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=self.block_rows, columns=list(columns), use_threads=False):
                yield pa.Table.from_batches([batch])


def score_blocks(
    base: Base, jobs: Sequence[Job], work: Path, plan: dict[str, Any], *, threads: int = 1, progress: Progress = SILENT,
    elsewhere: Callable[[Sequence[int]], Iterable[int]] | None = None,
) -> None:  # fmt: skip
    """Writes the records of every block and model below `work`; what a killed pass of the same plan wrote is kept.

    Args:
        base: Whom to score.
        jobs: The models.
        work: The folder of blocks; of another plan it is emptied.
        plan: All that a record depends on.
        threads: Blocks at work at a time.
        progress: Shows how far it is, in customers.
        elsewhere: Scores the blocks of some numbers in other processes, yields the rows of each (`spark.py`).
    """
    plan |= {"block_rows": base.block_rows, "jobs": [[job.name, job.explain] for job in jobs]}
    if not (work / PLAN).exists() or dict(read_json(work / PLAN)) != plan:
        shutil.rmtree(work, ignore_errors=True)
        write_json(work / PLAN, plan)
    label = f"scores: {', '.join(dict.fromkeys(job.scorer.target for job in jobs))}"
    missing = [
        number
        for number in range(-(-base.rows // base.block_rows))
        if not all(block_path(work, job, number).exists() for job in jobs)
    ]
    with progress.step(label, total=base.rows) as tick:
        tick(base.rows - sum(map(base.rows_of, missing)))
        for rows in (elsewhere or partial(_score_here, base, jobs, work, threads))(missing):
            tick(rows)


def _score_here(base: Base, jobs: Sequence[Job], work: Path, threads: int, numbers: Sequence[int]) -> Iterator[int]:
    """Scores some blocks in threads of this process as they are read in order, yields the rows of each."""
    wanted, at_work = frozenset(numbers), deque[Future[int]]()
    with ThreadPoolExecutor(threads) as pool:
        for number, table in enumerate(base.blocks(_columns(base, jobs))):
            if number not in wanted:
                continue
            at_work.append(pool.submit(_score_rows, base, jobs, work, number, table))
            while len(at_work) > (threads if threads > 1 else 0):
                yield at_work.popleft().result()
                hit("score.after_block")
        for each in at_work:
            yield each.result()


def block_path(work: Path, job: Job, number: int) -> Path:
    """Returns where the records of a block and model lie."""
    return work / job.name / f"{number:06d}.npy"


def records_of(work: Path, job: Job) -> list[Records]:
    """Returns a model's records, block by block; what is not looked at stays on the disk."""
    return [np.load(path, mmap_mode="r") for path in sorted((work / job.name).glob("*.npy"))]


def column_of(records: Sequence[Records], name: str) -> Any:
    """Returns one field of all blocks."""
    return np.concatenate([block[name] for block in records])


def score_block(base: Base, jobs: Sequence[Job], work: Path, number: int) -> int:
    """Reads one block and scores it by all models; returns its rows."""
    return _score_rows(base, jobs, work, number, base.block(number, _columns(base, jobs)))


def _columns(base: Base, jobs: Sequence[Job]) -> list[str]:
    return ["customer_id", *base.features.names, *(["facts"] if any(job.explain for job in jobs) else [])]


def _score_rows(base: Base, jobs: Sequence[Job], work: Path, number: int, table: pa.Table) -> int:
    values = encode(table, base.features)
    portraits, held, most = np.zeros(table.num_rows, dtype=np.uint64), None, base.settings.reasons.most
    if "facts" in table.column_names:
        texts = table.column("facts").to_pylist()
        portraits = fingerprints(values, texts)
        held = facts_held(base.book, [reasons_in(text) for text in texts])
    for job in jobs:
        reasons = job.scorer.reasons(values, held, most=most) if job.explain and held is not None else None
        records = pack(job.scorer.rows(values), reasons, portraits, record_type(job.scorer, most))
        with atomic_path(block_path(work, job, number)) as temporary:
            np.save(temporary, records)
    return int(table.num_rows)
