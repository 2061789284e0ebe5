"""Rows that this system makes itself (contacts, outcomes, tickets) become feeds like any delivered row."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import datetime
from typing import Any

from features.feeds.contracts import FEEDS
from features.feeds.files.staging import create_refused_table, open_scratch, scratch_folder
from features.feeds.landed.manifest import LandedFeed, read_manifest, remove_orphans, switch_manifest
from features.feeds.landed.shape import Shape
from features.feeds.landing.identity import refuse_unknown_customers
from features.feeds.landing.parts import Outcome, Writer
from features.feeds.landing.quarantine import collect_refused, first_refused
from features.feeds.landing.typing_rows import Load, stage_feed, staged_name
from features.feeds.mapping.layout import File
from features.feeds.mapping.sources import Currency, FeedMapping, OperatorBlock, Source
from features.feeds.schema import Kind
from features.kit.errors import DataError, NotReadyError
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.sql import quoted, timestamp


def land_rows(home: Home, feed: str, table: Any, *, arrived_at: datetime) -> Outcome:
    """Appends rows made by this system to a feed, with the same checks and versions as delivered ones.

    Rows repeated byte for byte change nothing, so a replay is harmless. The caller holds the run lock. The feeds'
    `latest_as_of` stays what the operator's delivery made it.

    Args:
        home: The folder of the state.
        feed: The feed's name.
        table: A pyarrow table with contract columns, `customer_id` and `event_at`; naive times are UTC, money is in
            the minor unit. Without `known_at` a row is known on arrival.
        arrived_at: When the rows were made, UTC.

    Raises:
        NotReadyError: If nothing has landed yet, so that no customer is known.
        DataError: Naming the first bad row and its reason; nothing is landed then.
    """
    manifest = read_manifest(home)
    if manifest is None:
        raise NotReadyError(f"{home.root}: no feeds have landed", remedy="run `insight ingest` first")
    arrival = arrived_at.replace(tzinfo=None)
    contract = FEEDS[feed]
    operator = manifest.operator
    mapping = FeedMapping(
        select=_select(table, arrival),
        units={column.name: "minor" for column in contract.columns if column.kind is Kind.MONEY},
    )
    source = Source(
        operator=OperatorBlock(
            name=operator.name,
            time_zone=operator.time_zone,
            currency=Currency(code=operator.currency, scale=operator.money_scale),
        ),
        files={"system_rows": File(path="system_rows")},
        feeds={"customers": mapping, feed: mapping},
    )
    before = manifest.feeds.get(feed)
    remove_orphans(home, manifest)
    with scratch_folder(home) as folder:
        with open_scratch(folder, threads=1) as connection:
            connection.register("arrow_rows", table)
            connection.execute("CREATE TABLE system_rows AS FROM arrow_rows")
            create_refused_table(connection)
            stage_feed(connection, source, contract, mapping, Load(arrival, is_first=before is None))
            if not contract.reference:
                refuse_unknown_customers(connection, home, contract, manifest.feeds["customers"])
            collect_refused(connection, contract)
            digest = hashlib.sha256(
                str(connection.execute(f"SELECT sum(hash(s)) FROM {staged_name(contract)} s").fetchone()).encode()
            ).hexdigest()
        with closing(Writer(home, folder, threads=1)) as writer:
            shape = Shape(contract, operator.time_zone)
            has_known_at = "known_at" in table.column_names
            outcome = writer.write_feed(shape, before, arrival, digest, keeps_confirmations=has_known_at)
            problem = first_refused(writer.connection, feed)
    if problem:
        raise DataError(f"feed {feed}: {problem}", remedy="nothing was landed; correct the row and send all again")
    if before is None or outcome.parts != before.parts:
        columns = tuple(column.name for column in contract.columns)
        landed = LandedFeed(parts=outcome.parts, columns=columns)
        if before is not None:
            landed = before.model_copy(update={"parts": outcome.parts, "columns": columns})
        hit("ingest.before_manifest")
        switch_manifest(home, manifest.model_copy(update={"feeds": manifest.feeds | {feed: landed}}))
        hit("ingest.after_manifest")
    return outcome


def _select(table: Any, arrival: datetime) -> str:
    """Returns a SELECT that says that the table's naive times are UTC."""
    import pyarrow as pa

    instants = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.type.tz is None]
    replaced = [f"{quoted(name)} AT TIME ZONE 'UTC' AS {quoted(name)}" for name in instants]
    known = "" if "known_at" in table.column_names else f", {timestamp(arrival)} AT TIME ZONE 'UTC' AS known_at"
    star = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
    return f"SELECT {star}{known} FROM system_rows"
