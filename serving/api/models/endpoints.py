"""`GET /v1/models`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from serving.api.answers import documented, json_response
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.models.schemas import EXAMPLE, ModelsAnswer
from serving.api.models.service import models
from serving.database.keys import ApiKey

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=documented(ModelsAnswer, EXAMPLE), summary="Which models serve")
def get_models(context: ContextOf, key: Annotated[ApiKey, needs("models:read")]) -> Response:  # noqa: ARG001 - the key is the decision
    """Lists each target's serving model with its metrics, and why a newer champion was refused."""
    return json_response(models(context))
