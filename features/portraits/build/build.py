"""Portraits of the whole base on as-of dates: one Parquet partition a date, written whole or not at all.

    landed feeds --as known on D--> staged rows --> sources --> features (float32) --+--> portrait.parquet
                                                      |                              |
                                                      +--> class, facts, card -------+--> class_report.json

A partition says from which landed files and which specification it was built; an equal one is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from features.feeds.contracts import LINKS
from features.feeds.landed.arrival import arrived_until
from features.feeds.landed.reading import Feeds
from features.kit.clock import months_between, utc_now
from features.kit.errors import DataError
from features.kit.files import atomic_path, check_parquet, read_json, write_json
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.spark import spark_session
from features.kit.sql import literal, quoted, timestamp
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.build import compute
from features.portraits.build.ahead import each_date
from features.portraits.build.plans import plan_of
from features.portraits.build.specification import specification
from features.portraits.build.sums import sum_columns
from features.portraits.facts.class_report import class_report
from features.portraits.facts.declared import own_facts
from features.portraits.facts.story import write_story
from features.portraits.feature_list import POINTER, FeatureList, definitions
from features.portraits.reading import PORTRAIT_FILE, REPORT_FILE, partition
from features.portraits.settings import PortraitSettings, load_settings
from features.portraits.sources import staging
from features.portraits.sources.engines import DuckDBEngine, Engine, SparkEngine
from features.portraits.sources.request import Request, attribute_columns
from features.portraits.sources.staging import STAGED, Moment, Staged

if TYPE_CHECKING:
    from features.portraits.build.passes import Passes

_EARLIEST = date(1990, 1, 1)
LEAST_ROWS = 30_000_000
"""With fewer rows times dates each date reduces them by itself: getting numba ready takes three seconds."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    identity: str  # the identity of the portraits
    built: dict[date, int]  # as-of date -> rows, of the partitions written
    kept: tuple[date, ...]  # the dates whose partition was up to date
    missing: tuple[str, ...]  # dimensions without a feed on the newest date built


@dataclass(frozen=True)
class _Filled:
    """One date whose features and story lie in its engine, ready to be written."""

    engine: DuckDBEngine
    moment: Moment
    present: frozenset[str]  # the feeds of which anything was known
    missing: list[str]


def build_portraits(
    home: Home,
    feeds: Feeds,
    dates: Sequence[date],
    *,
    threads: int = 1,
    progress: Progress = SILENT,
    settings: PortraitSettings | None = None,
    on_spark: bool = False,
) -> BuildReport:
    """Builds the portraits of the dates that are not up to date, oldest first, then points `current.json` at them.

    Raises:
        DataError: If a declared attribute takes the name of a feature, or a written partition lacks rows.
    """
    settings = settings or load_settings()
    declared, zone = feeds.operator.attributes, feeds.operator.time_zone
    code = _made_by(feeds, settings)
    origins = {day: _origin(feeds, day, code) for day in dates}
    features = FeatureList.declared(declared).with_known_codes(home)
    root = home.portraits / features.identity
    todo = [day for day in dates if not _is_current(partition(root, day), origins[day])]
    built: dict[date, int] = {}
    missing: list[str] = []
    request = request_of(feeds, settings)
    arrived = arrived_until(feeds) if todo else None
    plan = plan_of(DuckDBEngine, request)
    passes = None if on_spark else _passes(feeds, plan, todo, threads)

    def fill(engine: DuckDBEngine, day: date) -> _Filled:
        moment = Moment(day, zone)
        sums = passes.of(day) if passes else {}
        for name, table in sums.items():
            engine.adopt(f"sums_{name}", table, sum_columns(plan.sums[name]))
        present = _fill(engine, SparkEngine(session) if session else None, feeds, plan, moment, sums)
        return _Filled(engine, moment, present, keep_story(engine, request, moment, present))

    with (
        spark_session(threads) if on_spark and todo else nullcontext() as session,
        progress.step("build portraits", total=len(todo)) as tick,
        closing(each_date(feeds, todo, 1 if session else threads, fill)) as done,
    ):
        for one in done:
            day, missing = one.moment.as_of, one.missing
            features = features.with_values(_values_seen(one.engine, features))
            features.save(home)
            hit("build.before_partition")
            built[day] = _write(one.engine, request, one.moment, partition(root, day) / PORTRAIT_FILE)
            hit("build.after_partition")
            report = class_report(one.engine, request, one.moment, one.present, _month_before(root, day))
            write_json(
                partition(root, day) / REPORT_FILE,
                report | {"rows": built[day], "missing": missing, "built_from": origins[day], "arrived_until": arrived},
            )
            tick(1)
    hit("build.before_pointer")
    write_json(home.portraits / POINTER, {"identity": features.identity})
    return BuildReport(features.identity, built, tuple(day for day in dates if day not in built), tuple(missing))


def request_of(feeds: Feeds, settings: PortraitSettings) -> Request:
    """Returns what the features of these feeds are told."""
    declared = feeds.operator.attributes
    attributes = attribute_columns(declared)
    operator = feeds.operator
    zone, scale, country = operator.time_zone, operator.money_scale, operator.country or "CN"
    return Request(zone, definitions(declared), settings, attributes, scale, country)


def keep_story(engine: Engine, request: Request, moment: Moment, present: frozenset[str]) -> list[str]:
    """Keeps `portrait_story` beside `portrait_features`; returns what no feed tells about."""
    missing = compute.missing_dimensions(present, request.definitions)
    write_story(engine, request, moment, present, missing)
    return missing


def rows_sql(request: Request, moment: Moment) -> str:
    """Returns SQL for the portrait's rows sorted by customer, from `portrait_features` and `portrait_story`."""
    instant = timestamp(moment.instant)
    names = ", ".join(f"portrait_features.{quoted(definition.feature.name)}" for definition in request.definitions)
    return (
        f"SELECT customer_id, DATE '{moment.as_of}' AS as_of_date, {instant} AS event_timestamp, "
        f"{instant} AS created_timestamp, {timestamp(utc_now())} AS built_at, "
        f"{names}, primary_class, also_classes, facts "
        "FROM portrait_features JOIN portrait_story USING (customer_id) ORDER BY customer_id"
    )


def is_current(feeds: Feeds, portraits: Path, as_of: date) -> bool:
    """Returns whether the stored portraits of a date are what this code would build from the present feeds.

    `portraits` is the folder of their identity.
    """
    origin = _origin(feeds, as_of, _made_by(feeds, load_settings()))
    return _is_current(partition(portraits, as_of), origin)


def stage(engine: Engine, feeds: Feeds, plan: compute.Plan, moment: Moment) -> frozenset[str]:
    """Makes staged rows and sources of one as-of date; returns the feeds of which anything was known."""
    for staged in STAGED.values():
        _view_known(engine, feeds, staged, moment)
    present = compute.present_feeds(engine)
    compute.stage_all(engine, plan, moment)
    compute.prepare(engine, plan, present)
    return present


def features_of(
    engine: Engine, feeds: Feeds, plan: compute.Plan, moment: Moment, added: Collection[str] = ()
) -> frozenset[str]:
    """Keeps `portrait_features` of one as-of date; returns the feeds of which anything was known.

    Of the sources in `added` the engine keeps `sums_<source>`; the others are reduced row by row.
    """
    present = stage(engine, feeds, plan, moment)
    compute.reduce(engine, plan, present, added)
    return present


def _passes(feeds: Feeds, plan: compute.Plan, days: Sequence[date], threads: int) -> Passes | None:
    """Returns the sums of the dates; None for a base so small that a pass would cost more than it spares."""
    rows = {name: feed.rows for name, feed in feeds.manifest.feeds.items()}
    if not days or max((rows.get(STAGED[name].feed, 0) for name in plan.sums), default=0) * len(days) < LEAST_ROWS:
        return None
    from features.portraits.build.passes import Passes

    return Passes(feeds, plan, days, rows.get("customers", 0), threads)


def _fill(
    engine: DuckDBEngine,
    spark: SparkEngine | None,
    feeds: Feeds,
    plan: compute.Plan,
    moment: Moment,
    added: Collection[str] = (),
) -> frozenset[str]:
    """Keeps features and sources in DuckDB; on Spark only the features are computed there and handed over."""
    if spark is None:
        return features_of(engine, feeds, plan, moment, added)
    features_of(spark, feeds, plan_of(spark, plan.request), moment)
    engine.adopt("portrait_features", spark.arrow("SELECT * FROM portrait_features"))
    return stage(engine, feeds, plan, moment)


def _view_known(engine: Engine, feeds: Feeds, staged: Staged, moment: Moment) -> None:
    """Makes `known_<name>`: the rows that were known, from the files of the months in reach only."""
    types = staging.landed_types(staged.feed, attribute_columns(feeds.operator.attributes))
    paths = _paths_in_reach(feeds, staged.feed, moment.as_of)
    if paths:
        engine.landed(staged.feed, paths, types)
        as_known = feeds.as_known_sql(staged.feed, moment.as_of)
        engine.view(f"known_{staged.name}", staging.known_sql(as_known, staged, moment))
    else:
        engine.landed(f"known_{staged.name}", [], types)


def _paths_in_reach(feeds: Feeds, feed: str, day: date) -> list[str]:
    """Returns a feed's files whose month (the name's first 7 letters) is within reach of the day; others stay."""
    if feed in LINKS:
        part = feeds.manifest.derived.get(feed)
        return [str(feeds.home.root / part.path)] if part else []
    reaches = [staged.days for staged in STAGED.values() if staged.feed == feed]
    longest = None if None in reaches else max(days for days in reaches if days is not None)
    first = _EARLIEST if longest is None else day - timedelta(days=longest)
    wanted = {f"{month:%Y-%m}" for month in months_between(first, day)}
    return [path for path in feeds.paths(feed) if Path(path).name[:7] in wanted or not Path(path).name[:4].isdigit()]


def _made_by(feeds: Feeds, settings: PortraitSettings) -> str:
    """Returns the identity of code and thresholds, the operator's own included."""
    code, own = specification(settings), own_facts(attribute_columns(feeds.operator.attributes))
    return f"{code}-{hashlib.sha256(repr(own).encode()).hexdigest()[:16]}" if own else code


def _origin(feeds: Feeds, day: date, code: str) -> dict[str, str]:
    """Returns what a partition of a day is made of: the landed files within reach, the operator, code and thresholds.

    Landed files never change and are named by their content, so news outside a day's reach leaves it up to date.
    """
    names = [
        Path(path).name
        for feed in dict.fromkeys(s.feed for s in STAGED.values())
        for path in _paths_in_reach(feeds, feed, day)
    ]
    content = orjson.dumps([names, feeds.operator.content_hash()])
    return {"feeds": hashlib.sha256(content).hexdigest()[:16], "specification": code}


def _write(engine: DuckDBEngine, request: Request, moment: Moment, path: Path) -> int:
    """Writes one partition sorted by customer; returns its rows."""
    import pyarrow.parquet as pq

    rows = int(engine.arrow("SELECT count(*) AS n FROM portrait_features").column("n")[0].as_py())
    with atomic_path(path) as temporary:
        select = f"COPY ({rows_sql(request, moment)}) TO {literal(temporary)} (FORMAT parquet, COMPRESSION zstd)"
        engine.connection.execute(select)
        written = int(pq.read_metadata(temporary).num_rows)
        if written != rows:
            raise DataError(f"{path}: wrote {written} of {rows} rows")
    return rows


def _values_seen(engine: Engine, features: FeatureList) -> dict[str, list[str]]:
    """Returns the values of every category that takes its values from the data."""
    seen = {}
    for name in features.open_categories:
        values = f"SELECT DISTINCT {quoted(name)} AS value FROM portrait_features"
        found = engine.arrow(f"SELECT value FROM ({values}) WHERE value IS NOT NULL")
        seen[name] = [str(value) for value in found.column("value").to_pylist()]
    return seen


def _month_before(root: Path, day: date) -> Path | None:
    """Returns the built partition nearest to 30 days before, if one lies 17 to 45 days before."""
    built = [date.fromisoformat(path.parent.name[6:]) for path in root.glob(f"as_of=*/{PORTRAIT_FILE}")]
    near = sorted((abs((day - old).days - 30), old) for old in built if 17 <= (day - old).days <= 45)
    return partition(root, near[0][1]) / PORTRAIT_FILE if near else None


def _is_current(folder: Path, origin: dict[str, str]) -> bool:
    try:
        check_parquet(folder / PORTRAIT_FILE, remedy="")
        return bool(read_json(folder / REPORT_FILE).get("built_from") == origin)
    except (OSError, DataError, AttributeError):
        return False
