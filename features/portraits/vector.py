"""A portrait as a vector of float32: the one function that publish, training and batch scoring share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.kit.arrays import Vectors
from features.kit.errors import DataError
from features.portraits.feature_list import FeatureList

if TYPE_CHECKING:
    import pyarrow as pa


def encode(table: pa.Table, features: FeatureList) -> Vectors:
    """Returns float32 values [rows, features] in the order of the list.

    A number stays as it is, a category becomes its place in the list's dictionary, and what is missing or unknown to
    the dictionary becomes NaN. Columns are taken by name; further columns are ignored.

    Raises:
        DataError: If a feature of the list is not a column of the table.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = np.empty((table.num_rows, len(features.features)), dtype=np.float32)
    names = set(table.column_names)
    for place, feature in enumerate(features.features):
        if feature.name not in names:
            raise DataError(
                f"portrait: the feature '{feature.name}' of {features.identity} is missing",
                remedy="run `insight build` with this version",
            )
        column = table.column(feature.name)
        if feature.kind == "category":
            known = pa.array(feature.categories, type=pa.string())
            column = pc.index_in(column.cast(pa.string()), value_set=known, skip_nulls=True)
        numbers = column.cast(pa.float32()).combine_chunks()
        values[:, place] = pc.fill_null(numbers, np.float32("nan")).to_numpy(zero_copy_only=False)
    return values
