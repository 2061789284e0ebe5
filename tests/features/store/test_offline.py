"""Point-in-time joins: each row meets the portrait of its own day or none, the same through Feast and keys-first."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.kit.clock import instant_of
from features.kit.errors import DataError, NotFoundError, NotReadyError
from features.kit.home import Home
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from features.store import definitions, offline
from features.store.definitions import service_features
from features.store.offline import JoinStream, join_to_parquet, point_in_time_join
from features.store.online.online import OnlinePortraits
from features.store.publish import publish
from features.store.settings import SparkOffline
from tests.spark import SMALL, needs_spark

SUNDAY, MONDAY, TUESDAY = date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 10)


def spine_of(*rows):
    """A spine from `(customer, date)` pairs."""
    ids, days = zip(*rows, strict=True)
    return pa.table({"customer_id": pa.array(ids, pa.string()), "as_of_date": pa.array(days, pa.date32())})


@pytest.fixture
def gaps(tmp_path, portraits):
    """c1 has a portrait every day, c2 none on Monday, c3 only on Tuesday."""
    home = Home.at(tmp_path / "gaps")
    portraits.write(
        home,
        {
            SUNDAY: portraits.rows(SUNDAY, ["c1", "c2"]),
            MONDAY: portraits.rows(MONDAY, ["c1"]),
            TUESDAY: portraits.rows(TUESDAY, ["c1", "c2", "c3"]),
        },
    )
    return home


def use_feast(monkeypatch):
    """Lets Feast join in its DuckDB offline store: the slow twin of the keys-first join."""

    def feast_join(home, spine, service, *, settings):
        portraits = Portraits.open(home)
        keys = offline._timed_spine(spine, portraits)
        schema = offline._schema(portraits.feature_list, service_features(service, portraits.feature_list))
        found = offline.through_feast(home, keys, service, settings).select(schema.names).cast(schema)
        return JoinStream(schema, iter([found]))

    monkeypatch.setattr(offline, "stream_join", feast_join)


SPINE = spine_of(
    ("c3", TUESDAY), ("c2", MONDAY), ("c1", MONDAY), ("c3", SUNDAY), ("c2", SUNDAY), ("nobody", SUNDAY),
    ("c1", date(2026, 3, 11)), ("c1", SUNDAY),
)  # fmt: skip


OF_PYSPARK = "ignore::pytest.PytestUnraisableExceptionWarning"
"""pyspark leaves its sockets to the end of the process."""


@pytest.mark.parametrize(
    "way",
    [
        "feast",
        "keys_first",
        pytest.param("spark", marks=[pytest.mark.filterwarnings(OF_PYSPARK), pytest.mark.xdist_group("spark")]),
    ],
)
def test_own_day_or_none(gaps, settings, monkeypatch, way):
    """Yesterday's portrait never stands in for today's missing one; what finds none is counted; spine order stays."""
    if way == "spark":
        needs_spark()
        settings = settings.model_copy(update={"offline": SparkOffline(kind="spark", conf=SMALL)})
    if way == "feast":
        use_feast(monkeypatch)
    joined = point_in_time_join(gaps, SPINE, "churn_v1", settings=settings)

    expected = [("c3", TUESDAY), ("c1", MONDAY), ("c2", SUNDAY), ("c1", SUNDAY)]
    found = joined.table.select(["customer_id", "as_of_date"]).to_pylist()
    assert [tuple(row.values()) for row in found] == expected
    assert (joined.unmatched, joined.rows.tolist()) == (4, [0, 2, 4, 7])


@pytest.mark.parametrize("way", ["feast", "keys_first"])
def test_canary_one_whole_day_would_borrow(gaps, settings, monkeypatch, way):
    """Canary: with a time to live of one whole day both joins lend c2 its Sunday portrait on Monday."""
    for module in (definitions, offline):
        monkeypatch.setattr(module, "TTL", timedelta(days=1))
    if way == "feast":
        use_feast(monkeypatch)
    joined = point_in_time_join(gaps, SPINE, "churn_v1", settings=settings)
    found = [tuple(row.values()) for row in joined.table.select(SPINE.column_names).to_pylist()]
    assert found == [("c3", TUESDAY), ("c2", MONDAY), ("c1", MONDAY), ("c2", SUNDAY), ("c1", SUNDAY)]


@pytest.mark.parametrize("way", ["feast", "keys_first"])
def test_created_later_is_not_seen(tmp_path, settings, portraits, monkeypatch, way):
    """A portrait row created after its own as-of instant is invisible; built later is not created later."""
    home = Home.at(tmp_path / "late")
    late = (instant_of(MONDAY) + timedelta(hours=1)).replace(tzinfo=None)
    portraits.write(
        home,
        {
            SUNDAY: portraits.rows(SUNDAY, ["c1"], built_at=datetime(2030, 1, 1, tzinfo=UTC)),
            MONDAY: portraits.rows(MONDAY, ["c1"], created_at=late),
        },
    )
    if way == "feast":
        use_feast(monkeypatch)
    joined = point_in_time_join(home, spine_of(("c1", SUNDAY), ("c1", MONDAY)), "churn_v1", settings=settings)
    assert (joined.table["as_of_date"].to_pylist(), joined.unmatched) == ([SUNDAY], 1)


def test_portrait_built_today_of_a_past_day_joins(tmp_path, settings, portraits):
    """A portrait of 2025 that is built today trains a model today."""
    home = Home.at(tmp_path / "past")
    day = date(2025, 7, 1)
    table = portraits.rows(day, ["c1", "c2"], built_at=datetime.now(UTC))
    portraits.write(home, {day: table})
    joined = point_in_time_join(home, spine_of(("c2", day), ("c1", day)), "upgrade_v1", settings=settings)
    assert joined.unmatched == 0
    assert table["tenure_days"].to_pylist()[::-1] == joined.table["tenure_days"].to_pylist()


def test_feast_and_keys_first_are_equal(tmp_path, settings, portraits, monkeypatch):
    """The two joins and the Parquet stream agree on every cell of a shuffled spine of 4,000 rows with gaps."""
    home = Home.at(tmp_path / "equal")
    rng = np.random.default_rng(5)
    ids = np.array([f"c{place}" for place in range(900)])
    days = [SUNDAY + timedelta(days=17 * step) for step in range(5)] + [SUNDAY + timedelta(days=1)]
    portraits.write(home, {day: portraits.rows(day, sorted(rng.choice(ids, 700, replace=False))) for day in days})
    pairs = [(one, day) for one in ids for day in [*days, MONDAY]]
    pairs = sorted(set(pairs))
    chosen = rng.permutation(len(pairs))[:4000]
    spine = spine_of(*(pairs[place] for place in chosen))

    keys_first = point_in_time_join(home, spine, "complaint_v1", settings=settings)
    unmatched = join_to_parquet(home, spine, "complaint_v1", tmp_path / "joined.parquet", settings=settings)
    use_feast(monkeypatch)
    through_feast = point_in_time_join(home, spine, "complaint_v1", settings=settings)
    streamed = pq.read_table(tmp_path / "joined.parquet").sort_by("spine_row")

    assert 0 < through_feast.unmatched < 4000
    assert through_feast.unmatched == keys_first.unmatched == unmatched
    assert through_feast.rows.tolist() == keys_first.rows.tolist() == streamed["spine_row"].to_pylist()
    assert through_feast.table.equals(keys_first.table)
    assert through_feast.table.equals(streamed.drop_columns("spine_row"))
    assert through_feast.table.schema.field("tenure_days").type == pa.float32()


def test_offline_is_online_to_the_last_bit(tmp_path, any_store, portraits):
    """The vectors of a join are the vectors that the online wrapper reads, for 1,000 customers."""
    home = Home.at(tmp_path / "parity")
    ids = [f"c{place:04d}" for place in range(1000)]
    portraits.write(home, {MONDAY: portraits.rows(MONDAY, ids)})
    publish(home, MONDAY, settings=any_store)

    spine = spine_of(*((one, MONDAY) for one in reversed(ids)))
    joined = point_in_time_join(home, spine, "churn_v1", settings=any_store)
    offline_values = encode(joined.table, portraits.features)
    online = OnlinePortraits.open(home, any_store)
    online_values = np.stack([one.values for one in online.read(ids[::-1])])
    online.close()

    assert np.isnan(offline_values).any()
    assert offline_values.tobytes() == online_values.tobytes()


@pytest.mark.parametrize(
    ("spine", "message"),
    [
        (pa.table({"customer_id": ["c1"]}), "the column 'as_of_date' is missing"),
        (spine_of(("c1", MONDAY), (None, MONDAY)), "1 rows without customer_id"),
        (spine_of(("c1", MONDAY), ("c1", MONDAY)), "twice on one as-of date"),
    ],
)
def test_a_bad_spine_is_named(gaps, settings, spine, message):
    """A spine without a column, with a NULL key or a repeated row is refused in one line."""
    with pytest.raises(DataError, match=message):
        point_in_time_join(gaps, spine, "churn_v1", settings=settings)


def test_unknown_service_and_empty_home(gaps, settings, tmp_path):
    """An unknown service and a home without portraits are named."""
    with pytest.raises(NotFoundError, match="feature service 'churn_v9'"):
        point_in_time_join(gaps, SPINE, "churn_v9", settings=settings)
    with pytest.raises(NotReadyError, match="insight build"):
        point_in_time_join(Home.at(tmp_path / "empty"), SPINE, "churn_v1", settings=settings)


def test_no_match_at_all_is_an_empty_table(gaps, settings):
    """A spine of unknown days gives no rows, the right columns, and the whole count."""
    joined = point_in_time_join(gaps, spine_of(("c1", date(2020, 1, 1))), "churn_v1", settings=settings)
    assert (joined.table.num_rows, joined.unmatched) == (0, 1)
    assert joined.table.schema.field("plan_kind").type == pa.string()
