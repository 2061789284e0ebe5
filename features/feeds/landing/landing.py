"""Landing: a source's files become checked, versioned feeds; nothing is visible before one manifest is switched.

    files --stage_files--> views --stage_feed--> typed, checked rows --merge--> months of Parquet --> manifest

Nothing is visible before the manifest; the run stops if too many rows are bad. Parquet files are immutable
and named by what they hold; a killed run leaves only orphans, which the next run removes.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson

from features.feeds.contracts import FEEDS
from features.feeds.files.control_files import check_deliveries
from features.feeds.files.database import Tables, open_tables
from features.feeds.files.staging import View, fingerprints_of, lock_down, open_scratch, scratch_folder, stage_files
from features.feeds.landed.manifest import (
    FORM,
    LandedFeed,
    Manifest,
    Operator,
    check_same_operator,
    check_whole,
    read_manifest,
    remove_orphans,
    switch_manifest,
    version_of,
)
from features.feeds.landed.shape import Shape
from features.feeds.landing.far_times import piled_up
from features.feeds.landing.free_text import texts_of
from features.feeds.landing.identity import admit_known_customers, resolve_owners, write_links
from features.feeds.landing.parts import Writer
from features.feeds.landing.quarantine import (
    check_limits,
    collect_refused,
    first_refused,
    reasons_of,
    refused_by_period,
    write_quarantine,
)
from features.feeds.landing.reports import FeedReport, LandingReport
from features.feeds.landing.suppression import Suppressor
from features.feeds.landing.typing_rows import Load, select_types, stage_feed, staged_name
from features.feeds.mapping.sources import FeedMapping, Source
from features.feeds.schema import Feed, Grain
from features.kit.clock import add_months, utc_now
from features.kit.errors import ConfigurationError, DataError
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.sql import literal, literals, quoted, row_count
from features.kit.terminal.progress import SILENT, Progress

RULES_VERSION = 6
"""Raised whenever landing would make other rows of the same files; part of every signature."""


def land(
    source: Source,
    data: Path,
    home: Home,
    progress: Progress = SILENT,
    *,
    threads: int = 1,
    arrived_at: datetime | None = None,
) -> LandingReport:
    """Lands everything the mapping finds under `data` and returns what became of the rows.

    `arrived_at` is when the delivery arrived, UTC; default: now.

    Raises:
        ConfigurationError: If the mapping does not fit the files or the contract.
        DataError: If a file is missing, truncated or wrongly encoded.
        QuarantineLimitError: If too many rows of a feed are bad; nothing is published then.
        StateError: If a landed file is missing or damaged.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder", remedy="check --data")
    arrival = (arrived_at or utc_now()).replace(tzinfo=None)
    old = read_manifest(home)
    operator = Operator.of(source)
    if old is not None:
        check_same_operator(old.operator, operator)
        check_whole(home, old)
    remove_orphans(home, old)
    with open_tables(source) as tables, scratch_folder(home) as folder:
        landing = _Landing(source, data, home, arrival, old, threads, tables)
        todo, signatures = landing.plan()
        views = landing.stage_all(folder, todo, progress)
        landed = dict(old.feeds) if old else {}
        with closing(Writer(home, folder, threads=threads)) as writer:
            reports = landing.check_all(writer.connection, todo, views)
            writer.texts = texts_of(old)
            for feed, mapping in todo:
                with progress.step(f"land {feed.name}"):
                    landed[feed.name] = landing.write(writer, feed, mapping, reports[feed.name], signatures[feed.name])
            landing.write_refused(writer.connection, views, reports)
            derived = writer.texts | write_links(writer, landed, old.derived if old else {})
    manifest = _manifest(source, operator, landed, derived, arrival)
    hit("ingest.before_manifest")
    if old is None or manifest != old:
        switch_manifest(home, manifest)
    hit("ingest.after_manifest")
    for name in source.feeds:
        if name not in reports and name in landed:
            reports[name] = FeedReport(**(landed[name].report | {"unchanged": True}))
    files = {view.name: {"rows": view.rows, "refused": view.refused} for view in views.values()}
    missing = tuple(name for name in FEEDS if name not in landed)
    ordered = {name: reports[name] for name in FEEDS if name in reports}
    return LandingReport(manifest.latest_as_of, manifest.first_day, ordered, files, missing, version_of(manifest))


def check(source: Source, data: Path, scratch: Home, progress: Progress = SILENT) -> dict[str, FeedReport]:
    """Lands into a scratch home, which the caller throws away, and returns what became of the rows.

    So it counts what landing counts, conflicting duplicates too, and raises what `land` raises.
    """
    return land(source, data, scratch, progress).feeds


@dataclass
class _Landing:
    """The state of one landing run."""

    source: Source
    data: Path
    home: Home
    arrival: datetime
    old: Manifest | None
    threads: int
    tables: Tables | None
    with_known_at: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.data = self.data.resolve()
        self.fingerprints = {name: fingerprints_of(self.data, file) for name, file in self.source.files.items()}
        if self.tables is not None:
            self.fingerprints |= self.tables.plan({name: self._landed_parts(name) for name in self.source.tables})

    def views_of(self, mapping: FeedMapping) -> list[str]:
        """Returns the views that a SELECT names."""
        return self.source.views_in(mapping.select)

    def _landed_parts(self, view: str) -> list[dict[str, str]]:
        """Returns, per feed that reads a table, the parts of it that need not be read again."""
        return [
            self._landed_files(name, mapping)
            for name, mapping in self.source.feeds.items()
            if view in self.views_of(mapping)
        ]

    def _landed_files(self, name: str, mapping: FeedMapping) -> dict[str, str]:
        """Returns the files of a feed, with their fingerprints, that need not be read again."""
        before = self.before(name)
        if before is None or before.mapping != self.mapping_hash(name, mapping) or _has_waiting_rows(before, mapping):
            return {}
        return before.files

    def mapping_hash(self, name: str, mapping: FeedMapping) -> str:
        """Returns the hash of everything but the files that decides which rows a feed gets."""
        files = {view: self.source.views[view].model_dump(mode="json") for view in self.views_of(mapping)}
        columns = [[column.name, column.kind] for column in self.source.contract(name).columns]
        operator = self.source.operator.model_dump(mode="json")
        content = [RULES_VERSION, mapping.model_dump(mode="json"), files, columns, operator, self.source.snapshot_at]
        expected = self.source.deliveries
        if expected.on_time_days is not None:
            content += [expected.on_time_days, expected.of(name).months_late]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def plan(self) -> tuple[list[tuple[Feed, FeedMapping]], dict[str, str]]:
        """Returns the feeds that have anything new, in landing order, and every feed's signature."""
        todo: list[tuple[Feed, FeedMapping]] = []
        signatures: dict[str, str] = {}
        for name in FEEDS:
            mapping = self.source.feeds.get(name)
            if mapping is None:
                continue
            views = self.views_of(mapping)
            if any(self.source.views[view].optional and not self.fingerprints[view] for view in views):
                continue
            files = {view: self.fingerprints[view] for view in views}
            around = [signatures.get("customers", ""), signatures.get("numbers", "")]
            content = [self.mapping_hash(name, mapping), files, [] if FEEDS[name].reference else around]
            signatures[name] = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
            before = self.old.feeds.get(name) if self.old else None
            if before is None or before.signature != signatures[name]:
                todo.append((self.source.contract(name), mapping))
        return todo, signatures

    def before(self, name: str) -> LandedFeed | None:
        """Returns what had landed of a feed."""
        return self.old.feeds.get(name) if self.old else None

    def files_of(self, mapping: FeedMapping) -> dict[str, str]:
        """Returns the fingerprints of a SELECT's files."""
        return {file: sha for view in self.views_of(mapping) for file, sha in self.fingerprints[view].items()}

    def only_new_files(self, feed: Feed, mapping: FeedMapping) -> str:
        """Returns a condition that leaves out files landed before under the same mapping."""
        landed = self._landed_files(feed.name, mapping)
        seen = [name for name, sha in self.files_of(mapping).items() if landed.get(name) == sha]
        return f"_file NOT IN ({literals(seen)})" if seen else ""

    def refuse_parts(self, feed: Feed) -> str:
        """Returns no condition for a SELECT that does not tell the file. Raises ConfigurationError if it must."""
        parted = self.source.read_in_parts(self.source.feeds[feed.name])
        if parted:
            raise ConfigurationError(
                f"feeds.{feed.name}.select: '{parted[0]}' is read by watermark, so the SELECT must pass `_file` on",
                remedy="pass `_file` on; or, to sum over the table's rows, read it whole: drop the watermark",
            )
        return ""

    def stage_all(self, folder: Path, todo: list[tuple[Feed, FeedMapping]], progress: Progress) -> dict[str, View]:
        """Stages every feed into the scratch database, locked while the mapping's own SQL runs; returns the views."""
        check_deliveries(self.source, self.data)
        wanted = frozenset(view for _, mapping in todo for view in self.views_of(mapping))
        with open_scratch(folder, threads=self.threads) as connection:
            # A mapping's own CAST(... AS DATE) of a time with a zone is cut in the operator's zone, as landing cuts it.
            connection.execute(f"SET TimeZone={literal(self.source.operator.time_zone)}")
            lock_down(connection, [self.data, folder])
            with progress.step("read files"):
                views = stage_files(connection, self.source, self.data, folder, wanted=wanted, tables=self.tables)
            for feed, mapping in todo:
                with progress.step(f"check {feed.name}"):
                    load = Load(self.arrival, is_first=self.before(feed.name) is None)
                    types = select_types(connection, feed, mapping)
                    where = self.only_new_files(feed, mapping) if "_file" in types else self.refuse_parts(feed)
                    stage_feed(connection, self.source, feed, mapping, load, types, where)
                    if "known_at" in types:
                        self.with_known_at.add(feed.name)
                    hit("ingest.after_check")
        return views

    def check_all(
        self, connection: duckdb.DuckDBPyConnection, todo: list[tuple[Feed, FeedMapping]], views: dict[str, View]
    ) -> dict[str, FeedReport]:
        """Gives the staged rows to their owners; raises before anything is written if the rows are too bad."""
        reports: dict[str, FeedReport] = {}
        suppressor = Suppressor(self.home, connection)
        suppressor.refuse([feed for feed, _ in todo])
        for feed, mapping in todo:
            if mapping.keyed_by == "number":
                resolve_owners(connection, self.home, feed, self.before("numbers"))
                suppressor.refuse_ownerless(feed)
            if not feed.reference and feed.name != "customers":
                admit_known_customers(connection, self.home, feed, self.before("customers"))
            collect_refused(connection, feed)
        suppressor.clean_refused()
        for feed, mapping in todo:
            erased = suppressor.refused.get(feed.name, 0)
            reports[feed.name] = _report(connection, feed, self.views_of(mapping), erased=erased)
            reports[feed.name].piled_up = piled_up(
                connection, feed, staged_name(feed), self.arrival, self.source.operator.time_zone
            )
        self.write_refused(connection, views, reports)
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall():
            connection.execute(f"DROP TABLE {quoted(name)}")  # the months need the memory
        return reports

    def write_refused(
        self, connection: duckdb.DuckDBPyConnection, views: dict[str, View], reports: dict[str, FeedReport]
    ) -> None:
        """Writes the quarantine files, and stops the run if too many rows are bad."""
        write_quarantine(connection, self.home, [*views, *reports])
        check_limits(connection, self.source, views, reports)

    def write(self, writer: Writer, feed: Feed, mapping: FeedMapping, report: FeedReport, signature: str) -> LandedFeed:
        """Merges a feed's staged rows with what had landed and writes the months that changed."""
        shape = Shape(feed, self.source.operator.time_zone, replaces_period=mapping.replace == "period")
        before = self.before(feed.name)
        outcome = writer.write_feed(
            shape, before, self.arrival, signature, keeps_confirmations=feed.name in self.with_known_at
        )
        if outcome.conflicts:
            report.accepted -= outcome.conflicts
            report.quarantined += outcome.conflicts
            owners = {feed.name, *self.views_of(mapping)}
            report.reasons = reasons_of(writer.connection, *owners)
            report.first = first_refused(writer.connection, *owners)
        report.repeated = outcome.repeated
        mapping_hash = self.mapping_hash(feed.name, mapping)
        files = self.files_of(mapping)
        if before is not None and before.mapping == mapping_hash:
            files = before.files | files
        refused = refused_by_period(writer.connection, feed, self.views_of(mapping), shape.zone)
        if before is not None:
            refused = {file: months for file, months in before.refused.items() if file in files} | refused
        first, last = _days(writer, shape, before)
        return LandedFeed(
            parts=outcome.parts,
            columns=tuple(feed.by_name),
            form=FORM,
            first_day=first,
            last_day=last,
            signature=signature,
            mapping=mapping_hash,
            files=files,
            report=report.as_dict(),
            refused={file: months for file, months in refused.items() if months},
        )


def _has_waiting_rows(before: LandedFeed, mapping: FeedMapping) -> bool:
    """Tells whether rows that were refused for want of their customer get another chance with everything read again.

    Not under `replace: period`: files read again count as one delivery with the new ones, so that a re-delivered period
    would remove nothing.
    """
    waiting = ("unknown_customer", "number_without_owner")
    return mapping.replace == "none" and any(reason.startswith(waiting) for reason in before.report.get("reasons", {}))


def _report(connection: duckdb.DuckDBPyConnection, feed: Feed, views: list[str], *, erased: int) -> FeedReport:
    owners = {feed.name, *views}
    reasons = reasons_of(connection, *owners)
    unknown = connection.execute(
        f"SELECT _unknown, count(*) FROM {staged_name(feed)} WHERE _reason IS NULL AND _unknown IS NOT NULL "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return FeedReport(
        accepted=row_count(connection, f"{staged_name(feed)} WHERE _reason IS NULL"),
        quarantined=sum(reasons.values()),
        reasons=reasons,
        first=first_refused(connection, *owners) if reasons else "",
        rewritten=row_count(connection, f"{staged_name(feed)} WHERE _reason IS NULL AND _rewritten"),
        unknown={str(column): int(rows) for column, rows in unknown},
        erased=erased,
    )


def _days(writer: Writer, shape: Shape, before: LandedFeed | None) -> tuple[date | None, date | None]:
    """Returns the civil days that the delivered rows span, with what was delivered before."""
    if shape.feed.reference:
        return None, None
    first, last = writer.staged_days(shape)
    if last is not None and shape.feed.grain is Grain.MONTH:
        last = add_months(last, 1) - timedelta(days=1)
    firsts = [day for day in (first, before.first_day if before else None) if day]
    lasts = [day for day in (last, before.last_day if before else None) if day]
    return min(firsts, default=None), max(lasts, default=None)


def _manifest(
    source: Source, operator: Operator, landed: dict[str, LandedFeed], derived: dict[str, Any], arrival: datetime
) -> Manifest:
    delivered = {name: feed for name, feed in landed.items() if name in source.feeds and feed.last_day}
    activity = [feed for name, feed in delivered.items() if not FEEDS[name].is_state] or list(delivered.values())
    first = source.delivered_from or min((f.first_day for f in activity if f.first_day), default=None)
    until = source.delivered_until or max(
        (feed.last_day + timedelta(days=1) for feed in activity if feed.last_day), default=None
    )
    if operator.snapshot_on is not None:
        first, until = operator.snapshot_on, operator.snapshot_on + timedelta(days=1)
    if first is None or until is None:
        raise DataError("no row of any dated feed was accepted", remedy="see the quarantine folder for the reasons")
    if source.delivered_until is None and operator.snapshot_on is None:
        until = min(until, arrival.date() + timedelta(days=1))
    return Manifest(operator=operator, first_day=first, latest_as_of=until, feeds=landed, derived=derived)
