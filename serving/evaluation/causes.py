"""How often the true cause of a departure or complaint is among the reasons shown."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from features.kit.clock import DateWindow

if TYPE_CHECKING:
    import pyarrow as pa

NO_CAUSE = "mixed.no_single_cause"


@dataclass(frozen=True)
class CauseHit:
    """How many events had their true cause among the reasons shown."""

    events: int  # events of the window whose true cause lies before the as-of date, of customers with reasons
    visible: int  # those whose portrait holds the fact of the cause; the others no reason could name
    hits: int  # those whose cause is among the reasons

    @property
    def share(self) -> float | None:
        """Returns hits over events, or None without events."""
        return round(self.hits / self.events, 4) if self.events else None

    @property
    def visible_share(self) -> float | None:
        """Returns the events with a visible cause over all events: the most that reasons could reach."""
        return round(self.visible / self.events, 4) if self.events else None


def true_causes(causes: pa.Table, event: str, window: DateWindow) -> dict[str, str]:
    """Returns the true cause per customer of the events in the window, where it lies before the window's first day.

    `causes` are `customer_id, event, event_at, cause, cause_at` of the oracle: civil dates, `cause_at` null for a
    lasting cause. The window is the label window, which begins at the as-of date; `event` is `churn` or `complaint`.
    """
    first: dict[str, tuple[date, str, date | None]] = {}
    for row in causes.to_pylist():
        day, cause_day = row["event_at"], row["cause_at"]
        if row["event"] != event or not window.start <= day < window.end:
            continue
        known = first.get(row["customer_id"])
        if known is None or day < known[0]:
            first[row["customer_id"]] = (day, row["cause"], cause_day)
    return {
        customer_id: cause
        for customer_id, (_, cause, cause_at) in first.items()
        if cause != NO_CAUSE and (cause_at is None or cause_at < window.start)
    }


def cause_hit(
    causes: Mapping[str, str], reasons: Mapping[str, Sequence[str]], facts: Mapping[str, Container[str]]
) -> CauseHit:
    """Returns how often the true cause is among the reasons; who has no reasons had no portrait and does not count.

    Per customer: the true cause, the reasons shown, and the codes whose fact holds.
    """
    shown = {customer_id: cause for customer_id, cause in causes.items() if customer_id in reasons}
    return CauseHit(
        events=len(shown),
        visible=sum(cause in facts.get(customer_id, ()) for customer_id, cause in shown.items()),
        hits=sum(cause in reasons[customer_id] for customer_id, cause in shown.items()),
    )
