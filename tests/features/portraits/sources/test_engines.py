"""One specification, two engines: every feature cell by cell."""

from __future__ import annotations

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
        return "no Java on the path: install openjdk-17-jre-headless"
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    return "" if any(f'version "{number}' in version for number in (17, 21)) else "Spark 4.0 needs Java 17 or 21"


_REASON = _why_no_spark()
_SMALL = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Few rows: compiling queries costs more than running them."""


@pytest.mark.skipif(bool(_REASON), reason=_REASON)
def test_spark_and_duckdb_give_the_same_cell_for_every_feature(example, example_world, build):
    """The portrait computed on Spark equals the one computed on DuckDB in every cell, facts and classes included."""
    from pyspark.sql import SparkSession

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark warns about its own use of pandas and sockets
        session = SparkSession.builder.master("local[1]").config(map=_SMALL).getOrCreate()
        spark = build(example_world, on_spark=True)
        session.stop()
    names = FeatureList.declared().names
    assert spark.table.num_rows == example.table.num_rows
    assert [name for name in names if not spark.table.column(name).equals(example.table.column(name))] == []
    assert spark.cells.equals(example.cells)
