"""Attributes: the operator's own columns, as declared in the source mapping; each is a feature of the same name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from features.portraits.dimensions.spec import Definition, Dimension

_is = Dimension("attributes")


class DeclaredAttribute(Protocol):
    """A column declared in the source mapping."""

    @property
    def name(self) -> str:
        """Returns the column's name, which becomes the feature's."""

    @property
    def kind(self) -> str:
        """Returns `number` or `category`."""

    @property
    def description(self) -> str:
        """Returns the operator's sentence about it."""


def definitions(declared: Iterable[DeclaredAttribute]) -> tuple[Definition, ...]:
    """Returns one feature per declared attribute: its newest known value."""
    return tuple(_definition(attribute) for attribute in declared)


def _definition(declared: DeclaredAttribute) -> Definition:
    write = _is.category if declared.kind == "category" else _is.number
    return write(declared.name, "attributes", declared.description, lambda t: t[declared.name].max())
