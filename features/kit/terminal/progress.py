"""Progress on stderr: a bar for a person at a terminal, one line a step for a log, silence on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_SECONDS = 30.0
"""How often a long step tells a log how far it is."""
Tick = Callable[[int], None]
"""Says that so many more units of the step's work are done."""


class Progress:
    """Shows what a long run is doing; every long function takes one and defaults to a silent one."""

    def __init__(self, *, quiet: bool = True) -> None:
        self._quiet = quiet
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, label: str, total: int | None = None) -> Iterator[Tick]:
        """Shows one step with `total` units of work (None: unknown) and records how long it took in `seconds`."""
        started = time.perf_counter()
        try:
            if self._quiet:
                yield lambda _: None
            elif sys.stderr.isatty():
                with self._bar(label, total) as tick:
                    yield tick
            else:
                print(f"{label} ...", file=sys.stderr, flush=True)
                yield _lines(label, total, started)
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[label] = self.seconds.get(label, 0.0) + elapsed
            if not self._quiet and not sys.stderr.isatty():
                print(f"{label} {elapsed:.1f} s", file=sys.stderr, flush=True)

    @contextmanager
    def _bar(self, label: str, total: int | None) -> Iterator[Tick]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = [
            TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[speed]}"), TimeRemainingColumn(),
        ]  # fmt: skip
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task, done, started = bar.add_task(label, total=total, speed=""), 0, time.perf_counter()

            def tick(units: int) -> None:
                nonlocal done
                done += units
                speed = f"{done / (time.perf_counter() - started):,.0f} a second, left"
                bar.update(task, advance=units, speed=speed if total else "")

            yield tick
            if total is not None:
                bar.update(task, completed=total)


def _lines(label: str, total: int | None, started: float) -> Tick:
    """Returns a tick that prints a line for a log every so many seconds: how far, how fast, how long it will take."""
    done, printed = 0, started

    def tick(units: int) -> None:
        nonlocal done, printed
        done, now = done + units, time.perf_counter()
        if total and now - printed >= LINE_SECONDS:
            printed, speed = now, done / (now - started)
            left = f"{(total - done) / speed:.0f} s left" if speed else ""
            print(f"{label} {done:,} of {total:,}, {speed:,.0f} a second, {left}", file=sys.stderr, flush=True)

    return tick


SILENT = Progress()
"""The default of every long function: nothing shown."""
