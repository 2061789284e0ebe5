"""Rows that this system makes itself (contacts, outcomes, tickets) become feeds like any delivered row."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.files.staging import create_refused_table, open_scratch, scratch_folder
from features.feeds.landed.manifest import FORM, LandedFeed, read_manifest, remove_orphans, switch_manifest
from features.feeds.landed.shape import Shape
from features.feeds.landing.free_text import texts_of
from features.feeds.landing.identity import admit_known_customers
from features.feeds.landing.parts import Outcome, Writer
from features.feeds.landing.quarantine import collect_refused
from features.feeds.landing.typing_rows import Load, select_types, stage_feed, staged_name
from features.feeds.mapping.layout import File
from features.feeds.mapping.sources import Currency, FeedMapping, OperatorBlock, Source
from features.feeds.schema import Feed, Kind
from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.sql import quoted, timestamp
from features.kit.values.identifiers import add_functions


@dataclass(frozen=True)
class Landed:
    """What landing our own rows did: the feed's parts, and row of the table (from 0) -> why it was set aside."""

    outcome: Outcome
    refused: dict[int, str]


def land_rows(home: Home, feed: str, table: Any, *, arrived_at: datetime) -> Landed:
    """Appends rows made by this system to a feed, with the same checks and versions as delivered ones.

    A bad row is left out by itself and returned with its reason. Rows repeated byte for byte change nothing, so a
    replay is harmless. The caller holds the run lock. The feeds' `latest_as_of` stays what the operator's delivery
    made it.

    `table` is a pyarrow table with contract columns, `customer_id` and `event_at`; naive times are UTC, money is in the
    minor unit, and without `known_at` a row is known on arrival. `arrived_at` is when the rows were made, UTC.

    Raises:
        NotReadyError: If nothing has landed yet, so that no customer is known.
    """
    manifest = read_manifest(home)
    if manifest is None:
        raise NotReadyError(f"{home.root}: no feeds have landed", remedy="run `insight ingest` first")
    arrival = arrived_at.replace(tzinfo=None)
    contract, operator = FEEDS[feed], manifest.operator
    block = OperatorBlock(
        name=operator.name,
        time_zone=operator.time_zone,
        currency=Currency(code=operator.currency, scale=operator.money_scale),
    )
    before = manifest.feeds.get(feed)
    remove_orphans(home, manifest)
    with scratch_folder(home) as folder:
        with open_scratch(folder, threads=1) as connection:
            create_refused_table(connection)
            _stage(connection, block, contract, table, Load(arrival, is_first=before is None))
            if not contract.reference:
                admit_known_customers(connection, home, contract, manifest.feeds["customers"])
            collect_refused(connection, contract)
            digest = hashlib.sha256(
                str(connection.execute(f"SELECT sum(hash(s)) FROM {staged_name(contract)} s").fetchone()).encode()
            ).hexdigest()
        with closing(Writer(home, folder, threads=1)) as writer:
            writer.texts = texts_of(manifest)
            shape = Shape(contract, operator.time_zone)
            has_known_at = "known_at" in table.column_names
            outcome = writer.write_feed(shape, before, arrival, digest, keeps_confirmations=has_known_at)
            refused = _reasons(writer.connection, "refused_rows", "row_number", "reason")
    if outcome.parts != (before.parts if before else ()):
        columns = tuple(contract.by_name)
        landed = LandedFeed(parts=outcome.parts, columns=columns, form=FORM)
        if before is not None:
            landed = before.model_copy(update={"parts": outcome.parts, "columns": columns, "form": FORM})
        hit("ingest.before_manifest")
        changed = {"feeds": manifest.feeds | {feed: landed}, "derived": manifest.derived | writer.texts}
        switch_manifest(home, manifest.model_copy(update=changed))
        hit("ingest.after_manifest")
    return Landed(outcome, refused)


def check_rows(feed: str, table: Any, *, time_zone: str, arrived_at: datetime) -> dict[int, str]:
    """Returns row of the table (from 0) -> why `land_rows` would refuse it, before anything is recorded anywhere.

    Whether the customer is known and whether two rows contradict each other only landing can say.

    `table` is as `land_rows` takes it, `arrived_at` is when the rows came in, UTC.
    """
    contract = FEEDS[feed]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET threads=1")
        add_functions(connection)
        load = Load(arrived_at.replace(tzinfo=None), is_first=False)
        _stage(connection, OperatorBlock(name="own rows", time_zone=time_zone), contract, table, load)
        return _reasons(connection, staged_name(contract), "_row", "_reason")


def _stage(
    connection: duckdb.DuckDBPyConnection, operator: OperatorBlock, contract: Feed, table: Any, load: Load
) -> None:
    """Stages our own rows by the contract that delivered rows are staged by; `_row` is the row of the table."""
    import pyarrow as pa

    mapping = FeedMapping(
        select=_select(table, load.arrived_at),
        units={column.name: "minor" for column in contract.columns if column.kind is Kind.MONEY},
    )
    source = Source(
        operator=operator,
        files={"system_rows": File(path="system_rows")},
        feeds={"customers": mapping, contract.name: mapping},
    )
    connection.register("arrow_rows", table.append_column("_row", pa.array(range(table.num_rows), pa.int64())))
    connection.execute("CREATE TABLE system_rows AS FROM arrow_rows")
    types = select_types(connection, contract, mapping)
    stage_feed(connection, source, contract, mapping, load, types)


def _reasons(connection: duckdb.DuckDBPyConnection, table: str, row: str, reason: str) -> dict[int, str]:
    found = connection.execute(f"SELECT {row}, {reason} FROM {table} WHERE {reason} IS NOT NULL ORDER BY ALL")
    return {int(number): str(why) for number, why in found.fetchall()}


def _select(table: Any, arrival: datetime) -> str:
    """Returns a SELECT that says that the table's naive times are UTC."""
    import pyarrow as pa

    instants = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.type.tz is None]
    replaced = [f"{quoted(name)} AT TIME ZONE 'UTC' AS {quoted(name)}" for name in instants]
    known = "" if "known_at" in table.column_names else f", {timestamp(arrival)} AT TIME ZONE 'UTC' AS known_at"
    star = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
    return f"SELECT {star}{known} FROM system_rows"
