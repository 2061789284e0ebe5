"""Publishing: what is written is read, bit for bit, by us and by a plain Feast client; nothing is ever half live."""

import threading
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from features.kit.errors import ConflictError, DataError, NotReadyError
from features.kit.home import Home
from features.portraits.vector import encode
from features.store.online.online import OnlinePortraits, open_store
from features.store.online.sqlite_online import SqliteStore
from features.store.publish import publish
from features.store.registry import open_registry

MONDAY, TUESDAY = date(2026, 3, 9), date(2026, 3, 10)


@pytest.fixture
def thousand(tmp_path, portraits):
    """A home with 1,000 customers on Monday; 100 of them are gone on Tuesday and 100 are new."""
    home = Home.at(tmp_path / "thousand")
    ids = [f"4600{place:05d}" for place in range(1100)]
    tables = {MONDAY: portraits.rows(MONDAY, ids[:1000]), TUESDAY: portraits.rows(TUESDAY, ids[100:])}
    portraits.write(home, tables)
    return home, tables


def test_published_is_read_bit_for_bit(thousand, any_store, portraits):
    """Parquet, our reader and a plain Feast client on `portrait_online` agree on every bit of 1,000 customers."""
    home, tables = thousand
    report = publish(home, MONDAY, settings=any_store)
    expected = encode(tables[MONDAY], portraits.features)
    ids = tables[MONDAY]["customer_id"].to_pylist()

    online = OnlinePortraits.open(home, any_store)
    ours = online.read(ids)
    store = open_registry(home, any_store)
    feasts = store.get_online_features(
        features=store.get_feature_service("portrait_online"), entity_rows=[{"customer_id": one} for one in ids]
    ).to_dict()

    assert np.isnan(expected).any()
    assert (report.rows, online.pointer().rows) == (1000, 1000)
    assert expected.tobytes() == np.stack([one.values for one in ours]).tobytes()
    assert expected.tobytes() == np.array(feasts["values"], dtype=np.float32).tobytes()
    assert tables[MONDAY]["facts"].to_pylist() == [one.facts for one in ours] == feasts["facts"]
    assert feasts["feature_list"] == [portraits.features.identity] * 1000
    assert [*portraits.features.names] == [*online.feature_list.names]
    assert online.read_batch(ids[:1]).age_hours(online.pointer().event_at) == 0
    online.close()


def test_next_publish_takes_the_other_view(thousand, any_store):
    """Each publish fills the idle view; who is gone is unknown, who is new is known, and Feast clients follow."""
    home, _ = thousand
    views = [publish(home, day, settings=any_store).view for day in (MONDAY, TUESDAY)]
    online = OnlinePortraits.open(home, any_store)
    gone, stayed, new = online.read(["460000000", "460000500", "460001050"])

    assert views == ["portrait_a", "portrait_b"]
    assert (gone, stayed.as_of, new.as_of) == (None, TUESDAY, TUESDAY)
    store = open_registry(home, any_store)
    service = store.get_feature_service("portrait_online", allow_cache=False)
    assert [one.name for one in service.feature_view_projections] == ["portrait_b"]
    third = publish(home, TUESDAY, settings=any_store)
    assert third.view == "portrait_a"
    assert [one and one.as_of for one in online.read(["460000000", "460001050"])] == [None, TUESDAY]
    online.close()


def test_older_portraits_need_a_word(thousand, settings):
    """An older date is refused over a newer one unless the user says `--back`."""
    home, _ = thousand
    publish(home, TUESDAY, settings=settings)
    with pytest.raises(ConflictError, match=r"2026-03-10 are live.*--back"):
        publish(home, MONDAY, settings=settings)
    assert publish(home, MONDAY, settings=settings, back=True).as_of == MONDAY


def test_unbuilt_date_is_named(home, settings):
    """A date without portraits is refused before anything is touched."""
    with pytest.raises(NotReadyError, match="no portrait as of 2026-12-24"):
        publish(home, date(2026, 12, 24), settings=settings)


def _drop_last(fill):
    def wrapped(store, view, block):
        short = type(block)(block.ids[:-1], block.matrix[:-1], block.facts[:-1], block.identity, block.event_epoch)
        fill(store, view, short)

    return wrapped


def _flip_a_bit(fill):
    def wrapped(store, view, block):
        other = block.matrix.copy()
        other.view(np.uint32)[0, 0] ^= 1
        fill(store, view, type(block)(block.ids, other, block.facts, block.identity, block.event_epoch))

    return wrapped


@pytest.mark.parametrize("sabotage", [_drop_last, _flip_a_bit])
def test_a_store_that_loses_or_bends_stays_idle(home, settings, monkeypatch, sabotage):
    """A store that drops one customer or flips one bit never becomes live."""
    publish(home, date(2026, 3, 8), settings=settings)
    monkeypatch.setattr(SqliteStore, "fill", sabotage(SqliteStore.fill))
    with pytest.raises(DataError, match="the live view stays"):
        publish(home, date(2026, 3, 9), settings=settings)
    assert date(2026, 3, 8) == OnlinePortraits.open(home, settings).pointer().as_of


def test_leftovers_in_the_idle_view_stop_the_switch(home, any_store, monkeypatch):
    """Canary: without clearing, a customer of an older publish is found by the count and nothing goes live."""
    for day in (date(2026, 3, 8), date(2026, 3, 9)):
        publish(home, day, settings=any_store)
    store = open_store(home, any_store)
    kind = type(store)
    ghost = store.read_view("portrait_a", ["c1"])
    assert ghost[0] is not None
    monkeypatch.setattr(kind, "clear", lambda *_: None)
    with pytest.raises(DataError, match=r"the live view stays|stands twice"):
        monkeypatch.setattr(kind, "fill", _rename(kind.fill))
        publish(home, date(2026, 3, 9), settings=any_store)
    assert store.pointer().view == "portrait_b"
    store.close()


def _rename(fill):
    def wrapped(store, view, block):
        fill(
            store,
            view,
            type(block)(["x1", *block.ids[1:]], block.matrix, block.facts, block.identity, block.event_epoch),
        )

    return wrapped


def test_a_customer_twice_is_refused(tmp_path, settings, portraits):
    """A portrait file with one customer twice is refused and the old portraits stay."""
    home = Home.at(tmp_path / "twice")
    portraits.write(home, {MONDAY: portraits.rows(MONDAY, ["c1"]), TUESDAY: portraits.rows(TUESDAY, ["c1", "c1"])})
    publish(home, MONDAY, settings=settings)
    with pytest.raises(DataError, match="twice"):
        publish(home, TUESDAY, settings=settings)
    assert OnlinePortraits.open(home, settings).pointer().as_of == MONDAY


def test_a_partition_of_two_moments_is_refused(tmp_path, settings, portraits):
    """Rows of two event times in one partition are refused: the event-time guard would hide some of them."""
    home = Home.at(tmp_path / "mixed")
    rows = portraits.rows(MONDAY, ["c1", "c2"])
    times = pa.array(
        [rows["event_timestamp"][0].as_py(), datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("us")
    )
    place = rows.column_names.index("event_timestamp")
    portraits.write(home, {MONDAY: rows.set_column(place, "event_timestamp", times)})
    with pytest.raises(DataError, match="one event time"):
        publish(home, MONDAY, settings=settings)


def test_a_row_of_another_moment_is_not_served(home, any_store):
    """An older or newer row that a Feast client pushed into the live view is not accepted as the live portrait."""
    import pandas as pd

    publish(home, date(2026, 3, 9), settings=any_store)
    online = OnlinePortraits.open(home, any_store)
    assert online.read(["c1"])[0] is not None
    store = open_registry(home, any_store)
    pushed = pd.DataFrame(
        {
            "customer_id": ["c1"],
            "values": [[1.0, 2.0]],
            "facts": ["{}"],
            "feature_list": [online.pointer().identity],
            "event_timestamp": pd.to_datetime(["2026-04-01"], utc=True),
            "created_timestamp": pd.to_datetime(["2026-04-01"], utc=True),
        }
    )
    store.write_to_online_store("portrait_a", pushed)
    assert [one and one.customer_id for one in online.read(["c1", "c2"])] == [None, "c2"]
    online.close()


def test_readers_never_notice_a_publish(thousand, any_store):
    """Through six publishes every read is answered, whole, and of one date."""
    home, _ = thousand
    publish(home, MONDAY, settings=any_store)
    ids = [f"4600{place:05d}" for place in range(100, 1000, 9)]
    online = OnlinePortraits.open(home, any_store)
    wrong: list[object] = []
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            try:
                batch = online.read_batch(ids)
            except Exception as error:  # noqa: BLE001 - shown below
                wrong.append(error)
                return
            seen.add((batch.pointer.sequence, batch.pointer.as_of))
            of_its_date = f'"as_of": "{batch.pointer.as_of}"'
            wrong.extend(one for one in batch.portraits if one is None or of_its_date not in one.facts)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for place in range(6):
        publish(home, (TUESDAY, MONDAY)[place % 2], settings=any_store, back=True)
    stop.set()
    for reader in readers:
        reader.join()
    online.close()

    assert wrong == []
    assert len(seen) >= 3


def test_a_long_lived_reader_follows_at_once(home, any_store):
    """The first read after a publish is of the new date, whatever the reader saw before."""
    online = OnlinePortraits.open(home, any_store)
    for day in (date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 8), date(2026, 3, 8)):
        publish(home, day, settings=any_store, back=True)
        batch = online.read_batch(["c1", "c2"])
        assert [batch.pointer.as_of, *(one.as_of for one in batch.portraits)] == [day] * 3
        assert all(f'"as_of": "{day}"' in one.facts for one in batch.portraits)
    online.close()
