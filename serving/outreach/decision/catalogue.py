"""The data pack that a list may offer: on sale, domestic, not renewing itself, the cheapest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from features.feeds.landed.reading import Feeds


def pack_on_sale(feeds: Feeds, as_of: date) -> Pack | None:
    """Returns the pack to offer on a date, or None if the catalogue has none."""
    if not feeds.has("packs"):
        return None
    day = f"DATE '{as_of}'"
    with feeds.connect() as database:
        row = database.execute(
            f"""
            SELECT coalesce(nullif(name_zh, ''), pack_id), name_en, price
            FROM ({feeds.as_known_sql("packs", as_of)})
            WHERE coalesce(scope, 'domestic') = 'domestic' AND NOT coalesce(renews, false)
                AND valid_from <= {day} AND (valid_until IS NULL OR valid_until > {day})
                AND coalesce(on_sale_from, {day}) <= {day} AND (on_sale_until IS NULL OR on_sale_until > {day})
            ORDER BY price, pack_id LIMIT 1
            """
        ).fetchone()
    return None if row is None else Pack(row[0], row[1], int(row[2]))


@dataclass(frozen=True)
class Pack:
    """The data pack that may be offered: its own name or id, its English name if it has one, and its price."""

    own: str
    english: str | None
    price: int
