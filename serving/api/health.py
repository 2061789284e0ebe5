"""Is the process alive, can it answer, which version is it, and its figures: `/livez /readyz /version /metrics`."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from features.kit.clock import utc_now
from features.kit.errors import InsightError, NotReadyError
from serving.api.answers import documented, json_response
from serving.api.auth import open_to_all
from serving.api.context import Context, ContextOf

router = APIRouter(tags=["health"])
_PROBE = open_to_all("a balancer asks; the answer holds no customer data")


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Everything that an answer needs works: a real prediction of a golden row, the portraits, the database."""

    status: str
    targets: dict[str, str]
    as_of: str
    portrait_age_hours: float


class Version(BaseModel):
    """Which code serves."""

    name: str
    version: str


@router.get(
    "/livez", dependencies=[_PROBE], responses=documented(Alive, {"status": "alive"}), summary="Is the process alive"
)
async def livez() -> Response:
    """Answers as long as the process runs."""
    return json_response(Alive(status="alive"))


@router.get(
    "/readyz",
    dependencies=[_PROBE],
    responses=documented(
        Ready,
        {
            "status": "ready",
            "targets": {"churn": "20260325-5f0c2d1e"},
            "as_of": "2026-06-01",
            "portrait_age_hours": 9.5,
        },
    ),
    summary="Can it answer",
)
def readyz(context: ContextOf) -> Response:
    """Predicts a golden row with every serving model and reads the portraits' pointer and the database."""
    return json_response(ready(context))


def ready(context: Context) -> Ready:
    """Returns what serves. Raises NotReadyError naming what does not."""
    targets = context.models.targets
    if not targets:
        raise NotReadyError("no model serves", remedy="run `insight train`")
    for target in targets:
        context.models.probe(target)
    pointer = context.portraits.pointer()
    context.check_state()
    try:
        with context.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        raise NotReadyError(f"the operational database does not answer ({type(error).__name__})") from None
    age = round((utc_now() - pointer.event_at).total_seconds() / 3600, 2)
    versions = {state.target: state.manifest.version for state in context.models.states() if state.manifest}
    return Ready(status="ready", targets=versions, as_of=pointer.as_of.isoformat(), portrait_age_hours=age)


@router.get(
    "/version",
    dependencies=[_PROBE],
    responses=documented(Version, {"name": "customer-insight", "version": "0.1.0"}),
    summary="Which version serves",
)
async def get_version() -> Response:
    """Tells the version of the code."""
    return json_response(Version(name="customer-insight", version=version("customer-insight")))


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    dependencies=[open_to_all("Prometheus asks; figures only, keep it inside the operator's network")],
    responses={
        200: {"content": {"text/plain": {"example": "insight_requests_total 42.0", "schema": {"type": "string"}}}}
    },
    summary="Figures for Prometheus",
)
def metrics(context: ContextOf, request: Request) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Tells requests, durations, scores and the portraits' age."""
    try:
        pointer = context.portraits.pointer()
        context.figures.age.set((utc_now() - pointer.event_at).total_seconds() / 3600)
    except InsightError:
        context.figures.age.set(float("nan"))
    return Response(generate_latest(context.figures.registry), media_type=CONTENT_TYPE_LATEST)
