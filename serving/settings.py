"""What the environment decides about a serving process: places and speed, never an answer."""

from __future__ import annotations

import os

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.kit.errors import ConfigurationError
from features.kit.home import HOME_VARIABLE
from features.kit.runs import FAILPOINT_LOG_VARIABLE, FAILPOINT_VARIABLE
from features.kit.terminal.spelling import close_names

PREFIX = "INSIGHT_"


class Settings(BaseSettings):
    """The variables `INSIGHT_*` that serving reads besides `INSIGHT_HOME`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: SecretStr | None = None  # of PostgreSQL, never printed; None: SQLite inside the home
    watch_seconds: float = Field(default=0.5, gt=0)  # how often a running process looks for a new champion


def read_settings() -> Settings:
    """Returns the settings of this process.

    Raises:
        ConfigurationError: If a variable has a bad value, or its name is one slip away from a known one.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    known += [HOME_VARIABLE, FAILPOINT_VARIABLE, FAILPOINT_LOG_VARIABLE]
    for name in sorted(os.environ):
        near = close_names(name, known, cutoff=0.9)
        if name.startswith(PREFIX) and name not in known and near:
            raise ConfigurationError(f"environment: unknown variable {name}", remedy=f"did you mean {near[0]}?")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(f"environment: {name}: {first['msg']}") from None
