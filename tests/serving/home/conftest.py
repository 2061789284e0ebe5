"""The crowd of outreach, for decisions about its home."""

from tests.serving.outreach.conftest import crowd, crowd_home

__all__ = ["crowd", "crowd_home"]
