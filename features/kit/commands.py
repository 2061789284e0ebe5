"""The two commands that string every room together: `insight demo` and `insight run`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
