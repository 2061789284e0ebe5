"""A stored score made again from the landed feeds, and compared to the last bit.

    landed feeds --as they lay here then--> portraits of that day --named model version--> scores == stored scores ?

The whole base is computed again, because percentile and band depend on everybody. The portraits are those of then even
if later deliveries changed what is known of that day: rows that arrived after the portrait was built are left out.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from features.feeds.landed.reading import Feeds
from features.kit.errors import NotFoundError
from features.kit.files import check_parquet
from features.kit.home import Home
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.build.rebuild import portrait_again
from features.portraits.feature_list import FeatureList
from features.portraits.reading import Portraits
from serving.scoring.batch.blocks import Base, Job, score_blocks
from serving.scoring.batch.finish import finish
from serving.scoring.batch.stored import PROVENANCE, SCORES, provenance_of
from serving.scoring.champion import scorer_of
from serving.scoring.ranks import RankTable
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.settings import ScoreSettings, load_settings
from training.bundle import LoadedBundle, load

MOST_SHOWN = 20
RANKS = "rank table"
ROW = "row"
_REASONS = ("reason_codes", "reason_contributions")


@dataclass(frozen=True)
class Difference:
    """One value that came out differently.

    Attributes:
        customer_id: Whose.
        name: Which column, `row` if one of the two has no such customer, or `rank table`.
        stored: What was stored.
        again: What came out now.
    """

    customer_id: str
    name: str
    stored: Any
    again: Any


@dataclass(frozen=True)
class Replay:
    """One stored batch made again.

    Attributes:
        target: What was predicted.
        version: The model's version.
        as_of: The as-of date.
        compared: Stored rows compared.
        different: How many of them came out differently in any column, the rank table counting as one.
        differences: The first of them.
        notes: What has changed since and might explain a difference.
        stored: The stored row, where one customer was asked for.
    """

    target: str
    version: str
    as_of: date
    compared: int
    different: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    stored: dict[str, Any] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Tells whether every compared value is the stored one, to the last bit."""
        return not self.different


def replay(
    home: Home,
    as_of: date,
    *,
    customer_id: str | None = None,
    target: str | None = None,
    version: str | None = None,
    threads: int = 1,
    progress: Progress = SILENT,
    check_in_child: bool = True,
) -> list[Replay]:
    """Makes the stored scores of a day again and compares them; writes nothing into the home.

    Args:
        home: The state.
        as_of: The day.
        customer_id: Compare only this customer; None compares everybody.
        target: Only this target; None: all with stored scores of that day.
        version: Only this model version; None: all with stored scores of that day.
        threads: Native threads.
        progress: Shown while it runs.
        check_in_child: First load each model in a child process (see `training.bundle.load`).

    Raises:
        NotFoundError: If no such score is stored; it names the days that are.
        BundleError: If a model version is gone or damaged.
    """
    folders = stored_folders(home, as_of, customer_id, target, version)
    # A version that is gone must be named before minutes of building.
    models = [load(home.bundles / Path(*folder.parts[-3:-1]), check_in_child=check_in_child) for folder in folders]
    feeds = Feeds.open(home)
    found: list[Replay] = []
    with tempfile.TemporaryDirectory(prefix="insight-replay-") as scratch:
        built: dict[str | None, Path] = {}
        for folder, model in zip(folders, models, strict=True):
            until = _provenance(folder / SCORES).get("arrived_until")
            if until not in built:
                path = Path(scratch) / f"{len(built)}.parquet"
                with progress.step(f"portraits of {as_of}, as they lay here until {until or 'now'}"):
                    moment = datetime.fromisoformat(until) if until else None
                    portrait_again(feeds, as_of, path, until=moment, threads=threads)
                built[until] = path
            found.append(
                _compared(home, folder, model, built[until], as_of, customer_id, threads=threads, progress=progress)
            )
    return found


def stored_folders(
    home: Home, as_of: date, customer_id: str | None, target: str | None, version: str | None
) -> list[Path]:
    """Returns the folders of the stored batches that are asked for, by target and version.

    Raises:
        NotFoundError: If there is none, or none holds the customer.
        DataError: If a stored batch is damaged.
    """
    pattern = f"{target or '*'}/{version or '*'}"
    folders = sorted(path.parent for path in home.scores.glob(f"{pattern}/as_of={as_of.isoformat()}/{SCORES}"))
    if not folders:
        days = sorted(
            {path.parent.name.removeprefix("as_of=") for path in home.scores.glob(f"{pattern}/as_of=*/{SCORES}")}
        )
        what = " ".join(filter(None, (target, version)))
        unknown = "insight models lists targets and versions" if what else f"insight score --as-of {as_of}"
        raise NotFoundError(
            f"no score{f' of {what}' if what else ''} is stored as of {as_of}",
            remedy=f"stored days: {', '.join(days[-5:])}" if days else unknown,
        )
    for folder in folders:
        check_parquet(folder / SCORES, remedy="restore it from a backup, or leave it out with --target or --version")
    if customer_id is None:
        return folders
    holding = [folder for folder in folders if _rows(folder / SCORES, customer_id)]
    if not holding:
        raise NotFoundError(
            f"customer '{customer_id}' has no stored score as of {as_of}", remedy="check --customer and --as-of"
        )
    return holding


def _compared(
    home: Home,
    folder: Path,
    bundle: LoadedBundle,
    portrait: Path,
    as_of: date,
    customer_id: str | None,
    *,
    threads: int,
    progress: Progress,
) -> Replay:
    origin = _provenance(folder / SCORES)
    # The list that the scores were made with, which may be a later release's than the model was trained on.
    identity = origin.get("portrait_identity", bundle.manifest.portrait_identity)
    portraits = Portraits(home.portraits / identity, FeatureList.load_identity(home, identity))
    book, settings = load_book(), load_settings()
    scorer = scorer_of(bundle, portraits, book)
    stored = {row["customer_id"]: row for row in _rows(folder / SCORES, customer_id)}
    job = Job(scorer, explain=any(row["reason_codes"] is not None for row in stored.values()))
    base = Base(portrait, portraits.feature_list, book, settings)
    with tempfile.TemporaryDirectory(dir=portrait.parent) as scratch:
        work = Path(scratch) / "work"
        score_blocks(base, [job], work, {}, threads=threads, progress=progress)
        scored = finish(base, job, work, Path(scratch), as_of)
        again = {row["customer_id"]: row for row in _rows(Path(scratch) / SCORES, customer_id)}
    differences = [
        value for key in sorted(stored | again) for value in _row_differences(key, stored.get(key), again.get(key))
    ]
    ranks = RankTable.load(folder)
    if _knots(ranks) != _knots(scored.ranks):
        differences.append(Difference("", RANKS, "stored", "different"))
    return Replay(
        target=bundle.manifest.target,
        version=bundle.manifest.version,
        as_of=as_of,
        compared=len(stored),
        different=len({value.customer_id for value in differences}),
        differences=tuple(differences[:MOST_SHOWN]),
        notes=_notes(origin, provenance_now(portraits, as_of, book, settings)),
        stored=stored[customer_id] if customer_id else {},
    )


def provenance_now(portraits: Portraits, as_of: date, book: ReasonBook, settings: ScoreSettings) -> dict[str, Any]:
    """Returns what a score of that day would be made of now; empty where the portraits of that day are gone."""
    gone = not (portraits.root / f"as_of={as_of.isoformat()}").exists()
    return {} if gone else provenance_of(portraits, as_of, book, settings)


def _notes(then: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """Returns in words what has changed between a stored score and today."""
    if not then:
        return ("the score was stored without its provenance: everything that has landed is taken as known then",)
    notes = []
    if not now:
        notes.append("the portraits of that day are no longer kept; they were made again")
    elif then["arrived_until"] != now["arrived_until"]:
        notes.append(
            f"the portraits were built again since; rows that arrived after {then['arrived_until']} are left out"
        )
    before, after = then.get("built_from") or {}, now.get("built_from") or {}
    if now and before.get("specification") != after.get("specification"):
        notes.append("the code or the thresholds of the portraits have changed since")
    for name, what in (("reasons", "configs/reasons.yaml"), ("settings", "configs/serving.yaml")):
        if now and then.get(name) != now.get(name):
            notes.append(f"{what} has changed since")
    return tuple(notes)


def _row_differences(customer_id: str, stored: dict[str, Any] | None, again: dict[str, Any] | None) -> list[Difference]:
    if stored is None or again is None:
        return [Difference(customer_id, ROW, *("absent" if row is None else "there" for row in (stored, again)))]
    nobody_asked = _REASONS if stored["reason_codes"] is None else ()  # a batch may have explained some or nobody
    return [
        Difference(customer_id, name, stored[name], again.get(name))
        for name in stored
        if name not in nobody_asked and not _is_same(stored[name], again.get(name))
    ]


def _is_same(stored: Any, again: Any) -> bool:
    """Tells whether two values are the same, numbers to the last bit: 0.0 is not -0.0, and NaN is NaN."""
    if isinstance(stored, float) and isinstance(again, float):
        return np.float64(stored).tobytes() == np.float64(again).tobytes()
    return bool(stored == again)


def _knots(ranks: RankTable | None) -> bytes:
    return b"" if ranks is None else ranks.knots.tobytes()


def _rows(path: Path, customer_id: str | None) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    wanted = None if customer_id is None else [("customer_id", "=", customer_id)]
    rows: list[dict[str, Any]] = pq.read_table(path, filters=wanted, partitioning=None).to_pylist()
    return rows


def _provenance(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    content = (pq.read_schema(path).metadata or {}).get(PROVENANCE)
    return {} if content is None else dict(orjson.loads(content))
