"""Whether Spark can run here, and the settings of a session for few rows."""

from __future__ import annotations

import shutil
import subprocess

import pytest

SMALL = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}
"""Few rows: compiling queries costs more than running them."""


def needs_spark() -> None:
    """Skips the test where Spark cannot run, saying what to install."""
    pytest.importorskip("pyspark", reason="pyspark is not installed (extra `spark`)")
    java = shutil.which("java")
    if java is None:
        pytest.skip("no Java on the path: install openjdk-17-jre-headless")
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    if not any(f'version "{number}' in version for number in (17, 21)):
        pytest.skip("Spark 4.0 needs Java 17 or 21")
