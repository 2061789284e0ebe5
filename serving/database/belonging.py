"""Whether a database is the ledger of a home: its place, its mark, its rows, and what the home's files say of it.

A remembered ledger at another place, without its mark, with another home's mark, with fewer lists than lie in the home
or far fewer rows than last time is refused. A first one is marked and remembered, also one that an older release
filled, unless the home's lists and landed reports say that there was another before.
"""

from __future__ import annotations

import secrets
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, delete, func, select

from features.kit.clock import utc_now
from features.kit.errors import HomeError
from features.kit.home import Home
from features.kit.homes.identity import (
    ADOPT,
    LEDGER,
    OWN_FILE,
    Backend,
    first_use,
    folder_in_mark,
    gone,
    read_identity,
    refuse_copy,
    refuse_fall,
    refuse_foreign,
    refuse_other_place,
    remember,
    remembered,
)
from serving.database.base import insert_missing
from serving.database.tables_home import HomeRow
from serving.database.tables_outreach import AttemptRow, ContactRow, OutreachLineRow, OutreachListRow, RefusalRow

if TYPE_CHECKING:
    from sqlalchemy import URL

COUNTED = {
    "lists": OutreachListRow,
    "lines": OutreachLineRow,
    "attempts": AttemptRow,
    "contacts": ContactRow,
    "refusals": RefusalRow,
}
"""What may not fall: lists never do, of the others a few go when a person is erased."""

OUR_LINE = "[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}"
OUR_ATTEMPT = "A[0-9a-f]{18}"


@dataclass(frozen=True)
class Mark:
    """What a database says of its home."""

    home_id: str
    database_id: str
    lives_at: str


def place_of(url: URL) -> str:
    """Returns where a database lies, without user and password: two users of one database have one ledger."""
    if url.get_backend_name() == "sqlite":
        return OWN_FILE
    host, port = url.host or url.query.get("host", ""), url.port or url.query.get("port", 5432)
    return f"postgresql://{str(host).lower()}:{port}/{url.database or ''}"


def check_before_opening(home: Home, url: URL) -> None:
    """Refuses a ledger at another place, and one that is gone, before a new one could be made in its stead.

    Raises:
        ConfigurationError: If `INSIGHT_DATABASE_URL` names another database than this home's.
        HomeError: If the home's own file is gone although it was used, lists lie there, or feeds hold reports.
    """
    place = place_of(url)
    refuse_other_place(home, LEDGER, place, decided_by="INSIGHT_DATABASE_URL")
    known = remembered(home, LEDGER)  # before the look at the file: another process may be making both just now
    if place == OWN_FILE and not (home.operations.exists() and home.operations.stat().st_size):
        if known is not None:
            raise gone(home, LEDGER, f"{home.operations} is not there")
        refuse_traces(home)


def check_belongs(home: Home, engine: Engine) -> None:
    """Refuses a migrated database that is not this home's; marks and remembers it at first use.

    Raises:
        HomeError: If it belongs to another home, has lost lists or most of its rows, or is empty although the home
            had a ledger.
    """
    place, known, identity = place_of(engine.url), remembered(home, LEDGER), read_identity(home)
    with engine.connect() as connection:
        mark, counts = read_mark(connection), count_rows(connection)
    if mark is None:
        if known is not None:
            raise gone(home, LEDGER, f"{place} carries no mark of it")
        _refuse_unmarked(home, engine, place, is_empty=not any(counts.values()))
        mark = take(home, engine)
    elif identity is None and place == OWN_FILE:
        first_use(home, home_id=mark.home_id)  # the file was lost; the database inside the home knows who it is
    refuse_foreign(home, read_identity(home), LEDGER, place, mark.home_id)
    if known is not None and known.id != mark.database_id:
        raise HomeError(
            f"home {home.root}: the {LEDGER} at {place} is database {mark.database_id}, not {known.id}",
            remedy=f"restore the right one; if this one is right: {ADOPT}",
        )
    refuse_copy(home, LEDGER, place, mark.lives_at)
    if known is not None:
        refuse_fall(home, LEDGER, place, known.counts, counts, never="lists")
    _refuse_older(home, engine, place)
    if mark.lives_at != folder_in_mark(home, place):
        mark = take(home, engine, database_id=mark.database_id)
    now = Backend(place=place, id=mark.database_id, counts=counts)
    if now != known:
        # A full disk costs the newest counts of a known ledger, not the answer of whoever opened it.
        with suppress(OSError) if known is not None else nullcontext():
            remember(home, LEDGER, now)


def read_mark(connection: Connection) -> Mark | None:
    """Returns what a database says of its home, or None if it says nothing."""
    row = connection.execute(select(HomeRow.home_id, HomeRow.database_id, HomeRow.lives_at)).first()
    return None if row is None else Mark(*row)


def count_rows(connection: Connection) -> dict[str, int]:
    """Returns the rows of each kind that may not fall."""
    counts = [select(func.count()).select_from(row).scalar_subquery() for row in COUNTED.values()]
    return dict(zip(COUNTED, connection.execute(select(*counts)).one(), strict=True))


def take(home: Home, engine: Engine, *, database_id: str = "", over: bool = False) -> Mark:
    """Marks a database as this home's and returns the mark it carries now.

    Where the database has a `database_id` the mark is written again; `over` replaces the mark of another home.
    """
    identity = first_use(home)
    with engine.begin() as connection:
        if over or database_id:
            connection.execute(delete(HomeRow))
        values = {
            "slot": 1, "home_id": identity.home_id, "database_id": database_id or secrets.token_hex(8),
            "lives_at": folder_in_mark(home, place_of(engine.url)), "since": utc_now(),
        }  # fmt: skip
        insert_missing(connection, HomeRow, [values])
        mark = read_mark(connection)
    assert mark is not None
    return mark


def _refuse_unmarked(home: Home, engine: Engine, place: str, *, is_empty: bool) -> None:
    """Refuses an unmarked database that this home's files contradict: another home's lists, or nothing at all.

    Raises:
        HomeError: If a server's database holds released lists of which none lies in this home, or if it is empty
            although the home had a ledger.
    """
    if is_empty:
        refuse_traces(home)
    with engine.connect() as connection:
        lists = set(connection.scalars(select(OutreachListRow.list_id).where(OutreachListRow.status == "released")))
    if place != OWN_FILE and lists and not lists & lists_in(home):
        raise HomeError(
            f"home {home.root}: the {LEDGER} at {place} holds lists that lie in another home, such as {min(lists)}",
            remedy=f"give this home its own {LEDGER}; if it is this home's all the same: {ADOPT}",
        )


def _refuse_older(home: Home, engine: Engine, place: str) -> None:
    """Refuses a ledger that does not know the home's newest list, such as one from an older backup.

    Raises:
        HomeError: Naming the list.
    """
    newest = max(lists_in(home), default="")
    with engine.connect() as connection:
        found = connection.scalar(select(OutreachListRow.list_id).where(OutreachListRow.list_id == newest))
    if newest and found is None:
        raise HomeError(
            f"home {home.root}: the {LEDGER} at {place} does not know {home.lists / newest}",
            remedy=f"restore the newest backup; if there is none: {ADOPT}",
        )


def refuse_traces(home: Home) -> None:
    """Refuses to begin a new ledger where files say that there was one. Raises HomeError naming them."""
    lists = lists_in(home)
    if lists:
        raise gone(home, LEDGER, f"{home.lists / max(lists)} was drawn from it")
    reports = landed_reports(home)
    if reports:
        raise gone(home, LEDGER, f"the feeds hold {reports:,} contacts and outcomes that it landed")


def lists_in(home: Home) -> set[str]:
    """Returns the ids of the lists whose files lie in a home."""
    return {path.name for path in home.lists.glob("L*")}


def landed_reports(home: Home) -> int:
    """Returns how many landed contacts and outcomes are of this system's own lists."""
    from features.feeds.landed.manifest import read_manifest
    from features.feeds.landed.reading import Feeds

    if read_manifest(home) is None:
        return 0
    feeds, found = Feeds.open(home), 0
    for feed, column, pattern in (("contacts", "contact_id", OUR_LINE), ("outcomes", "event_id", OUR_ATTEMPT)):
        if feeds.has(feed):
            with feeds.connect() as database:
                query = f"SELECT count(*) FROM {feed} WHERE regexp_full_match({column}, ?)"
                found += int(database.execute(query, [pattern]).fetchall()[0][0])
    return found


def folder_of(engine: Engine) -> Path:
    """Returns the folder of the home that a database belongs to."""
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).parent
    with engine.connect() as connection:
        mark = read_mark(connection)
    return Path(mark.lives_at if mark else "")
