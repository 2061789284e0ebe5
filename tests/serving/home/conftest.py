"""The crowd of outreach and the portraits of the store, for decisions about their home."""

from tests.features.store.conftest import portraits, redis_port
from tests.serving.outreach.conftest import crowd, crowd_home

__all__ = ["crowd", "crowd_home", "portraits", "redis_port"]
