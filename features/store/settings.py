"""What `configs/feature_store.yaml` may say: where the latest portraits, Feast's registry and its joins live."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from features.kit.config import Config, config_path, load_config
from features.kit.errors import ConfigurationError

SETTINGS_VARIABLE = "INSIGHT_FEATURE_STORE"


class SqliteOnline(Config):
    """The embedded online store `<home>/store/online.db`; a read fails after `deadline_ms` instead of waiting."""

    kind: Literal["sqlite"] = "sqlite"
    deadline_ms: int = Field(default=250, gt=0)


class RedisOnline(Config):
    """A Redis server; the comments of `configs/feature_store.yaml` say what each key means."""

    kind: Literal["redis"]
    host: str = "localhost"
    port: int = Field(default=6379, gt=0, le=65535)
    database: int = Field(default=0, ge=0)
    tls: bool = False
    username: str | None = None
    password_variable: str | None = None
    connect_deadline_ms: int = Field(default=100, gt=0)
    deadline_ms: int = Field(default=200, gt=0)

    def password(self) -> str | None:
        """Returns the password from the environment. Raises ConfigurationError if its variable is not set."""
        return _secret("online.password_variable", self.password_variable)


class DuckDbOffline(Config):
    """Point-in-time joins in this process."""

    kind: Literal["duckdb"] = "duckdb"


class SparkOffline(Config):
    """Point-in-time joins by Feast's Spark offline store: an existing session, else one on `master` with `conf`."""

    kind: Literal["spark"]
    master: str = "local[2]"
    conf: dict[str, str] = Field(default_factory=dict)

    def session_conf(self) -> dict[str, str]:
        """Returns the session's settings; times are read as UTC, as they were written."""
        ours = {"spark.sql.session.timeZone": "UTC", "spark.sql.parquet.inferTimestampNTZ.enabled": "false"}
        return {"spark.master": self.master, **self.conf, **ours}


class StoreSettings(Config):
    """The whole file; `project` separates operators that share one online store."""

    project: str = Field(default="customer_insight", pattern=r"^[a-z][a-z0-9_]*$")
    online: Annotated[SqliteOnline | RedisOnline, Field(discriminator="kind")] = SqliteOnline()
    offline: Annotated[DuckDbOffline | SparkOffline, Field(discriminator="kind")] = DuckDbOffline()
    registry_variable: str | None = None

    @classmethod
    def load(cls) -> StoreSettings:
        """Returns the settings of $INSIGHT_FEATURE_STORE, else of `configs/feature_store.yaml`."""
        named = os.environ.get(SETTINGS_VARIABLE)
        return load_config(cls, Path(named) if named else config_path("feature_store.yaml"))

    def registry_url(self) -> str | None:
        """Returns the registry's address, None for the home's own file. Raises ConfigurationError if it is not set."""
        return _secret("registry_variable", self.registry_variable)


def _secret(key: str, variable: str | None) -> str | None:
    """Returns the value of the environment variable that a key names; None if it names none."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if value is None:
        raise ConfigurationError(
            f"feature_store.yaml: {key} names '{variable}', which is not set",
            remedy="set it in the environment of this process",
        )
    return value
