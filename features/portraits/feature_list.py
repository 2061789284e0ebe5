"""The one list of features: which, in which order, under which identity.

The features' names come from the dimension files and nowhere else; an operator's declared attributes follow at the
end. The identity is `portrait_v1` and a hash over all of them; every stored vector and every model bundle carries it.
So portraits that a later release gives one feature more lie beside those of before and are never mixed with them.
Dictionaries of categories are append-only, so a code never changes its meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import orjson

from features.kit.errors import DataError, NotReadyError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from features.portraits.dimensions import (
    attributes,
    calling_habits,
    channel_preference,
    consumption,
    contract,
    data_packs,
    network,
    profile,
    roaming,
    service_history,
)
from features.portraits.dimensions.attributes import DeclaredAttribute
from features.portraits.dimensions.spec import Definition, Feature

VERSION = "portrait_v1"
POINTER, LIST = "current.json", "feature_list.json"

OWN_COLUMNS = frozenset({
    "as_of_date", "event_timestamp", "created_timestamp", "built_at", "primary_class", "also_classes", "facts",
    "spine_row", "days_ago", "is_this_month", "civil_hour", "as_of", "today", "month_days_elapsed",
})  # fmt: skip
"""The columns beside the features in a portrait, a training table or a staged row; no attribute may take their name."""

_DIMENSION_FILES = (
    profile,
    calling_habits,
    consumption,
    contract,
    data_packs,
    channel_preference,
    roaming,
    network,
    service_history,
)


def definitions(declared: Iterable[DeclaredAttribute] = ()) -> tuple[Definition, ...]:
    """Returns every feature with its expression, in the order of the list.

    Raises:
        DataError: If a declared attribute takes the name of a feature or of another column of the portrait.
    """
    ours = tuple(definition for module in _DIMENSION_FILES for definition in module.DEFINITIONS)
    theirs = attributes.definitions(declared)
    own = OWN_COLUMNS.union(definition.feature.name for definition in ours)
    taken = own & {definition.feature.name for definition in theirs}
    if taken:
        raise DataError(
            f"attributes: '{min(taken)}' is already a feature or a column of the portrait",
            remedy="give the attribute another name in the source mapping",
        )
    return ours + theirs


def dimensions() -> tuple[str, ...]:
    """Returns the names of the dimensions in the order of the list, attributes last."""
    return (*dict.fromkeys(definition.feature.dimension for definition in definitions()), "attributes")


def identity_of(features: Iterable[Feature]) -> str:
    """Returns `portrait_v1-` and 8 hex digits over the features' names and kinds in their order."""
    content = orjson.dumps([[feature.name, feature.kind] for feature in features])
    return f"{VERSION}-{hashlib.sha256(content).hexdigest()[:8]}"


def current_identity(home: Home) -> str | None:
    """Returns the identity of the home's current portraits, or None before the first build.

    Raises:
        DataError: If the pointer is damaged.
    """
    pointer = home.portraits / POINTER
    if not pointer.exists():
        return None
    try:
        return str(read_json(pointer)["identity"])
    except (KeyError, TypeError):
        raise DataError(f"{pointer}: names no identity", remedy="remove it and run `insight build`") from None


@dataclass(frozen=True)
class FeatureList:
    """The features of a portrait, in order.

    Attributes:
        version: The meaning of the features' names, `portrait_v1`; a name that changes its meaning changes it.
        identity: The version and the hash of the features; vectors of another identity are refused.
        features: The features in the order of a vector.
    """

    version: str
    identity: str
    features: tuple[Feature, ...]

    @classmethod
    def declared(cls, attributes_declared: Iterable[DeclaredAttribute] = ()) -> FeatureList:
        """Returns the list with the categories that are known without any data."""
        features = tuple(definition.feature for definition in definitions(attributes_declared))
        return cls(VERSION, identity_of(features), features)

    @classmethod
    def load(cls, home: Home) -> FeatureList:
        """Returns the list of the home's current portraits.

        Raises:
            NotReadyError: If no portrait has been built.
        """
        identity = current_identity(home)
        if identity is None:
            raise NotReadyError(f"{home.portraits}: no portrait has been built", remedy="run `insight build`")
        return cls.load_identity(home, identity)

    @classmethod
    def load_identity(cls, home: Home, identity: str) -> FeatureList:
        """Returns the list stored under an identity. Raises NotReadyError if there is none."""
        path = home.portraits / identity / LIST
        if not path.exists():
            raise NotReadyError(f"{path}: no such feature list", remedy="run `insight build`")
        content = read_json(path)
        try:
            features = tuple(
                Feature(**fields | {"categories": tuple(fields["categories"])}) for fields in content["features"]
            )
            return cls(content["version"], content["identity"], features)
        except (KeyError, TypeError):
            raise DataError(
                f"{path}: not a feature list", remedy=f"remove {path.parent} and build its dates again"
            ) from None

    def save(self, home: Home) -> None:
        """Writes the list beside its portraits."""
        content = {"version": self.version, "identity": self.identity, "features": [asdict(f) for f in self.features]}
        write_json(home.portraits / self.identity / LIST, content)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Returns the names in the order of a vector."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def category_indices(self) -> tuple[int, ...]:
        """Returns the places of the categories in a vector."""
        return tuple(place for place, feature in enumerate(self.features) if feature.kind == "category")

    @cached_property
    def open_categories(self) -> tuple[str, ...]:
        """Returns the categories whose values come from the data, not from a contract."""
        closed = {definition.feature.name for definition in definitions() if definition.feature.categories}
        return tuple(f.name for f in self.features if f.kind == "category" and f.name not in closed)

    def with_values(self, seen: Mapping[str, Iterable[str]]) -> FeatureList:
        """Returns the list with unknown values appended to the dictionaries; known codes keep their places."""
        grown = tuple(
            replace(f, categories=f.categories + tuple(sorted(set(seen.get(f.name, ())) - set(f.categories))))
            if f.kind == "category"
            else f
            for f in self.features
        )
        return replace(self, features=grown)

    def with_known_codes(self, home: Home) -> FeatureList:
        """Returns this list with the codes that were given before: by its own portraits, and by the current ones.

        So a model of a former release reads the portraits of this one.
        """
        known = self
        for identity in filter(None, (current_identity(home), self.identity)):
            if (home.portraits / identity / LIST).exists():
                known = known.with_dictionaries(self.load_identity(home, identity))
        return known

    def with_dictionaries(self, stored: FeatureList) -> FeatureList:
        """Returns this list with the stored dictionaries in front of its own, so that no code ever moves."""
        before = {feature.name: feature.categories for feature in stored.features if stored.version == self.version}
        grown = tuple(
            replace(f, categories=tuple(dict.fromkeys((*before.get(f.name, ()), *f.categories))))
            if f.kind == "category"
            else f
            for f in self.features
        )
        return replace(self, features=grown)
