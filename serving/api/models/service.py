"""What serves for each target, and why a newer champion does not."""

from __future__ import annotations

from typing import Any

from serving.api.context import Context


def models(context: Context) -> dict[str, Any]:
    """Returns every target that has a champion (see `ModelsAnswer`)."""
    items = []
    for state in context.models.states():
        manifest = state.manifest
        items.append(
            {
                "target": state.target,
                "version": manifest and manifest.version,
                "created_at": manifest and manifest.created_at,
                "base_rate": manifest and manifest.base_rate,
                "lead_days": manifest and manifest.lead_days,
                "horizon_days": manifest and manifest.horizon_days,
                "portrait_identity": manifest and manifest.portrait_identity,
                "metrics": manifest.metrics if manifest else {},
                "refused": state.refused.rpartition("/")[2],
            }
        )
    return {"items": items}
