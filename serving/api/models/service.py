"""What serves for each target, and why a newer champion does not."""

from __future__ import annotations

from serving.api.context import Context
from serving.api.models.schemas import ModelOut, ModelsAnswer
from serving.scoring.models import ModelState

_OF_MANIFEST = ("version", "created_at", "base_rate", "lead_days", "horizon_days", "portrait_identity")


def models(context: Context) -> ModelsAnswer:
    """Returns every target that has a champion."""
    return ModelsAnswer(items=[_model(state) for state in context.models.states()])


def _model(state: ModelState) -> ModelOut:
    known = {name: state.manifest and getattr(state.manifest, name) for name in _OF_MANIFEST}
    metrics = state.manifest.metrics if state.manifest else {}
    return ModelOut(target=state.target, metrics=metrics, refused=state.refused.rpartition("/")[2], **known)
