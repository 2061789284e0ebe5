"""Batch scoring on Spark: an executor scores a block by the same code as here, into the same folder of blocks.

An executor opens the models once; what it writes are the files that a pass on one machine writes, so the rest of the
night (ranks, scores, lookup) does not know where a block was scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.kit.home import Home
from features.kit.spark import spark_session
from features.portraits.reading import Portraits
from serving.scoring.batch.blocks import Base, Job, score_block
from serving.scoring.batch.lookup import made_by
from serving.scoring.champion import scorer_of
from training.bundle import load


@dataclass(frozen=True)
class Place:
    """Where an executor finds what it needs: folders that all machines see at the same place.

    Attributes:
        home: The state.
        base: The portraits, and by what they are scored.
        bundles: Each model's folder, and whether to find reasons.
        work: The folder of blocks.
        made_by: What the scores are made by, as text: an executor that lives on opens its models anew for another.
    """

    home: Home
    base: Base
    bundles: tuple[tuple[Path, bool], ...]
    work: Path
    made_by: str


def score_on_spark(
    home: Home, base: Base, jobs: Sequence[Job], work: Path, threads: int, numbers: Sequence[int]
) -> Iterator[int]:
    """Scores the blocks of these numbers on executors, yields the rows of each as it is done."""
    made = repr([made_by(job.scorer, base.settings.reasons.most) for job in jobs])
    place = Place(home, base, tuple((job.scorer.bundle.folder, job.explain) for job in jobs), work, made)
    with spark_session(threads) as session:
        blocks = session.sparkContext.parallelize(list(numbers), max(len(numbers), 1))
        yield from blocks.map(lambda number: _score(place, number)).toLocalIterator(prefetchPartitions=True)


def _score(place: Place, number: int) -> int:
    """Scores one block; returns its rows."""
    return score_block(place.base, _jobs(place), place.work, number)


_opened: dict[tuple[object, ...], tuple[Job, ...]] = {}


def _jobs(place: Place) -> tuple[Job, ...]:
    """Returns the models, loaded once in each executor's process. They were checked where the night began."""
    key = (place.home, place.bundles, place.made_by)
    if key not in _opened:
        portraits = Portraits.open(place.home)
        _opened[key] = tuple(
            Job(scorer_of(load(folder, check_in_child=False), portraits, place.base.book), explain)
            for folder, explain in place.bundles
        )
    return _opened[key]
