"""What Feast is told: the customer, the wide offline view, the two online views, and one service per model version.

A service is a list of features that one model version consumes; a new version of a list is a new service. Only this
package imports Feast.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from features.kit.errors import NotFoundError
from features.portraits.feature_list import FeatureList
from features.store.loading import load_feast
from features.store.online.feast_layout import ENTITY, FACTS, FEATURE_LIST, VALUES, VIEWS

OFFLINE_VIEW = "portrait"
ONLINE_SERVICE = "portrait_online"
BUILT_AT = "built_at"
"""A plain column of every portrait row; a joined row without it found no portrait."""

TTL = timedelta(hours=22, minutes=59, seconds=59)
"""How long a portrait counts: its own civil day. Feast's bound is inclusive and the shortest civil day has 23 hours,
so one day exactly would let yesterday's portrait stand in for today's missing one."""

EXCLUDED: Mapping[str, frozenset[str]] = {
    "churn_v1": frozenset(),
    "complaint_v1": frozenset(),
    "upgrade_v1": frozenset(),
    "dissatisfaction_v1": frozenset(),
}
"""The offline services, each with the features that it leaves out of the portrait."""


def service_features(service: str, features: FeatureList) -> tuple[str, ...]:
    """Returns the features of an offline service in list order. Raises NotFoundError naming an unknown service."""
    if service not in EXCLUDED:
        raise NotFoundError(
            f"feature service '{service}': unknown", remedy=f"one of {', '.join(EXCLUDED)}, or add it to definitions.py"
        )
    return tuple(name for name in features.names if name not in EXCLUDED[service])


def objects(features: FeatureList, portraits: Path, live_view: str | None, *, on_spark: bool = False) -> list[Any]:
    """Returns every Feast object of a feature list.

    `portraits` is the absolute folder of the list's partitions, `<home>/portraits/<identity>`, and `live_view` the
    online view that `portrait_online` shows; None, before the first publish, means the first one. `on_spark` makes
    sources that Feast's Spark offline store reads.
    """
    feast = load_feast()
    from feast.types import Array, Float32, String, UnixTimestamp

    customer = feast.Entity(
        name=ENTITY, join_keys=[ENTITY], value_type=feast.ValueType.STRING, description="One subscription."
    )
    tags = {"identity": features.identity, "version": features.version}

    def source(name: str) -> Any:
        kind, form = (_spark_source(), {"file_format": "parquet"}) if on_spark else (feast.FileSource, {})
        return kind(
            name=name,
            path=str(portraits / "as_of=*" / "portrait.parquet"),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
            **form,
        )

    key = feast.Field(name=ENTITY, dtype=String)
    wide = feast.FeatureView(
        name=OFFLINE_VIEW,
        entities=[customer],
        ttl=TTL,
        schema=[
            key,
            *(
                feast.Field(
                    name=one.name, dtype=String if one.kind == "category" else Float32, description=one.description
                )
                for one in features.features
            ),
            feast.Field(name=BUILT_AT, dtype=UnixTimestamp, description="When the portrait was built; no feature."),
        ],
        source=source("portraits"),
        online=False,
        description="One row per customer and as-of date.",
        tags=tags,
    )
    vectors = {
        name: feast.FeatureView(
            name=name,
            entities=[customer],
            ttl=timedelta(0),
            schema=[
                key,
                feast.Field(name=VALUES, dtype=Array(Float32), description="Features in list order; NaN is missing."),
                feast.Field(name=FACTS, dtype=String, description="Canonical JSON; never a model input."),
                feast.Field(name=FEATURE_LIST, dtype=String, description="Identity of the feature list."),
            ],
            source=source(f"{name}_source"),
            online=True,
            description="Packed portraits of one as-of date; filled by `insight publish`, never by materialise.",
            tags=tags,
        )
        for name in VIEWS
    }
    services = [
        feast.FeatureService(name=name, features=[wide[list(service_features(name, features))]], tags=tags)
        for name in EXCLUDED
    ]
    online = feast.FeatureService(name=ONLINE_SERVICE, features=[vectors[live_view or VIEWS[0]]], tags=tags)
    return [customer, wide, *vectors.values(), *services, online]


def _spark_source() -> Any:
    """Returns Feast's kind of source for Spark, which calls itself experimental each time it is made."""
    with warnings.catch_warnings(action="ignore"):
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

    def quiet(**options: Any) -> Any:
        with warnings.catch_warnings(action="ignore"):
            return SparkSource(**options)

    return quiet
