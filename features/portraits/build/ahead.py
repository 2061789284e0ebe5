"""The dates of a build side by side: each has a database of its own, and what is done is handed over in order.

Most statements of a date are too small for two threads, so two dates at a time use two cores where one date does not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from queue import SimpleQueue
from typing import TypeVar

from features.feeds.landed.reading import Feeds
from features.portraits.sources.engines import DuckDBEngine

Filled = TypeVar("Filled")

MOST_CUSTOMERS = 200_000
"""With more records of customers the dates come one after the other, with all threads each: memory stays as of one."""


def each_date(
    feeds: Feeds, days: Sequence[date], threads: int, fill: Callable[[DuckDBEngine, date], Filled]
) -> Generator[Filled, None, None]:
    """Yields what `fill` returns for each date, in order; its engine stays untouched until the next is asked for."""
    landed = feeds.manifest.feeds.get("customers")
    is_small = landed is None or sum(part.rows for part in landed.parts) <= MOST_CUSTOMERS
    number = max(1, min(threads, len(days))) if is_small else 1
    with ExitStack() as stack:
        each = max(1, threads // number)
        engines = [DuckDBEngine(stack.enter_context(feeds.connect(threads=each))) for _ in range(number)]
        if number == 1:
            yield from (fill(engines[0], day) for day in days)
        else:
            yield from _side_by_side(engines, days, fill)


def _side_by_side(
    engines: Sequence[DuckDBEngine], days: Sequence[date], fill: Callable[[DuckDBEngine, date], Filled]
) -> Generator[Filled, None, None]:
    free: SimpleQueue[DuckDBEngine | None] = SimpleQueue()
    for engine in engines:
        free.put(engine)

    def filled(day: date) -> tuple[DuckDBEngine, Filled]:
        engine = free.get()
        if engine is None:
            raise InterruptedError("the build ended before this date began")
        return engine, fill(engine, day)

    with ThreadPoolExecutor(len(engines)) as pool:
        try:
            for done in [pool.submit(filled, day) for day in days]:
                engine, result = done.result()
                yield result
                free.put(engine)
        finally:  # whatever ended the build, no thread goes on with a date that nobody takes
            pool.shutdown(wait=False, cancel_futures=True)
            for engine in engines:
                free.put(None)
                engine.connection.interrupt()
