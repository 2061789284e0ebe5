"""One as-of date's features: stage the feeds, prepare the sources, reduce them, join them, cast once to float32.

Each feature is computed by the expression in its dimension's file; nothing is computed here. A source whose feeds
are all missing gives NULL in its features. A feed counts as missing when no row of it was known before the as-of
date, so a feed that only begins later cannot change a portrait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from features.feeds.contracts import FEEDS
from features.kit.sql import quoted
from features.portraits.build.sums import Sums, sums_of
from features.portraits.dimensions.spec import Definition
from features.portraits.feature_list import dimensions
from features.portraits.sources import staging
from features.portraits.sources.engines import Engine
from features.portraits.sources.request import Request, is_present, source_of
from features.portraits.sources.sources import SOURCES
from features.portraits.sources.staging import STAGED, Moment, Staged

_READ_ONCE = frozenset({"usage_daily", "network_experience", "month_days"})
"""Large feeds are streamed through their one aggregation; the small ones are kept, because facts read them too."""


@dataclass(frozen=True)
class Plan:
    """The specification in one engine's SQL, compiled once for every as-of date."""

    request: Request
    staged: dict[str, str]  # staged table -> query over `known_<name>` and `moment`
    sources: dict[str, str]  # source -> query over staged tables
    features: dict[str, str]  # source -> query over it, one row per customer
    sums: dict[str, Sums]  # source -> how the same is added up for many dates at once

    @classmethod
    @lru_cache(maxsize=4)
    def compiled(cls, compile_sql: Callable[[Any], str], request: Request) -> Plan:
        """Returns the plan in the SQL that `compile_sql` (an engine's) makes of an Ibis expression."""
        import ibis

        columns = {name: _staged_types(stage, request) for name, stage in STAGED.items()}
        staged = {name: staging.ibis_table(f"staged_{name}", types) for name, types in columns.items()}
        tables: dict[str, Any] = {}
        for name, source in SOURCES.items():
            made = {f"source_{one}": ibis.table(tables[one].schema(), name=f"source_{one}") for one in tables}
            tables[name] = source.table(staged | made, request.settings)
        features, sums = {}, {}
        for name in _sources_of(request.definitions):
            rows = ibis.table(tables[name].schema(), name=f"source_{name}")
            own = [definition for definition in request.definitions if name in (definition.source, definition.months)]
            values = [definition.value(rows).name(definition.feature.name) for definition in own]
            features[name] = compile_sql(rows.group_by("customer_id").aggregate(values))
            if summed := SOURCES[name].summed:
                rows = summed.rows(staged, request.settings)
                if parts := sums_of(name, rows, summed, own, compile_sql):
                    sums[name] = parts
        stages = {name: staging.stage(stage, request.time_zone, request.attributes) for name, stage in STAGED.items()}
        return cls(
            request,
            {name: compile_sql(table) for name, table in stages.items()},
            {name: compile_sql(table) for name, table in tables.items()},
            features,
            sums,
        )


def _sources_of(definitions: Sequence[Definition]) -> list[str]:
    """Returns every source that gives a feature, also those that only stand in for another."""
    names = (name for one in definitions for name in (one.source, one.months) if name is not None)
    return list(dict.fromkeys(names))


def present_feeds(engine: Engine) -> frozenset[str]:
    """Returns the feeds of which at least one row was known (the views `known_<name>` must exist)."""
    names = {staged.feed: f"known_{staged.name}" for staged in STAGED.values()}
    parts = [f"SELECT '{feed}' AS feed WHERE EXISTS (SELECT 1 FROM {view})" for feed, view in names.items()]
    found = set(engine.arrow(" UNION ALL ".join(parts)).column("feed").to_pylist())
    aliases = {name for name, feed in FEEDS.items() if feed.link and feed.link.name in found}
    return frozenset(found | aliases)


def missing_dimensions(present: frozenset[str], definitions: Sequence[Definition]) -> list[str]:
    """Returns what no feed tells about: a dimension by name, or `dimension.feed` where only a part is missing."""
    missing: list[str] = []
    for dimension in dimensions():
        own = [definition for definition in definitions if definition.feature.dimension == dimension]
        sources = dict.fromkeys(definition.source for definition in own)
        lacking = [name for name in sources if not is_present(name, present)]
        if not lacking:
            continue
        if not any(source_of(definition, present) for definition in own):
            missing.append(dimension)
        else:
            feeds = {SOURCES[name].needs[0] for name in lacking}
            missing += [f"{dimension}.{feed}" for feed in sorted(feeds)]
    return missing


def stage_all(engine: Engine, plan: Plan, moment: Moment) -> None:
    """Makes `staged_<name>` for every staged table from the views `known_<name>`."""
    engine.keep("moment", staging.moment_sql(moment))
    for name, sql in plan.staged.items():
        (engine.view if name in _READ_ONCE else engine.keep)(f"staged_{name}", sql)


def prepare(engine: Engine, plan: Plan, present: frozenset[str]) -> None:
    """Keeps `base` (the customers of the portrait) and makes `source_<name>` of every source that is there.

    Staged tables must exist. Facts read the sources too.
    """
    engine.keep("base", _base_sql())
    for name, sql in plan.sources.items():
        if SOURCES[name].is_built_on or is_present(name, present):
            (engine.view if name in _READ_ONCE else engine.keep)(f"source_{name}", sql)


def reduce(engine: Engine, plan: Plan, present: frozenset[str], added: Collection[str] = ()) -> None:
    """Keeps `portrait_features`: customer_id and every feature with its final type, unsorted.

    The sources must exist; a missing one gives NULL in its features. Of those in `added` there is `sums_<source>`.
    """
    columns: list[str] = []
    for name, sql in plan.features.items():
        if is_present(name, present):
            engine.keep(f"features_{name}", plan.sums[name]["features"] if name in added else sql)
    for definition in plan.request.definitions:
        value, source = "NULL", source_of(definition, present)
        if source is not None:
            value = f"features_{source}.{quoted(definition.feature.name)}"
            if definition.absent is not None:  # rows without the value leave it unknown; only no row at all is 0
                no_row = f"features_{source}.customer_id IS NULL"
                value = f"CASE WHEN {no_row} THEN {definition.absent} ELSE {value} END"
        columns.append(_typed(definition, value))
    joins = " ".join(
        f"LEFT JOIN features_{name} ON features_{name}.customer_id = base.customer_id"
        for name in plan.features
        if is_present(name, present)
    )
    engine.keep("portrait_features", f"SELECT base.customer_id, {', '.join(columns)} FROM base {joins}")


def _typed(one: Definition, value: str) -> str:
    """Returns a column with its final type: text, or a number rounded once from float64 to float32."""
    number = f"CAST(CAST({value} AS DOUBLE) AS FLOAT)"
    typed = f"CAST({value} AS STRING)" if one.feature.kind == "category" else number
    return f"{typed} AS {quoted(one.feature.name)}"


def _base_sql() -> str:
    """Returns the customers of the portrait: known, and neither terminated nor closed as known."""
    return (
        "SELECT customer_id FROM (SELECT customer_id, status, row_number() OVER (PARTITION BY customer_id "
        "ORDER BY event_at DESC, known_at DESC, event_id DESC) AS place FROM staged_customers) AS records "
        "WHERE place = 1 AND (status IS NULL OR status <> 'closed') "
        "AND customer_id NOT IN (SELECT customer_id FROM staged_terminations)"
    )


def _staged_types(staged: Staged, request: Request) -> dict[str, str]:
    types = staging.landed_types(staged.feed, request.attributes)
    columns = staging.columns_of(staged.feed, request.attributes)
    since = {f"days_since_{column.name}": "BIGINT" for column in columns if column.is_time}
    event = {"days_ago": "BIGINT", "is_this_month": "BOOLEAN"} if "event_at" in types else {}
    if "event_id" in types:
        event["civil_hour"] = "BIGINT"
    return types | since | event
