"""The commands of the top floor: score, replay, reasons, fit, outreach, outcomes, keys, serve, erase, home."""

from __future__ import annotations

import typer

from serving.api import commands as api
from serving.database import commands as database
from serving.erasure import commands as erasure
from serving.home import commands as home
from serving.outreach import commands as outreach
from serving.product_fit import commands as product_fit
from serving.scoring import commands as scoring


def register(app: typer.Typer) -> None:
    """Adds this floor's commands to `insight`."""
    for room in (scoring, product_fit, outreach, database, api, erasure, home):
        room.register(app)
