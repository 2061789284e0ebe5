"""The Spark session that work beyond one machine runs on: one that is there already, a cluster's, or a local one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from features.kit.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MASTER_VARIABLE = "INSIGHT_SPARK_MASTER"

SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.adaptive.enabled": "false",
}
"""What our SQL and our times need; a session keeps them for itself."""
_LOCAL = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}


@contextmanager
def spark_session(threads: int) -> Iterator[SparkSession]:
    """Yields a session of our own: of a running Spark, else of the master in `INSIGHT_SPARK_MASTER`, else a local one.

    A Spark that ran before goes on afterwards, and its own sessions keep their settings; one that we start ends. On a
    cluster this package must be installed where the executors run, and the home must lie in a folder that all of them
    see at the same place.

    Args:
        threads: Cores of a local Spark.

    Raises:
        ConfigurationError: If pyspark is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        remedy = 'pip install "customer-insight[spark]", and Java 17 or 21'
        raise ConfigurationError("Spark is not installed here", remedy=remedy) from error
    running = SparkSession.getActiveSession()
    if running is not None:
        session = running.newSession()
    else:
        master = os.environ.get(MASTER_VARIABLE)
        if master is None:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else its workers take the first python3 they find
        builder = SparkSession.builder.appName("customer-insight").master(master or f"local[{threads}]")
        for name, value in ({} if master else _LOCAL | {"spark.sql.shuffle.partitions": str(threads)}).items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    for name, value in SQL_SETTINGS.items():
        session.conf.set(name, value)
    try:
        yield session
    finally:
        if running is None:
            session.stop()
