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

SIDE_BY_SIDE, ONE_THREAD = 10_000, 200_000
"""Up to the first number of customers' records dates are built side by side; beyond it one after the other, for two
dates of 20,000 customers take 2.1 GB and one takes 1.3 GB. Up to the second a date's statements are too small for two
threads."""


def each_date(
    feeds: Feeds, days: Sequence[date], threads: int, fill: Callable[[DuckDBEngine, date], Filled]
) -> Generator[Filled, None, None]:
    """Yields what `fill` returns for each date, in order; its engine stays untouched until the next is asked for."""
    landed = feeds.manifest.feeds.get("customers")
    customers = landed.rows if landed else 0
    number = max(1, min(threads, len(days))) if customers <= SIDE_BY_SIDE else 1
    with ExitStack() as stack:
        each = threads if customers > ONE_THREAD else 1
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
