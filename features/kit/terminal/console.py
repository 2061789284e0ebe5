"""The console on which every command prints its tables: as wide as the terminal, and wide in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH_OF_A_FILE = 180
"""Columns where no terminal has a width: enough for the widest table."""


def open_console() -> Console:
    """Returns a console on standard output."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)


def make_table(
    headings: Iterable[str], rows: Iterable[Iterable[str]], *, right: Collection[str] = (), title: str = ""
) -> Table:
    """Returns a table for a console: framed under its title, or without a frame if it has none.

    `right` are the headings of the columns that are aligned to the right; rich's markup in a cell is obeyed.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.HEAVY_HEAD if title else None)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left")
    for row in rows:
        table.add_row(*row)
    return table
