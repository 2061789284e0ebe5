"""Until when the landed rows had arrived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds


def arrived_until(feeds: Feeds) -> str | None:
    """Returns the newest arrival among all landed rows, UTC, ISO, from the files' footers; None without any row."""
    moments = [moment for feed in sorted(feeds.names) for moment in [newest_arrival(feeds.paths(feed))] if moment]
    return max(moments).isoformat() if moments else None


def newest_arrival(paths: Sequence[str]) -> datetime | None:
    """Returns the newest `arrived_at` in some files, naive UTC, from their footers."""
    import pyarrow.parquet as pq

    newest: datetime | None = None
    for path in paths:
        footer = pq.read_metadata(path)
        place = footer.schema.to_arrow_schema().get_field_index("arrived_at")
        for group in range(footer.num_row_groups if place >= 0 else 0):
            moment = _greatest(footer.row_group(group).column(place).statistics)
            if moment is not None and (newest is None or moment > newest):
                newest = moment
    return newest


def _greatest(statistics: Any) -> datetime | None:
    if statistics is None or not statistics.has_min_max:
        return None
    moment: datetime = statistics.max
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
