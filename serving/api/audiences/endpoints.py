"""`GET /v1/audiences`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.api.answers import documented, json_response, not_evaluable
from serving.api.audiences.schemas import EXAMPLE, AudienceAnswer, AudienceQuery
from serving.api.audiences.service import audience, audience_csv
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.database.keys import ApiKey

router = APIRouter(tags=["audiences"])

_ANSWERS = documented(AudienceAnswer, EXAMPLE, 404)
_ANSWERS[200]["content"]["text/csv"] = {"schema": {"type": "string"}}


@router.get("/v1/audiences", responses=_ANSWERS, summary="Find whom a campaign may reach")
def get_audience(
    query: Annotated[AudienceQuery, Query()], context: ContextOf, key: Annotated[ApiKey, needs("scores:read")]
) -> Response:
    """Finds customers by score, class and place who may be contacted for this purpose on this channel.

    `view=count` tells how many, `view=page` gives pages (`cursor`), `view=csv` gives all. The same contact policy as
    for outreach lists applies; `refused` counts who was left out, by code. A person with several subscriptions is
    found once, by the one with the highest propensity; the others count as `same_person`. Refusals that nobody can
    check, because their feed does not come, are `not_evaluable`: in the answer, and as the CSV's header of that name.
    """
    if query.view == "csv":
        content, unchecked = audience_csv(context, key, query)
        return Response(content, headers=not_evaluable(unchecked), media_type="text/csv; charset=utf-8")
    return json_response(audience(context, key, query))
