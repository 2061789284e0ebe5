"""The commands of this floor."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds this floor's commands to `insight`."""
