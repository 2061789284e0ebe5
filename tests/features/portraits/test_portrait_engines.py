"""One specification, two engines: every feature cell by cell."""

from __future__ import annotations

import logging
import shutil
import subprocess
import warnings

import pytest

from features.portraits.feature_list import FeatureList


def _why_no_spark():
    """Returns why Spark cannot run here, or an empty text."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "pyspark is not installed (extra `spark`)"
    java = shutil.which("java")
    if java is None:
        return "no Java on the path"
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    return "" if any(f'version "{number}' in version for number in (17, 21)) else "Spark 4.0 needs Java 17 or 21"


_REASON = _why_no_spark()


@pytest.mark.skipif(bool(_REASON), reason=_REASON)
def test_spark_and_duckdb_give_the_same_cell_for_every_feature(example, example_world, build):
    """The portrait computed on Spark equals the one computed on DuckDB in every cell, facts and classes included."""
    logging.getLogger("py4j").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark warns about its own use of pandas and sockets
        spark = build(example_world, on_spark=True)
    names = FeatureList.declared().names
    assert spark.table.num_rows == example.table.num_rows
    assert [name for name in names if not spark.table.column(name).equals(example.table.column(name))] == []
    assert spark.cells.equals(example.cells)
