"""What serves for each target, and why a newer champion does not."""

from __future__ import annotations

from serving.api.context import Context
from serving.api.models.schemas import ModelOut, ModelsAnswer
from serving.scoring.models import ModelState


def models(context: Context) -> ModelsAnswer:
    """Returns every target that has a champion."""
    return ModelsAnswer(items=[_model(state) for state in context.models.states()])


def _model(state: ModelState) -> ModelOut:
    manifest = state.manifest
    return ModelOut(
        target=state.target,
        version=manifest and manifest.version,
        created_at=manifest and manifest.created_at,
        base_rate=manifest and manifest.base_rate,
        lead_days=manifest and manifest.lead_days,
        horizon_days=manifest and manifest.horizon_days,
        portrait_identity=manifest and manifest.portrait_identity,
        metrics=manifest.metrics if manifest else {},
        refused=state.refused.rpartition("/")[2],
    )
