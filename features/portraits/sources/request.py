"""What a build is told: zone, features, thresholds, attributes and money scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.feeds.schema import Column, Kind
from features.portraits.dimensions.spec import Definition
from features.portraits.settings import PortraitSettings
from features.portraits.sources.sources import SOURCES


@dataclass(frozen=True)
class Request:
    """What one run of the features is told.

    Attributes:
        time_zone: The operator's zone.
        definitions: The features, in order.
        settings: The thresholds.
        attributes: The declared attributes as columns.
        money_scale: Decimals of landed money.
        country: Whose festivals are looked at.
    """

    time_zone: str
    definitions: tuple[Definition, ...]
    settings: PortraitSettings
    attributes: tuple[Column, ...]
    money_scale: int
    country: str = "CN"


def attribute_columns(declared: Sequence[Any]) -> tuple[Column, ...]:
    """Returns the declared attributes as columns of the attributes feed."""
    return tuple(Column(attribute.name, Kind(attribute.kind)) for attribute in declared)


def is_present(source: str, present: frozenset[str]) -> bool:
    """Returns whether any feed that a source needs is there, and not the feed that it stands in for."""
    one = SOURCES[source]
    return any(feed in present for feed in one.needs) and one.stands_in_for not in present


def source_of(definition: Definition, present: frozenset[str]) -> str | None:
    """Returns the source that gives a feature: its own, else the one by months; None where neither is there."""
    possible = (definition.source, definition.months)
    return next((name for name in possible if name is not None and is_present(name, present)), None)


def from_months(definitions: Sequence[Definition], present: frozenset[str]) -> list[str]:
    """Returns the features that are made from months because the feed by day is missing."""
    return [
        definition.feature.name
        for definition in definitions
        if definition.months is not None and source_of(definition, present) == definition.months
    ]
