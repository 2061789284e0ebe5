"""What `GET /v1/models` gives."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ModelOut(BaseModel):
    """One target's champion, or why none serves."""

    target: str
    version: str | None
    created_at: str | None
    base_rate: float | None
    lead_days: int | None
    horizon_days: int | None
    portrait_identity: str | None
    metrics: dict[str, Any]
    refused: str


class ModelsAnswer(BaseModel):
    """Every target that has a champion, by name."""

    items: list[ModelOut]


EXAMPLE = {
    "items": [
        {
            "target": "churn", "version": "20260325-5f0c2d1e", "created_at": "2026-06-01T02:00:00Z",
            "base_rate": 0.0171, "lead_days": 0, "horizon_days": 30, "portrait_identity": "portrait_v1-0a1b2c3d",
            "metrics": {"auc": 0.781}, "refused": "",
        }
    ]
}  # fmt: skip
