"""What `configs/feature_store.yaml` may say: which online store holds the latest portraits, and its deadlines."""

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
        if self.password_variable is None:
            return None
        value = os.environ.get(self.password_variable)
        if value is None:
            raise ConfigurationError(
                f"feature_store.yaml: online.password_variable names '{self.password_variable}', which is not set",
                remedy="set it in the environment of this process",
            )
        return value


class StoreSettings(Config):
    """The whole file; `project` separates operators that share one online store."""

    project: str = Field(default="customer_insight", pattern=r"^[a-z][a-z0-9_]*$")
    online: Annotated[SqliteOnline | RedisOnline, Field(discriminator="kind")] = SqliteOnline()

    @classmethod
    def load(cls) -> StoreSettings:
        """Returns the settings of $INSIGHT_FEATURE_STORE, else of `configs/feature_store.yaml`."""
        named = os.environ.get(SETTINGS_VARIABLE)
        return load_config(cls, Path(named) if named else config_path("feature_store.yaml"))
