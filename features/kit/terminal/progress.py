"""Progress on stderr: a bar for a person at a terminal, one line a step for a log, silence on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
                yield lambda _: None
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[label] = self.seconds.get(label, 0.0) + elapsed
            if not self._quiet and not sys.stderr.isatty():
                print(f"{label} {elapsed:.1f} s", file=sys.stderr, flush=True)

    @contextmanager
    def _bar(self, label: str, total: int | None) -> Iterator[Tick]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = [TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total)
            yield lambda units: bar.advance(task, units)
            if total is not None:
                bar.update(task, completed=total)


SILENT = Progress()
"""The default of every long function: nothing shown."""
