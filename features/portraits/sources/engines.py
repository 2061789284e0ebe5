"""Where the specification runs: DuckDB in this process, or Spark when the base has outgrown one machine.

Both engines take the same Ibis expressions and know three things: make a view of landed files, keep the result of a
query under a name, and hand over a result as Arrow. Times are naive UTC on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from features.kit.sql import parquet, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyspark.sql import SparkSession


FILE_OPTIONS = ("union_by_name = true", "hive_partitioning = false")
"""How landed files are read: a column that one of them lacks is NULL, and the names of folders are no columns."""


class Engine(Protocol):
    """What the build needs from an engine."""

    dialect: str
    """The name of its SQL."""

    def landed(self, name: str, paths: Sequence[str], types: dict[str, str]) -> None:
        """Makes `name` a view of Parquet files with the given columns; of no rows if there are no files."""

    def compile(self, expression: Any) -> str:
        """Returns the engine's SQL of an Ibis expression over named tables."""

    def view(self, name: str, sql: str) -> None:
        """Gives a query a name without running it."""

    def keep(self, name: str, sql: str) -> None:
        """Runs a query once and keeps its rows under a name."""

    def arrow(self, sql: str) -> pa.Table:
        """Returns the rows of a query."""


class DuckDBEngine:
    """The default: one connection, temporary tables, as many threads as the connection was given."""

    dialect = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def landed(self, name: str, paths: Sequence[str], types: dict[str, str]) -> None:
        """Makes a view of files; a column that a file lacks is NULL."""
        if not paths:
            columns = ", ".join(f"CAST(NULL AS {sql}) AS {quoted(column)}" for column, sql in types.items())
            self.view(name, f"SELECT {columns} WHERE false")
            return
        self.view(name, f"SELECT * FROM {parquet(paths, *FILE_OPTIONS)}")

    @staticmethod
    def compile(expression: Any) -> str:
        """Returns DuckDB SQL."""
        import ibis

        return str(ibis.to_sql(expression, dialect="duckdb", pretty=False))

    def view(self, name: str, sql: str) -> None:
        """Creates a temporary view, replacing what had the name."""
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {sql}")

    def keep(self, name: str, sql: str) -> None:
        """Creates a temporary table, replacing what had the name."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}")

    def arrow(self, sql: str) -> pa.Table:
        """Returns an Arrow table."""
        return self.connection.execute(sql).to_arrow_table()

    def adopt(self, name: str, table: pa.Table, columns: str = "*") -> None:
        """Keeps the rows of an Arrow table under a name, with the columns of that SELECT list."""
        self.connection.register("adopted", table)
        self.keep(name, f"SELECT {columns} FROM adopted")
        self.connection.unregister("adopted")


class SparkEngine:
    """For bases beyond one machine: the same expressions on a Spark session whose time zone is UTC."""

    dialect = "spark"

    def __init__(self, session: SparkSession) -> None:
        self.session = session

    def landed(self, name: str, paths: Sequence[str], types: dict[str, str]) -> None:
        """Makes a view of files."""
        if paths:
            self.session.read.parquet(*paths).createOrReplaceTempView(name)
            return
        spark_types = {"VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ"}
        columns = ", ".join(f"CAST(NULL AS {spark_types.get(sql, sql)}) AS `{column}`" for column, sql in types.items())
        self.view(name, f"SELECT {columns} WHERE false")

    def compile(self, expression: Any) -> str:
        """Returns Spark SQL."""
        import ibis

        return str(ibis.pyspark.connect(self.session).compile(expression))

    def view(self, name: str, sql: str) -> None:
        """Creates a temporary view."""
        self.session.sql(sql).createOrReplaceTempView(name)

    def keep(self, name: str, sql: str) -> None:
        """Computes a query's rows and keeps them under a name, so that later queries do not compute them again."""
        self.session.sql(sql).localCheckpoint().createOrReplaceTempView(name)

    def arrow(self, sql: str) -> pa.Table:
        """Returns an Arrow table."""
        return self.session.sql(sql).toArrow()
