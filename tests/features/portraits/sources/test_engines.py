"""One specification, two engines: every feature cell by cell."""

from __future__ import annotations

import warnings

import pytest

from features.portraits.feature_list import FeatureList
from tests.spark import SMALL, needs_spark


@pytest.mark.xdist_group("spark")
def test_spark_and_duckdb_give_the_same_cell_for_every_feature(example, example_world, build):
    """The portrait computed on Spark equals the one computed on DuckDB in every cell, facts and classes included."""
    needs_spark()
    from pyspark.sql import SparkSession

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark warns about its own use of pandas and sockets
        session = SparkSession.builder.master("local[1]").config(map=SMALL).getOrCreate()
        spark = build(example_world, on_spark=True)
        session.stop()
    names = FeatureList.declared().names
    assert spark.table.num_rows == example.table.num_rows
    assert [name for name in names if not spark.table.column(name).equals(example.table.column(name))] == []
    assert spark.cells.equals(example.cells)
