"""The one place of this room that reads names and numbers, for the permitted exports only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from features.feeds.landed.reading import Feeds
from features.kit.clock import instant_of
from features.kit.sql import timestamp


@dataclass(frozen=True)
class Personal:
    """How to address somebody, and their number as the operator delivers it (perhaps masked)."""

    form_of_address: str | None = None
    number: str | None = None


NOBODY = Personal()


def read_personal(feeds: Feeds, customer_ids: Iterable[str], as_of: date) -> dict[str, Personal]:
    """Returns form of address and number of each subscription as known on a date; unknown ones are left out."""
    import pyarrow as pa

    moment = timestamp(instant_of(as_of, feeds.operator.time_zone))
    with feeds.connect(personal=True) as database:
        database.register("asked", pa.table({"customer_id": pa.array(sorted(set(customer_ids)), pa.string())}))

        def newest(feed: str, column: str, tie: str, at: str) -> dict[str, str]:
            """Returns the newest valid value of a column by subscription."""
            if not feeds.has(feed):
                return {}
            query = f"""
                SELECT customer_id, {column} FROM ({feeds.as_known_sql(feed, as_of)}) JOIN asked USING (customer_id)
                WHERE valid_from <= {at} AND (valid_until IS NULL OR valid_until > {at})
                QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC, {tie}) = 1
            """
            return dict(database.execute(query).fetchall())

        names = newest("persons", "form_of_address", "person_id", f"DATE '{as_of}'")
        numbers = newest("numbers", "number", "number", moment)
    known = sorted({*names, *numbers})
    return {customer_id: Personal(names.get(customer_id), numbers.get(customer_id)) for customer_id in known}
