"""Publishes the portraits of one as-of date: clear the idle view, fill it, verify it, switch one pointer.

Readers keep the live view until the switch and have the new one after it. A publish that dies anywhere leaves the
live view untouched; the next one starts over with the idle view.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.kit.clock import utc_now
from features.kit.errors import ConflictError, DataError, NotReadyError, StateError
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress, Tick
from features.portraits.feature_list import FeatureList
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from features.store.online.belonging import refuse_few, remember_rows, take
from features.store.online.feast_layout import VIEWS, decode_text, decode_vector
from features.store.online.online import open_store
from features.store.online.pointer import Pointer
from features.store.online.rows import Block, OnlineStore
from features.store.registry import open_registry, show_live_view
from features.store.settings import StoreSettings

_BLOCK_ROWS = 20_000
_SAMPLE_PER_BLOCK = 25


@dataclass(frozen=True)
class PublishReport:
    """What a publish did."""

    view: str
    as_of: date
    rows: int
    seconds: float


def publish(
    home: Home,
    as_of: date,
    progress: Progress = SILENT,
    *,
    settings: StoreSettings | None = None,
    back: bool = False,
) -> PublishReport:
    """Publishes the portraits of an as-of date to the online store.

    The caller holds the home's run lock.

    `back` allows an as-of date older than the live one.

    Raises:
        NotReadyError: If there is no portrait of that date, or the online store does not answer.
        ConflictError: If newer portraits are live and `back` is false.
        HomeError: If the store is not this home's, or most of the portraits that are live would be gone.
        DataError: If the portraits or what was written of them fail a check; the live view stays.
    """
    started = time.perf_counter()
    settings = settings or StoreSettings.load()
    portraits = Portraits.open(home)
    if as_of not in portraits.as_of_dates():
        raise NotReadyError(
            f"{home.portraits}: no portrait as of {as_of}", remedy=f"run `insight build --as-of {as_of}`"
        )
    path = portraits.path(as_of)
    event_at = event_time(path)
    store = open_store(home, settings)
    live = _live(store)
    if live is not None and live.as_of > as_of and not back:
        raise ConflictError(
            f"portraits as of {live.as_of} are live; those of {as_of} are older", remedy="repeat with --back to go back"
        )
    expected = int(pq.read_metadata(path).num_rows)
    if not back:  # whoever goes back on purpose may go to a time of fewer customers
        refuse_few(home, settings, live, expected)
    take(home, store, settings)
    registry = open_registry(home, settings)
    view = live.idle_view if live else VIEWS[0]
    with progress.step("publish portraits", total=expected) as tick:
        store.clear(view)
        hit("publish.after_clear")
        _fill(store, view, blocks(path, portraits.feature_list, event_at), tick)
        hit("publish.after_fill")
    _verify(store, view, expected, int(event_at.timestamp()))
    hit("publish.before_pointer")
    store.switch(
        Pointer(
            view=view,
            as_of=as_of,
            identity=portraits.feature_list.identity,
            published_at=utc_now(),
            rows=expected,
            event_at=event_at,
            sequence=live.sequence + 1 if live else 1,
        )
    )
    hit("publish.after_pointer")
    remember_rows(home, settings, expected)
    show_live_view(home, settings, registry, view)
    store.close()
    return PublishReport(view, as_of, expected, round(time.perf_counter() - started, 3))


def _live(store: OnlineStore) -> Pointer | None:
    """Returns what is live, or None also where the pointer is garbled: then nobody reads, and this publish mends it."""
    try:
        return store.pointer()
    except StateError:
        return None


def event_time(path: Path) -> datetime:
    """Returns the one event time of a partition, its as-of instant (UTC).

    Raises:
        DataError: If the partition is empty or carries more than one event time.
    """
    column = pq.ParquetFile(path).read(columns=["event_timestamp"])["event_timestamp"]
    extremes = pc.min_max(column).as_py()
    instant: datetime | None = extremes["min"]
    if instant is None or column.null_count or instant != extremes["max"]:
        raise DataError(
            f"{path}: a partition has one event time, this one has {pc.count_distinct(column, mode='all')}",
            remedy="build it again",
        )
    return instant.replace(tzinfo=UTC)


def blocks(path: Path, features: FeatureList, event_at: datetime) -> Iterator[Block]:
    """Yields the customers of a partition in blocks, in file order."""
    columns = ["customer_id", *features.names, "facts"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BLOCK_ROWS, columns=columns):
            table = pa.Table.from_batches([batch])
            yield Block(
                ids=table["customer_id"].to_pylist(),
                matrix=encode(table, features),
                facts=table["facts"].to_pylist(),
                identity=features.identity,
                event_epoch=int(event_at.timestamp()),
            )


def _fill(store: OnlineStore, view: str, blocks: Iterator[Block], tick: Tick) -> None:
    """Writes the blocks and compares a sample of each, bit by bit, with what the store gives back."""
    for block in blocks:
        _check(block)
        store.fill(view, block)
        step = max(1, len(block.ids) // _SAMPLE_PER_BLOCK)
        places = sorted({*range(0, len(block.ids), step), len(block.ids) - 1})
        rows = store.read_view(view, [block.ids[place] for place in places])
        for place, row in zip(places, rows, strict=True):
            if (
                row is None
                or row.values is None
                or row.facts is None
                or row.event_epoch != block.event_epoch
                or decode_vector(row.values).tobytes() != np.float32(block.matrix[place]).tobytes()
                or decode_text(row.facts) != block.facts[place]
            ):
                raise DataError(
                    f"{view}: customer {block.ids[place]} reads back otherwise than written; the live view stays",
                    remedy="publish again; if it happens twice, check the online store",
                )
        tick(len(block.ids))


def _check(block: Block) -> None:
    for name, values in (("customer_id", block.ids), ("facts", block.facts)):
        if None in values:
            raise DataError(f"portraits: row without {name}", remedy="build the portraits again")


def _verify(store: OnlineStore, view: str, expected: int, event_epoch: int) -> None:
    """Raises DataError unless the view holds exactly the partition's customers, all of its event time."""
    whole, total = store.count(view, event_epoch)
    if whole != expected or total != expected:
        raise DataError(
            f"{view}: {whole} whole rows of {total} customers after writing {expected}; the live view stays",
            remedy="publish again; if it happens twice, look for a customer that stands twice in the portraits",
        )
