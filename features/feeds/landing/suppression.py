"""The record that keeps erased persons out: salted hashes only, asked whenever rows land.

It names nobody. The salt is 256 random bits of this home, so that hashes of short identifiers, such as phone numbers,
cannot be looked up in a list made elsewhere. Refused rows of erased persons are counted and kept nowhere, not even in
quarantine.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb
import orjson

from features.erasure.rewriting import ERASED
from features.feeds.contracts import FEEDS
from features.feeds.landing.typing_rows import is_staged, staged_name
from features.feeds.schema import Feed
from features.kit.files import read_json, write_bytes
from features.kit.home import Home
from features.kit.sql import literal
from features.kit.values.identifiers import SPACED_NUMBER, phone_number

if TYPE_CHECKING:
    from features.feeds.landed.subject import Subject

_IN_HOLDING = "(held_from IS NULL OR event_at >= held_from) AND (held_until IS NULL OR event_at < held_until)"
Held = tuple[str | None, str | None]
"""From when until when (naive UTC, half-open) rows belong to the erased person; None is unbounded."""


@dataclass(frozen=True)
class Suppression:
    """Whom this home has erased."""

    salt: str
    persons: frozenset[str] = frozenset()
    customers: dict[str, Held] = field(default_factory=dict)  # hash of a customer id -> what of it was the person's
    numbers: dict[str, Held] = field(default_factory=dict)  # hash of a phone number -> what of it was the person's

    @classmethod
    def load(cls, home: Home) -> Self:
        """Returns the home's record, an empty one with a fresh salt if nobody has been erased."""
        path = _path(home)
        if not path.exists():
            return cls(secrets.token_hex(32))
        content = read_json(path)
        customers, numbers = (
            {hashed: (held[0], held[1]) for hashed, held in content[kind].items()} for kind in ("customers", "numbers")
        )
        return cls(content["salt"], frozenset(content["persons"]), customers, numbers)

    def save(self, home: Home) -> None:
        """Writes the record whole or not at all, for its owner's eyes only."""
        home.personal.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {
            "format_version": 1, "salt": self.salt, "persons": sorted(self.persons), "customers": self.customers,
            "numbers": self.numbers,
        }  # fmt: skip
        options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        write_bytes(_path(home), orjson.dumps(content, option=options), mode=0o600)

    def __bool__(self) -> bool:
        return bool(self.persons or self.customers)

    def hashed(self, identifier: str) -> str:
        """Returns the salted hash of an identifier: 64 hex digits."""
        return hashlib.sha256(f"{self.salt}{identifier}".encode()).hexdigest()

    def with_subject(self, subject: Subject) -> Suppression:
        """Returns the record with one more person."""
        customers = {self.hashed(held.customer_id): (_text(held.start), _text(held.end)) for held in subject.holdings}
        numbers = {
            self.hashed(form): (_text(number.start), _text(number.end))
            for number in subject.numbers
            for form in (number.number, phone_number(number.number))
        }
        return Suppression(
            self.salt,
            self.persons | {self.hashed(subject.person_id)},
            self.customers | customers,
            self.numbers | numbers,
        )


def _path(home: Home) -> Path:
    return home.personal / "suppressed.json"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


class Suppressor:
    """Refuses erased persons' staged rows, in the scratch database of one landing."""

    def __init__(self, home: Home, connection: duckdb.DuckDBPyConnection) -> None:
        self._home = home
        self._connection = connection
        self._record = Suppression.load(home)
        self.refused: dict[str, int] = {}

    def refuse(self, feeds: Sequence[Feed]) -> None:
        """Deletes the erased persons' rows from the staged tables; `refused` counts them per feed.

        A subscription that is new here but delivered as an erased person's is theirs as well, from now on.
        """
        if not self._record:
            return
        names = {feed.name for feed in feeds}
        if "persons" in names:
            self._learn_subscriptions()
        self._load_hashes("erased_customers", self._record.customers)
        staged = [feed for feed in feeds if not feed.reference and is_staged(self._connection, feed.name)]
        ids = " UNION ".join(f"SELECT customer_id FROM {staged_name(feed)}" for feed in staged)
        if not staged:
            return
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE erased_here AS SELECT customer_id, held_from, held_until FROM ({ids}) "
            f"JOIN erased_customers ON hashed = {self._hash('customer_id')}"
        )
        if "numbers" in names:
            self._learn_numbers()
        for feed in staged:
            stays = " AND held_from IS NULL AND held_until IS NULL" if feed.stays_with_line else ""
            self._delete(feed, f"USING erased_here e WHERE s.customer_id = e.customer_id AND {_IN_HOLDING}{stays}")
            self._blank(feed)
            if feed.name == "persons":
                self._load_hashes("erased_persons", dict.fromkeys(self._record.persons, (None, None)))
                self._delete(feed, f"USING erased_persons e WHERE e.hashed = {self._hash('s.person_id')}")

    def refuse_ownerless(self, feed: Feed) -> None:
        """Deletes rows keyed by a number that nobody owned at their time but an erased person."""
        if not self._record:
            return
        self._load_hashes("erased_numbers", self._record.numbers)
        number = "json_extract_string(s._content, '$.number')"
        codes = ("", "0", "+", "86", "+86", "0086")  # an earlier release hashed a number as it was delivered
        numbers = ", ".join(self._hash(f"concat('{code}', {number})") for code in codes)
        self._delete(feed, f"WHERE s.customer_id LIKE '{ERASED}-%'")  # the first owner of a re-issued number
        self._delete(
            feed,
            f"USING erased_numbers e WHERE s._reason = 'number_without_owner:number' AND e.hashed IN ({numbers}) "
            f"AND {_IN_HOLDING}",
        )

    def clean_refused(self) -> None:
        """Deletes refused rows that name an erased person anywhere, so that none reaches the quarantine."""
        if not self._record:
            return
        self._load_hashes("erased_customers", self._record.customers)
        whole = {hashed for hashed, held in self._record.customers.items() if held == (None, None)}
        names: dict[str, Held] = dict.fromkeys(whole | self._record.persons | set(self._record.numbers), (None, None))
        self._load_hashes("erased_names", names)
        text = "identifier(concat_ws(' ', key, content))"  # full-width digits are digits
        words = " UNION ALL ".join(
            f"SELECT owner, rowid AS place, unnest(regexp_extract_all({text}, '{pattern}')) AS word FROM refused_rows"
            for pattern in ("[^\\s|,;\"''{}:\\[\\]]+", "[0-9A-Za-z]+", "[0-9A-Za-z_-]+", SPACED_NUMBER)
        )
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE erased_refused AS SELECT DISTINCT owner, place FROM ({words}) "
            f"WHERE {self._hash('word')} IN (SELECT hashed FROM erased_names) "
            f"OR {self._hash('phone_number(word)')} IN (SELECT hashed FROM erased_names)"
        )
        for owner, count in self._connection.execute(
            "SELECT owner, count(*) FROM erased_refused GROUP BY owner"
        ).fetchall():
            self.refused[owner] = self.refused.get(owner, 0) + int(count)
        self._connection.execute("DELETE FROM refused_rows WHERE rowid IN (SELECT place FROM erased_refused)")

    def _blank(self, feed: Feed) -> None:
        """Blanks what a subscription that changed hands says of its erased holder."""
        for column in (name for name in feed.holder_columns if is_staged(self._connection, feed.name, name)):
            self._connection.execute(
                f"UPDATE {staged_name(feed)} s SET {column} = NULL FROM erased_here e "
                f"WHERE s.customer_id = e.customer_id AND {_IN_HOLDING}"
            )

    def _learn_subscriptions(self) -> None:
        """Adds the subscriptions that staged rows give to an erased person, unless they are known already."""
        self._load_hashes("erased_persons", dict.fromkeys(self._record.persons, (None, None)))
        found = self._connection.execute(
            f"SELECT DISTINCT customer_id FROM {staged_name(FEEDS['persons'])} s JOIN erased_persons e "
            f"ON e.hashed = {self._hash('s.person_id')} WHERE customer_id IS NOT NULL"
        ).fetchall()
        self._extend("customers", ((str(row[0]), (None, None)) for row in found))

    def _learn_numbers(self) -> None:
        found = self._connection.execute(
            f"SELECT number, CAST(min(valid_from) AS VARCHAR), CAST(max(coalesce(held_until, TIMESTAMP '9999-12-31')) "
            f"AS VARCHAR) FROM {staged_name(FEEDS['numbers'])} JOIN erased_here USING (customer_id) "
            f"WHERE number IS NOT NULL AND valid_from IS NOT NULL GROUP BY number"
        ).fetchall()
        self._extend("numbers", ((str(number), (start, end)) for number, start, end in found))

    def _extend(self, kind: str, found: Iterable[tuple[str, Held]]) -> None:
        known = getattr(self._record, kind)
        new = {self._record.hashed(name): held for name, held in found}
        new = {hashed: held for hashed, held in new.items() if hashed not in known}
        if new:
            fields = dict(self._record.__dict__) | {kind: known | new}
            self._record = Suppression(**fields)
            self._record.save(self._home)

    def _load_hashes(self, table: str, hashes: dict[str, Held]) -> None:
        run = self._connection.execute
        run(f"CREATE OR REPLACE TEMP TABLE {table} (hashed VARCHAR, held_from TIMESTAMP, held_until TIMESTAMP)")
        if hashes:
            rows = [(hashed, *held) for hashed, held in sorted(hashes.items())]
            self._connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)

    def _hash(self, value: str) -> str:
        return f"sha256(concat({literal(self._record.salt)}, {value}))"

    def _delete(self, feed: Feed, condition: str) -> None:
        deleted = self._connection.execute(f"DELETE FROM {staged_name(feed)} s {condition}").fetchone()
        count = int(deleted[0]) if deleted else 0
        if count:
            self.refused[feed.name] = self.refused.get(feed.name, 0) + count
