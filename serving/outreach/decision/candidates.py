"""Who may have something to hear: portraits, scores and product fit of a date, joined per subscription."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.portraits.reading import Portraits
from serving.outreach.settings import OutreachSettings
from serving.scoring.batch.stored import Scores
from serving.scoring.ranks import scores_folder

ROAMING_ASKED = "roaming_enquiries_count_30d"
IDLE_DAYS = "use_recency_days"
NO_BAND = "normal"
_FIT_COLUMNS = (
    "customer_id", "status", "months", "saving", "best_plan_id", "offers", "current_plan_id", "current_fee",
    "current_cost", "current_worst_month_cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TargetScore:
    """One target's score of one subscription, as far as the list needs it."""

    propensity: float
    percentile: float | None
    times_base: float | None
    band: str
    reason_codes: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """One subscription with an owed answer or a raised score."""

    customer_id: str  # the subscription
    primary_class: str
    reasons: dict[str, dict[str, Any]]  # reason code to slot values: the facts that hold
    card: dict[str, Any]  # who it is, for the agent
    scores: dict[str, TargetScore]  # target to score
    fit: dict[str, Any] | None = None  # the product-fit row, if any
    asked_about_roaming: bool = False  # whether roaming was asked about in 30 days
    idle_days: float | None = None  # days since the last use, if daily use is known


@dataclass(frozen=True)
class Sources:
    """Where a list's content comes from, fixed before anything is chosen."""

    portraits: str  # identity of the portraits
    models: dict[str, str] = field(default_factory=dict)  # target to model version
    unscored: tuple[str, ...] = ()  # targets with a model but without scores of this date
    has_fit: bool = False  # whether product fit was calculated
    basis: date | None = None  # the day of the portraits and scores


@dataclass(frozen=True)
class Candidates:
    """The candidates of a day, sorted by subscription, and where their content comes from."""

    rows: tuple[Candidate, ...]
    sources: Sources

    def in_place(self, province: str | None, city: str | None) -> Candidates:
        """Returns the candidates of a province and a city; None means any."""
        place = {"province": province, "city": city}
        asked = {name: wanted for name, wanted in place.items() if wanted is not None}
        kept = (row for row in self.rows if all(row.card.get(name) == wanted for name, wanted in asked.items()))
        return replace(self, rows=tuple(kept))


def find_scores(home: Home, as_of: date) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Returns the scores of a date by target, and the targets that have scores of other dates only.

    Raises:
        NotReadyError: If there are scores, but of no target on this date.
    """
    found: dict[str, Scores] = {}
    unscored = []
    for folder in sorted(home.scores.glob("*")) if home.scores.exists() else []:
        current = Scores.current(home, folder.name)
        if current is None:
            continue
        place = scores_folder(home, folder.name, current.version, as_of)
        if place.exists():
            found[folder.name] = Scores(folder.name, current.version, as_of, place)
        else:
            unscored.append(folder.name)
    if unscored and not found:
        raise NotReadyError(f"{home.scores}: no scores of {as_of}", remedy=f"run `insight score --as-of {as_of}`")
    return found, tuple(unscored)


def newest_basis(home: Home, on: date) -> date:
    """Returns the newest day up to `on` whose portraits and scores are whole.

    Raises:
        NotReadyError: If there is none.
    """
    for day in reversed(Portraits.open(home).as_of_dates()):
        if day > on:
            continue
        try:
            find_scores(home, day)
        except NotReadyError:
            continue
        return day
    raise NotReadyError(f"{home.portraits}: nothing is built and scored up to {on}", remedy="run `insight run` first")


def read_candidates(
    home: Home,
    as_of: date,
    settings: OutreachSettings,
    scores: dict[str, Scores] | None = None,
    also: Collection[str] = (),
) -> Candidates:
    """Returns the candidates of a day.

    A subscription is a candidate if one of its facts is a duty, or if it stands in a band that some action needs.
    Example: with `bands_needed` raised and above, everybody below the top 20 % of every target is left out at once.

    Without `scores` by target those that count now choose; the subscriptions in `also`, of unfinished lines, are read
    in any case.

    Raises:
        NotReadyError: If there is no portrait or no score of this date.
    """
    portraits = Portraits.open(home)
    unscored: tuple[str, ...] = ()
    if scores is None:
        scores, unscored = find_scores(home, as_of)
    wanted = {band for bands in settings.bands_needed.values() for band in bands}
    raised = {one for of_target in scores.values() for one in _raised(of_target, wanted)}
    rows = list(_read_portraits(portraits, as_of, raised | set(also), settings.duties))
    chosen = [row["customer_id"] for row in rows]
    fit = _read_fit(home, as_of, chosen)
    table: dict[str, dict[str, TargetScore]] = {}
    for target, of_target in scores.items():
        for customer_id, score in _read_scores(of_target, chosen):
            table.setdefault(customer_id, {})[target] = score
    candidates = []
    for row in rows:
        facts = orjson.loads(row["facts"])
        candidates.append(
            Candidate(
                customer_id=row["customer_id"],
                primary_class=row["primary_class"],
                reasons=facts.get("reasons", {}),
                card=facts.get("card", {}),
                scores=table.get(row["customer_id"], {}),
                fit=(fit or {}).get(row["customer_id"]),
                asked_about_roaming=bool(row.get(ROAMING_ASKED) or 0),
                idle_days=row.get(IDLE_DAYS),
            )
        )
    models = {target: of_target.version for target, of_target in scores.items()}
    sources = Sources(portraits.feature_list.identity, models, unscored, fit is not None, as_of)
    return Candidates(tuple(candidates), sources)


def _raised(scores: Scores, bands: Collection[str]) -> list[str]:
    """Returns who stands in one of the bands."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = scores.read(["customer_id", "propensity", "band"])
    in_band = pc.is_in(pc.fill_null(table["band"], NO_BAND), value_set=pa.array(sorted(bands), pa.string()))
    found: list[str] = table.filter(pc.and_(in_band, pc.is_valid(table["propensity"])))["customer_id"].to_pylist()
    return found


def _read_scores(scores: Scores, chosen: Sequence[str]) -> Iterator[tuple[str, TargetScore]]:
    names = ["customer_id", "propensity", "percentile", "times_base", "band", "reason_codes"]
    table = _of(chosen, scores.read(names))
    for customer_id, propensity, percentile, times, band, codes in zip(
        *(table.column(name).to_pylist() for name in names), strict=True
    ):
        if propensity is not None:
            yield customer_id, TargetScore(propensity, percentile, times, band or NO_BAND, tuple(codes or ()))


def _read_portraits(
    portraits: Portraits, as_of: date, chosen: Collection[str], duties: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yields the portraits of the chosen, and of everybody with a duty; the others are never turned into objects."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = ["customer_id", "primary_class", "facts"]
    names += [name for name in (ROAMING_ASKED, IDLE_DAYS) if name in portraits.feature_list.names]
    wanted = pa.array(sorted(chosen), pa.string())
    with pq.ParquetFile(portraits.path(as_of)) as file:
        for block in file.iter_batches(columns=names):
            is_wanted = pc.is_in(block["customer_id"], value_set=wanted)
            facts = pc.replace_substring(block["facts"], " ", "")
            for duty in duties:
                of_duty = pc.match_substring(facts, orjson.dumps(duty).decode() + ":")
                is_wanted = pc.or_(is_wanted, pc.fill_null(of_duty, fill_value=False))
            yield from block.filter(is_wanted).to_pylist()


def _read_fit(home: Home, as_of: date, chosen: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Returns the chosen's proven offers that save money, by subscription, or None if product fit has not run."""
    path: Path = home.product_fit / f"as_of={as_of.isoformat()}" / "fit.parquet"
    if not path.exists():
        return None
    import pyarrow.parquet as pq

    table = pq.read_table(path, partitioning=None)
    if not set(_FIT_COLUMNS) <= set(table.column_names):  # offers of an older version prove too little to be made
        return None
    rows = _of(chosen, table.select(list(_FIT_COLUMNS))).to_pylist()
    return {row["customer_id"]: row for row in rows}


def _of(chosen: Sequence[str], table: Any) -> Any:
    """Returns the rows of some subscriptions."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return table.filter(pc.is_in(table["customer_id"], value_set=pa.array(chosen, pa.string())))
