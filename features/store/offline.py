"""Point-in-time joins: each row of a spine meets the portrait of its own as-of date, or none.

Keys are matched first, one partition at a time, and the wide columns are taken for the hits alone: memory is that of
one partition. A test holds this equal to Feast's own join, cell by cell. Where the configuration names Feast's Spark
offline store, that joins instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.kit.errors import DataError
from features.kit.files import atomic_path
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.portraits.reading import Portraits
from features.store.definitions import BUILT_AT, OFFLINE_VIEW, TTL, service_features
from features.store.publish import event_time
from features.store.registry import open_registry
from features.store.settings import SparkOffline, StoreSettings

SPINE_COLUMNS = ("customer_id", "as_of_date")
_ROW = "spine_row"


@dataclass(frozen=True)
class JoinStream:
    """A point-in-time join that is read part by part.

    Attributes:
        schema: `spine_row` (the place of each row in the spine), `customer_id`, `as_of_date`, then the features of the
            service in list order.
        parts: The matched rows, by as-of date and within it in the order of the spine; each part is of one partition.
    """

    schema: pa.Schema
    parts: Iterator[pa.Table]

    @property
    def features(self) -> list[str]:
        """Returns the names of the features."""
        names: list[str] = self.schema.names
        return names[1 + len(SPINE_COLUMNS) :]


@dataclass(frozen=True)
class JoinedPortraits:
    """What a point-in-time join found.

    Attributes:
        table: `customer_id`, `as_of_date`, then the features of the service in list order; the matched rows only,
            in the order of the spine.
        unmatched: Spine rows that have no portrait of their own as-of date; they are not in the table.
        rows: int64 [table rows]; the place of each row in the spine, to take labels by.
    """

    table: pa.Table
    unmatched: int
    rows: np.ndarray


def point_in_time_join(
    home: Home, spine: pa.Table, service: str, *, settings: StoreSettings | None = None
) -> JoinedPortraits:
    """Returns the portraits of a spine, as known on each row's own as-of date.

    Raises:
        DataError, NotFoundError, NotReadyError: As `stream_join`.
    """
    stream = stream_join(home, spine, service, settings=settings)
    found = pa.concat_tables([stream.schema.empty_table(), *stream.parts])
    rows = found[_ROW].to_numpy()
    if len(rows) and np.diff(rows).min(initial=1) < 0:
        order = np.argsort(rows)
        found, rows = found.take(order), rows[order]
    return JoinedPortraits(found.drop_columns(_ROW), spine.num_rows - len(rows), rows)


def stream_join(home: Home, spine: pa.Table, service: str, *, settings: StoreSettings | None = None) -> JoinStream:
    """Returns the portraits of a spine, as known on each row's own as-of date, part by part.

    `spine` has the columns `customer_id` (text) and `as_of_date` (date), further ones are ignored; `service` is an
    offline feature service, such as `churn_v1`.

    Raises:
        DataError: If the spine lacks a column, holds a NULL key, or names a customer twice on one date.
        NotFoundError: If the service is unknown.
        NotReadyError: If no portrait has been built.
    """
    portraits = Portraits.open(home)
    names = service_features(service, portraits.feature_list)
    keys = _timed_spine(spine, portraits)
    schema = _schema(portraits.feature_list, names)
    settings = settings or StoreSettings.load()
    if isinstance(settings.offline, SparkOffline) and keys.num_rows:
        return JoinStream(
            schema, iter([through_feast(home, keys, service, settings).select(schema.names).cast(schema)])
        )
    return JoinStream(schema, _keys_first(keys, portraits, names, schema))


def join_to_parquet(
    home: Home, spine: pa.Table, service: str, out: Path, *, settings: StoreSettings | None = None
) -> int:
    """Writes the join of a large spine to a Parquet file with flat memory; returns the number of unmatched rows.

    Columns and rows as in `JoinStream`.

    Raises:
        DataError, NotFoundError, NotReadyError: As `stream_join`.
    """
    stream, written = stream_join(home, spine, service, settings=settings), 0
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, stream.schema, compression="zstd") as writer:
        for part in stream.parts:
            writer.write_table(part)
            written += part.num_rows
    return int(spine.num_rows) - written


def _timed_spine(spine: pa.Table, portraits: Portraits) -> pa.Table:
    """Returns the spine's keys with their row numbers and as-of instants; dates without any portrait are left out."""
    missing = [name for name in SPINE_COLUMNS if name not in spine.column_names]
    if missing:
        raise DataError(f"spine: the column '{missing[0]}' is missing")
    keys = spine.select(SPINE_COLUMNS).cast(pa.schema([("customer_id", pa.string()), ("as_of_date", pa.date32())]))
    for name in SPINE_COLUMNS:
        if keys[name].null_count:
            raise DataError(f"spine: {keys[name].null_count} rows without {name}")
    if keys.group_by(list(SPINE_COLUMNS)).aggregate([]).num_rows != keys.num_rows:
        raise DataError("spine: a customer stands twice on one as-of date", remedy="one row per customer and date")
    instants = {day: event_time(portraits.path(day)) for day in portraits.as_of_dates()}
    keys = keys.append_column(_ROW, pa.array(np.arange(keys.num_rows)))
    keys = keys.filter(pc.is_in(keys["as_of_date"], value_set=pa.array(sorted(instants), pa.date32())))
    return keys.append_column("event_timestamp", _instants_of(keys["as_of_date"], instants))


def _instants_of(days: pa.ChunkedArray, instants: dict[date, datetime]) -> pa.Array:
    known = sorted(instants)
    values = np.array([instants[day].replace(tzinfo=None) for day in known], dtype="datetime64[us]")
    places = np.searchsorted(np.array(known, dtype="datetime64[D]"), days.to_numpy().astype("datetime64[D]"))
    return pa.array(values[places] if len(places) else values[:0], pa.timestamp("us"))


def through_feast(home: Home, keys: pa.Table, service: str, settings: StoreSettings) -> pa.Table:
    """Returns the matched rows by Feast's own join in the offline store that is configured."""
    store = open_registry(home, settings)
    entities = keys.to_pandas(date_as_object=True)
    entities["event_timestamp"] = entities["event_timestamp"].dt.tz_localize(UTC)
    registered = store.get_feature_service(service)
    refs = [f"{one.name}:{field.name}" for one in registered.feature_view_projections for field in one.features]
    with _session_of_its_own(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fetch_arrow_table", DeprecationWarning)  # Ibis 12 calls DuckDB's old name
        warnings.filterwarnings("ignore", "The spark", RuntimeWarning)  # Feast calls its use of Spark experimental
        joined = store.get_historical_features(
            entity_df=entities, features=[*refs, f"{OFFLINE_VIEW}:{BUILT_AT}"], filter_by_created_timestamp=True
        ).to_arrow()
    return joined.filter(pc.is_valid(joined[BUILT_AT]))


def _keys_first(keys: pa.Table, portraits: Portraits, names: tuple[str, ...], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the matched rows date by date: keys are matched first, wide columns are taken for the hits alone.

    The rule is Feast's: the newest portrait with event time in `[instant - TTL, instant]` that was created by then.
    A partition has one event time and TTL is shorter than a day, so that is a row of the row's own partition.
    """
    moments = {day: event_time(portraits.path(day)) for day in portraits.as_of_dates()}
    for day in sorted(set(keys["as_of_date"].to_pylist())):
        part = keys.filter(pc.equal(keys["as_of_date"], day))
        eligible = [one for one, at in moments.items() if moments[day] - TTL <= at <= moments[day]]
        for nearest in sorted(eligible, reverse=True):
            with pq.ParquetFile(portraits.path(nearest)) as file:
                wide = file.read(columns=["customer_id", "created_timestamp", *names])
            wide = wide.filter(pc.less_equal(wide["created_timestamp"], moments[day].replace(tzinfo=None)))
            if pc.count_distinct(wide["customer_id"]).as_py() != wide.num_rows:
                raise DataError(f"{portraits.path(nearest)}: a customer stands twice", remedy="build it again")
            places = pc.index_in(part["customer_id"], value_set=wide["customer_id"])
            hits = part.select([_ROW, *SPINE_COLUMNS]).filter(pc.is_valid(places))
            found = wide.select(names).take(places.drop_null())
            for name in names:
                hits = hits.append_column(name, found[name])
            yield hits.cast(schema)
            part = part.filter(pc.is_null(places))


def _schema(features: FeatureList, names: tuple[str, ...]) -> pa.Schema:
    kinds = {one.name: pa.string() if one.kind == "category" else pa.float32() for one in features.features}
    keys = [(_ROW, pa.int64()), ("customer_id", pa.string()), ("as_of_date", pa.date32())]
    return pa.schema([*keys, *((name, kinds[name]) for name in names)])


@contextmanager
def _session_of_its_own(settings: StoreSettings) -> Iterator[None]:
    """Ends the Spark session that Feast starts for a join; one that was there before goes on."""
    if not isinstance(settings.offline, SparkOffline):
        yield
        return
    from pyspark.sql import SparkSession

    before = SparkSession.getActiveSession()
    try:
        yield
    finally:
        started = SparkSession.getActiveSession()
        if before is None and started is not None:
            started.stop()
