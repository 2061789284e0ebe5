"""The floor of the API's figures: FastAPI and uvicorn as `insight serve` runs them, with one route that checks its body.

python -m tests.bench.floor PORT
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Response

from serving.api.scores.schemas import ScoresRequest

PATH = "/empty"
app = FastAPI()


@app.post(PATH)
async def empty(request: ScoresRequest) -> Response:
    """Answers nothing."""
    del request
    return Response(b"{}", media_type="application/json")


@app.get("/readyz")
async def ready() -> Response:
    """Answers that it is there."""
    return Response(b"{}")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
