"""What a month's delivery is expected to hold: the part `deliveries` of a source mapping."""

from __future__ import annotations

from pydantic import Field

from features.kit.config import Config


class FeedExpectation(Config):
    """What is expected of one feed; None means what the mapping, or the months before, say."""

    required: bool | None = None
    max_change_share: float | None = Field(default=None, gt=0)
    months_late: int = Field(default=0, ge=0, le=3)
    cities: bool = True


class Expectations(Config):
    """What is expected of every month, and where feeds differ; `configs/sources/README.md` explains each key."""

    max_change_share: float = Field(default=0.4, gt=0)
    min_city_share: float = Field(default=0.2, gt=0, le=1)
    min_city_rows: int = Field(default=50, ge=1)
    on_time_days: int | None = Field(default=None, ge=0, le=31)
    feeds: dict[str, FeedExpectation] = Field(default_factory=dict)

    def of(self, feed: str) -> FeedExpectation:
        """Returns what is expected of a feed, gaps filled from the mapping's own values."""
        declared = self.feeds.get(feed, FeedExpectation())
        limit = self.max_change_share if declared.max_change_share is None else declared.max_change_share
        return declared.model_copy(update={"max_change_share": limit})
