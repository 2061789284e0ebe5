"""The commands of the middle floor: train, explain, audit, monitor, promote, rollback, models."""

from __future__ import annotations

import typer

from training import commands
from training.explanation import commands as explain_commands


def register(app: typer.Typer) -> None:
    """Adds this floor's commands to `insight`."""
    commands.register(app)
    explain_commands.register(app)
