"""The commands of the ground floor: simulate, ingest, check, build, publish, catalogue, demo, run."""

from __future__ import annotations

import typer

from features.feeds import commands as feeds
from features.journey import commands as journey
from features.portraits import commands as portraits
from features.simulator import commands as simulator
from features.store import commands as store


def register(app: typer.Typer) -> None:
    """Adds this floor's commands to `insight`."""
    for room in (journey, simulator, feeds, portraits, store):
        room.register(app)
