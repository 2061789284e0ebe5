"""The one place of this room that reads names and numbers, for the permitted exports only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from features.feeds.landed.reading import Feeds
from features.kit.clock import instant_of


@dataclass(frozen=True)
class Personal:
    """How to address somebody, and their number as the operator delivers it (perhaps masked)."""

    form_of_address: str | None = None
    number: str | None = None


NOBODY = Personal()


def read_personal(feeds: Feeds, customer_ids: Iterable[str], as_of: date) -> dict[str, Personal]:
    """Returns form of address and number of each subscription as known on a date; unknown ones are left out."""
    import pyarrow as pa

    moment = f"TIMESTAMP '{instant_of(as_of, feeds.operator.time_zone):%Y-%m-%d %H:%M:%S}'"
    day = f"DATE '{as_of}'"
    with feeds.connect(personal=True) as database:
        database.register("asked", pa.table({"customer_id": pa.array(sorted(set(customer_ids)), pa.string())}))
        names: dict[str, str] = {}
        numbers: dict[str, str] = {}
        if feeds.has("persons"):
            names = dict(
                database.execute(
                    f"""
                    SELECT customer_id, form_of_address FROM ({feeds.as_known_sql("persons", as_of)})
                    JOIN asked USING (customer_id)
                    WHERE valid_from <= {day} AND (valid_until IS NULL OR valid_until > {day})
                    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC, person_id) = 1
                    """
                ).fetchall()
            )
        if feeds.has("numbers"):
            numbers = dict(
                database.execute(
                    f"""
                    SELECT customer_id, number FROM ({feeds.as_known_sql("numbers", as_of)})
                    JOIN asked USING (customer_id)
                    WHERE valid_from <= {moment} AND (valid_until IS NULL OR valid_until > {moment})
                    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC, number) = 1
                    """
                ).fetchall()
            )
    known = sorted({*names, *numbers})
    return {customer_id: Personal(names.get(customer_id), numbers.get(customer_id)) for customer_id in known}
