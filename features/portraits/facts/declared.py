"""Facts of an operator's own columns, as the `when` of a reason in `configs/reasons.yaml` declares them.

    attributes of the source mapping + `when` of each reason --> one fact with its own value as the slot {value}

The thresholds of every other fact are code; these are the operator's, so they are part of what a portrait is made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from features.feeds.schema import Column
from features.kit.config import Config, config_path, merged_yaml, parse_config
from features.kit.errors import ConfigurationError
from features.kit.sql import literal, quoted
from features.kit.terminal.spelling import did_you_mean
from features.portraits.facts.facts import Fact


class DeclaredFact(Config):
    """When a declared attribute is a fact that a reason may speak of.

    Attributes:
        attribute: The attribute's name in the source mapping.
        raises_when: Which end of a number raises the score.
        threshold: The number from which on the fact holds, itself included.
        quantile: Instead of a threshold: the share of the base's known values below it; beyond it the fact holds.
        one_of: For a category: the values with which it holds, as the operator writes them.
    """

    attribute: str
    raises_when: Literal["high", "low"] | None = None
    threshold: float | None = None
    quantile: float | None = Field(default=None, gt=0, lt=1)
    one_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        limits = (self.threshold is not None) + (self.quantile is not None)
        if self.one_of and not limits and self.raises_when is None:
            return self
        if self.one_of or limits != 1 or self.raises_when is None:
            raise ValueError(
                f"{self.attribute}: give `raises_when` (high, low) with `threshold` or `quantile` for a number, "
                "or `one_of` alone for a category"
            )
        return self

    @property
    def slots(self) -> frozenset[str]:
        """Returns what its sentences may say: the number itself."""
        return frozenset() if self.one_of else frozenset({"value"})


@dataclass(frozen=True)
class OwnFact:
    """A declared fact with its columns beside the features, which may be named like any detail.

    Attributes:
        fact: The fact over these columns.
        columns: SQL of the columns, over `portrait_features`.
    """

    fact: Fact
    columns: str


def declared_facts() -> dict[str, DeclaredFact]:
    """Returns reason code -> what it declares, for the reasons with a `when`. Raises ConfigurationError."""
    source = config_path("reasons.yaml")
    reasons = merged_yaml("reasons.yaml").get("reasons") or {}
    return {
        code: parse_config(DeclaredFact, spec["when"], source=f"{source}: reasons.{code}.when")
        for code, spec in sorted(reasons.items())
        if isinstance(spec, dict) and isinstance(spec.get("when"), dict)
    }


def own_facts(attributes: Sequence[Column]) -> tuple[OwnFact, ...]:
    """Returns the declared facts of an operator's attributes, by code; none for an operator without attributes.

    Raises:
        ConfigurationError: If a reason names an attribute that this operator lacks, or asks a category for a number.
    """
    kinds = {attribute.name: attribute.kind.value for attribute in attributes}
    if not kinds:
        return ()
    return tuple(_own(place, code, declared, kinds) for place, (code, declared) in enumerate(declared_facts().items()))


def _own(place: int, code: str, declared: DeclaredFact, kinds: dict[str, str]) -> OwnFact:
    name, where = declared.attribute, f"{config_path('reasons.yaml')}: reasons.{code}.when"
    if name not in kinds:
        hint = did_you_mean(name, kinds, otherwise=f"; declared are {', '.join(sorted(kinds))}")
        raise ConfigurationError(
            f"{where}.attribute: the source mapping declares no '{name}'{hint}",
            remedy="declare it under `attributes` of the mapping, or correct the name",
        )
    if bool(declared.one_of) != (kinds[name] == "category"):
        keys = "`one_of`" if kinds[name] == "category" else "`raises_when` with `threshold` or `quantile`"
        raise ConfigurationError(f"{where}: '{name}' is a {kinds[name]}", remedy=f"say when it counts by {keys}")
    value, limit = f"own_value_{place}", f"own_limit_{place}"
    if declared.one_of:
        values = ", ".join(literal(one) for one in declared.one_of)
        return OwnFact(Fact(code, f"CAST({value} AS VARCHAR) IN ({values})"), f"{quoted(name)} AS {value}")
    comparison = ">" if declared.raises_when == "high" else "<"
    if declared.threshold is not None:  # the threshold itself counts; of a quantile that many customers share, none
        comparison, bound = f"{comparison}=", f"CAST({declared.threshold!r} AS FLOAT)"
    else:
        bound = f"(SELECT quantile_cont({quoted(name)}, {declared.quantile!r}) FROM portrait_features)"
    fact = Fact(code, f"{value} {comparison} {limit}", {"value": f"CAST(CAST({value} AS VARCHAR) AS DOUBLE)"})
    return OwnFact(fact, f"{quoted(name)} AS {value}, {bound} AS {limit}")
