"""What a month's delivery is expected to hold: the part `deliveries` of a source mapping."""

from __future__ import annotations

from pydantic import Field

from features.kit.config import Config


class FeedExpectation(Config):
    """What is expected of one feed.

    Attributes:
        required: Whether a month without rows stops the month's run; None means: if the months before had rows.
        max_change_share: The most that rows a day may change from one month to the next; None means the mapping's.
        months_late: How many months after the others a month of this feed is due. Example: bills that come on the
            fifth of the next month are 1 month late for a run on the first.
        cities: Whether to look for lost cities; not where a few customers make most of the rows.
    """

    required: bool | None = None
    max_change_share: float | None = Field(default=None, gt=0)
    months_late: int = Field(default=0, ge=0, le=3)
    cities: bool = True


class Expectations(Config):
    """What is expected of every month, and where single feeds differ.

    Attributes:
        max_change_share: The most that a feed's rows a day may change from one month to the next, up or down.
            Example: .4 lets 1,000 rows a day become 1,400 or 1,000 / 1.4 = 714.
        min_city_share: A city with fewer rows than this share of its usual month counts as missing.
        min_city_rows: Cities whose usual month has fewer rows are left out: their absence may be chance.
        on_time_days: Rows of feeds with `known_after` that arrive within so many days after their month's end are on
            time (a feed that is `months_late` has those months more): known by that lag, not only from their arrival.
            Example: with 10, June's calls that arrive on 6 July were known in June, and the portraits of 1 July use
            them. None: whatever comes after the first load is known from its arrival.
    """

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
