"""Who is to be erased: a person's subscriptions, numbers and accounts, as every landed version of the feeds tells.

A person is all their subscriptions. Where one changed hands, only the time for which the person held it is theirs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Self

import duckdb
import orjson
import pyarrow as pa
from pydantic import TypeAdapter

from features.feeds.landed.reading import Feeds
from features.kit.clock import instant_of
from features.kit.errors import NotFoundError
from features.kit.home import Home


@dataclass(frozen=True)
class Holding:
    """A subscription while it was the person's, `[start, end)` in naive UTC; None is unbounded."""

    customer_id: str
    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Tells whether nobody else ever held it."""
        return self.start is None and self.end is None


@dataclass(frozen=True)
class OwnNumber:
    """A phone number while it was the person's, `[start, end)` in naive UTC; `is_only` if nobody else had it."""

    number: str
    start: datetime | None
    end: datetime | None
    is_only: bool


@dataclass(frozen=True)
class Subject:
    """Whom to erase."""

    person_id: str
    holdings: tuple[Holding, ...]
    numbers: tuple[OwnNumber, ...] = ()
    accounts: tuple[str, ...] = ()  # accounts that are theirs alone
    time_zone: str = "UTC"

    @property
    def names(self) -> frozenset[str]:
        """Returns every identifier that names this person and nobody else."""
        numbers = {number.number for number in self.numbers if number.is_only}
        return frozenset({self.person_id, *self.customers, *numbers, *self.accounts})

    @property
    def customers(self) -> frozenset[str]:
        """Returns the subscriptions that were never anybody else's."""
        return frozenset(holding.customer_id for holding in self.holdings if holding.is_whole)

    def holds(self, customer_id: str, at: datetime) -> bool:
        """Tells whether a row of a subscription at an instant (naive UTC) is this person's."""
        return any(
            held.customer_id == customer_id
            and (held.start is None or at >= held.start)
            and (held.end is None or at < held.end)
            for held in self.holdings
        )

    def customers_as_of(self, instant: datetime) -> frozenset[str]:
        """Returns the subscriptions whose portraits as of an instant (naive UTC) tell of this person."""
        began = (held for held in self.holdings if held.start is None or held.start < instant)
        return frozenset(held.customer_id for held in began)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON has them."""
        plain: dict[str, Any] = orjson.loads(orjson.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Returns what `as_dict` gave, from JSON."""
        return TypeAdapter(cls).validate_python(content)


def find_subject(home: Home, person_id: str) -> Subject:
    """Returns everything that identifies a person in the landed feeds, of whatever knowledge time.

    Where no person is linked to a subscription, the subscription stands for its person.

    Raises:
        NotReadyError: If nothing has landed.
        NotFoundError: If nobody of that id is known.
    """
    feeds = Feeds.open(home)
    zone = feeds.operator.time_zone
    with feeds.connect(personal=True) as database:
        holdings = _holdings(database, person_id, zone) if feeds.has("persons") else []
        if not holdings:
            holdings = _unlinked(database, feeds, person_id)
        database.register("held", pa.table({"customer_id": [holding.customer_id for holding in holdings]}))
        numbers = _numbers(database, holdings) if feeds.has("numbers") else ()
        accounts: tuple[str, ...] = ()
        if feeds.has("persons"):
            accounts = tuple(
                row[0]
                for row in database.execute(
                    "SELECT account_id FROM persons WHERE account_id IS NOT NULL GROUP BY account_id "
                    "HAVING bool_and(person_id = ?) ORDER BY 1",
                    [person_id],
                ).fetchall()
            )
    return Subject(person_id, tuple(holdings), numbers, accounts, zone)


def _holdings(database: duckdb.DuckDBPyConnection, person_id: str, zone: str) -> list[Holding]:
    rows = database.execute(
        """
        WITH held AS (
            SELECT customer_id, person_id, valid_from FROM persons
            WHERE customer_id IN (SELECT customer_id FROM persons WHERE person_id = $person)
            QUALIFY row_number() OVER (PARTITION BY customer_id, valid_from ORDER BY known_at DESC, person_id DESC) = 1
                OR person_id = $person
        )
        SELECT customer_id, person_id, min(valid_from) OVER (PARTITION BY customer_id) = valid_from AS is_first,
            valid_from, lead(valid_from) OVER (PARTITION BY customer_id ORDER BY valid_from, person_id) AS until,
            bool_and(person_id = $person) OVER (PARTITION BY customer_id) AS is_whole
        FROM held ORDER BY ALL
        """,
        {"person": person_id},
    ).fetchall()
    whole = sorted({customer_id for customer_id, *_, is_whole in rows if is_whole})
    parts = [
        Holding(customer_id, None if is_first else _begin(start, zone), _begin(until, zone))
        for customer_id, person, is_first, start, until, is_whole in rows
        if person == person_id and not is_whole
    ]
    return [*(Holding(customer_id) for customer_id in whole), *parts]


def _unlinked(database: duckdb.DuckDBPyConnection, feeds: Feeds, person_id: str) -> list[Holding]:
    known = (
        feeds.has("customers")
        and database.execute("SELECT 1 FROM customers WHERE customer_id = ? LIMIT 1", [person_id]).fetchone()
    )
    if not known:
        raise NotFoundError("no person of that id is known here", remedy="give the id that the feed `persons` gives")
    owner = (
        feeds.has("persons")
        and database.execute("SELECT person_id FROM persons WHERE customer_id = ? LIMIT 1", [person_id]).fetchone()
    )
    if owner:
        raise NotFoundError("that is a subscription of a person", remedy=f"erase the person: --person {owner[0]}")
    return [Holding(person_id)]


def _numbers(database: duckdb.DuckDBPyConnection, holdings: list[Holding]) -> tuple[OwnNumber, ...]:
    database.register(
        "own_holdings",
        pa.table(
            {
                "customer_id": pa.array([holding.customer_id for holding in holdings], pa.string()),
                "held_from": pa.array([holding.start for holding in holdings], pa.timestamp("us")),
                "held_until": pa.array([holding.end for holding in holdings], pa.timestamp("us")),
            }
        ),
    )
    rows = database.execute(
        """
        WITH own AS (
            SELECT n.number, n.valid_from, n.valid_until FROM numbers n JOIN own_holdings h USING (customer_id)
            WHERE (held_from IS NULL OR n.valid_from >= held_from) AND (held_until IS NULL OR n.valid_from < held_until)
        )
        SELECT number, min(valid_from),
            CASE WHEN bool_or(valid_until IS NULL) THEN NULL ELSE max(valid_until) END,
            number NOT IN (SELECT number FROM numbers WHERE customer_id NOT IN (SELECT customer_id FROM held))
        FROM own GROUP BY number ORDER BY number
        """
    ).fetchall()
    return tuple(OwnNumber(number, start, end, bool(is_only)) for number, start, end, is_only in rows)


def _begin(day: date | None, zone: str) -> datetime | None:
    return None if day is None else instant_of(day, zone).replace(tzinfo=None)
