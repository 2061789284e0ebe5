"""The dates of a build side by side: each has a database of its own, and what is done is handed over in order.

Most statements of a date are too small for two threads, so two dates at a time use two cores where one date does not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from threading import Event
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
    number, ended = len(engines), Event()
    free = [Event() for _ in range(len(days) + number)]  # for each date: its engine's date before was taken

    def filled(place: int) -> Filled:
        # One event a date: where any date could take an engine that is free, later ones would take those of earlier.
        free[place].wait()
        if ended.is_set():
            raise InterruptedError("the build ended before this date began")
        return fill(engines[place % number], days[place])

    for event in free[:number]:
        event.set()
    with ThreadPoolExecutor(number) as pool:
        try:
            for place, done in enumerate([pool.submit(filled, place) for place in range(len(days))]):
                yield done.result()
                free[place + number].set()
        finally:  # whatever ended the build, no thread goes on with a date that nobody takes
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for event in free:
                event.set()
            for engine in engines:
                engine.connection.interrupt()
