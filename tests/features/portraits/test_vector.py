"""The list, the vector and the catalogue page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.kit.errors import DataError
from features.portraits.catalogue import page
from features.portraits.dimensions import consumption
from features.portraits.dimensions.spec import Feature
from features.portraits.feature_list import FeatureList, dimensions
from features.portraits.vector import encode

LIST = FeatureList("v", "v-0", (Feature("n", "d"), Feature("c", "d", "category", ("x", "y"))))


def test_a_portrait_becomes_float32_codes_and_nan():
    """Numbers stay, categories become their places, what is missing or unknown becomes NaN."""
    table = pa.table(
        {"c": ["y", "x", "z", None], "n": pa.array([1.5, None, 2.0, 3.0], pa.float32()), "other": [1, 2, 3, 4]}
    )
    values = encode(table, LIST)
    assert values.dtype == np.float32
    assert np.array_equal(
        values, np.array([[1.5, 1], [np.nan, 0], [2, np.nan], [3, np.nan]], np.float32), equal_nan=True
    )


def test_a_column_that_the_list_wants_must_be_there():
    """The error names the feature and the identity."""
    with pytest.raises(DataError, match="'c' of v-0 is missing"):
        encode(pa.table({"n": pa.array([1.0], pa.float32())}), LIST)


def test_an_empty_portrait_is_an_empty_matrix():
    """No rows in, no rows out, all features wide."""
    empty = pa.table({"n": pa.array([], pa.float32()), "c": pa.array([], pa.string())})
    assert encode(empty, LIST).shape == (0, 2)


def test_new_values_are_appended_to_a_dictionary():
    """Known codes keep their places whatever comes later."""
    assert LIST.with_values({"c": ["a", "y", "b"]}).features[1].categories == ("x", "y", "a", "b")


def test_names_are_unique_and_end_as_the_words_say():
    """About ninety to a hundred and twenty features over nine dimensions; windows stand last."""
    names = FeatureList.declared().names
    assert len(set(names)) == len(names)
    assert 90 <= len(names) <= 120
    assert len(dimensions()) == 10
    assert all(any(name.endswith(end) for end in _ENDS) or name in _PLAIN for name in names)


def test_the_identity_changes_with_the_declared_attributes():
    """A vector of other attributes is another identity; a new sentence about one is not."""

    class Declared:
        def __init__(self, name, description):
            self.name, self.kind, self.description = name, "number", description

    plain, one = FeatureList.declared(), FeatureList.declared([Declared("a", "x")])
    assert plain.identity != one.identity
    assert one.identity == FeatureList.declared([Declared("a", "y")]).identity


def test_a_release_with_another_feature_is_another_identity(monkeypatch: pytest.MonkeyPatch):
    """One feature fewer, as before a release, or two that changed places: their portraits never lie in one folder."""
    now = FeatureList.declared()
    shorter, swapped = consumption.DEFINITIONS[1:], (*consumption.DEFINITIONS[1::-1], *consumption.DEFINITIONS[2:])
    for other in (shorter, swapped):
        monkeypatch.setattr(consumption, "DEFINITIONS", other)
        assert FeatureList.declared().identity != now.identity
    monkeypatch.undo()
    assert FeatureList.declared().identity == now.identity


def test_the_catalogue_page_is_up_to_date():
    """`insight catalogue --out features/CATALOGUE.md` would change nothing."""
    root = Path(__file__).parents[3]
    assert (root / "features" / "CATALOGUE.md").read_text(encoding="utf-8") == page()


_ENDS = (
    "_7d",
    "_30d",
    "_90d",
    "_180d",
    "_14d",
    "_60d",
    "_days",
    "_amount",
    "_share",
    "_count",
    "_mb",
    "_minutes",
    "_score",
    "_year",
)
_PLAIN = {
    "kind", "status", "vip_tier", "province", "device_generation", "is_ported_in", "contract_type", "plan_generation",
    "is_5g_device_on_old_plan", "has_pending_plan", "preferred_channel", "has_roamed_this_season", "has_fixed_service",
}  # fmt: skip
