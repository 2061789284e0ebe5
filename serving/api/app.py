"""The API: every slice, one way to refuse, documentation without a CDN."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import cast

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool

from features.kit.home import Home
from serving.api import errors, health
from serving.api.audiences import endpoints as audiences
from serving.api.contacts import endpoints as contacts
from serving.api.context import Context
from serving.api.lookups import endpoints as lookups
from serving.api.models import endpoints as models
from serving.api.outcomes import endpoints as outcomes
from serving.api.outreach import endpoints as outreach
from serving.api.places import MOST_AT_ONCE, Places
from serving.api.portraits import endpoints as portraits
from serving.api.product_fit import endpoints as product_fit
from serving.api.scores import endpoints as scores
from serving.api.traffic import Figures, Traffic
from serving.settings import read_settings

DESCRIPTION = """
Know each customer, and act before the customer complains or leaves.

Send `Authorization: Bearer ik_...`; make keys with `insight keys create NAME --scope scores:read`.
Ids are JSON strings. Money is an integer in the currency's minor unit (CNY: li, 1/1000 yuan). Refusals are
`application/problem+json` (RFC 9457) with a stable `code`.
"""
SLICES = (health, scores, audiences, portraits, product_fit, lookups, outreach, contacts, outcomes, models)


def create_app(
    home: Home,
    *,
    figures: Figures | None = None,
    context: Context | None = None,
    check_in_child: bool = True,
    most_at_once: int = MOST_AT_ONCE,
) -> FastAPI:
    """Returns the application of a home; databases and models open when it starts, unless they are given.

    `figures`, needed with `context`, is what `/metrics` shows; a `context` that is open already is closed with the
    application. `check_in_child` first loads each model in a child process (`training.bundle.load`). Of more than
    `most_at_once` requests at a time the others are refused with 503 and Retry-After.
    """
    counted = figures or Figures()

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        held = context
        if held is None:
            held = await run_in_threadpool(Context.open, home, counted, check_in_child=check_in_child)
        app.state.context = held
        held.watch(read_settings().watch_seconds)
        try:
            yield
        finally:
            await run_in_threadpool(held.close)

    app = cast(
        FastAPI,
        FastAPIOffline(
            title="Customer Insight",
            version=version("customer-insight"),
            description=DESCRIPTION,
            lifespan=opened,
            redirect_slashes=False,
        ),
    )
    errors.install(app)
    for piece in SLICES:
        app.include_router(piece.router)
    app.state.places = Places(most_at_once)
    app.add_middleware(Traffic, figures=counted, places=app.state.places, at_once={scores.PATH: scores.answer_at_once})
    return app
