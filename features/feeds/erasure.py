"""Takes one person out of the landed feeds: months without their rows are written beside, then one manifest switches.

Where a subscription changed hands, only what happened while the person held it goes, and the subscription's own
records stay without what they say of the holder. A number that somebody else got afterwards keeps a nameless row:
that it had an owner before is what protects the next one from calls meant for the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from features.erasure.rewriting import ERASED, mentions, remove_leftovers
from features.feeds.contracts import FEEDS
from features.feeds.files.staging import scratch_folder
from features.feeds.landed.manifest import LandedFeed, Manifest, Part, read_manifest, remove_orphans, switch_manifest
from features.feeds.landed.subject import Subject
from features.feeds.landing.free_text import texts_of
from features.feeds.landing.identity import write_links
from features.feeds.landing.parts import Writer
from features.kit.files import write_parquet
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.sql import literal, parquet, row_count
from features.kit.values.identifiers import numbers_in


def erase(home: Home, subject: Subject, token: str) -> dict[str, dict[str, int]]:
    """Removes a person from the landed feeds and the quarantine; the caller holds the run lock.

    `token` is the receipt's id; it names the new files and the nameless rows of re-issued numbers.

    Returns:
        What was removed: rows per feed, and rows per file of the quarantine.
    """
    removed: dict[str, dict[str, int]] = {"feeds": {}, "quarantine": {}}
    remove_leftovers([home.feeds, home.personal])
    manifest = read_manifest(home)
    if manifest is not None:
        remove_orphans(home, manifest)
        with scratch_folder(home) as folder, closing(Writer(home, folder, threads=1)) as writer:
            _prepare(writer.connection, subject)
            new = _without(manifest, _Rewriter(home, writer, subject, token), removed["feeds"])
        hit("erase.before_manifest")
        if new != manifest:
            switch_manifest(home, new)
        hit("erase.after_manifest")
        remove_orphans(home, new)
    for folder in (home.quarantine, home.root / "quarantine"):  # the second is of an earlier release
        for path in sorted(folder.glob("*.parquet")):
            rows = _clean_quarantine(path, subject)
            if rows:
                removed["quarantine"][path.stem] = rows
    return removed


def _prepare(database: duckdb.DuckDBPyConnection, subject: Subject) -> None:
    run = database.execute
    run("CREATE OR REPLACE TABLE holdings (held_id VARCHAR, held_from TIMESTAMP, held_until TIMESTAMP)")
    for holding in subject.holdings:
        run("INSERT INTO holdings VALUES (?, ?, ?)", [holding.customer_id, holding.start, holding.end])
    run("CREATE OR REPLACE TABLE passed_on (number VARCHAR)")
    for own in subject.numbers:
        if not own.is_only:
            run("INSERT INTO passed_on VALUES (?)", [own.number])


def _without(manifest: Manifest, rewriter: _Rewriter, removed: dict[str, int]) -> Manifest:
    """Returns the manifest of the feeds without the person, its files written and not yet active."""
    landed: dict[str, LandedFeed] = {}
    for name, feed in manifest.feeds.items():
        parts = feed.parts
        if not FEEDS[name].reference:
            rewritten = [rewriter.part(name, part) for part in feed.parts]
            parts = tuple(part for part, _ in rewritten)
            rows = sum(gone for _, gone in rewritten)
            removed |= {name: rows} if rows else {}
        landed[name] = feed.model_copy(update={"parts": parts, "report": _nameless(feed.report, rewriter.subject)})
    texts = {name: rewriter.texts(part) for name, part in texts_of(manifest).items()}
    for name, (_, gone) in texts.items():
        removed |= {name: gone} if gone else {}
    derived = manifest.derived | write_links(rewriter.writer, landed, manifest.derived)
    derived |= {name: part for name, (part, _) in texts.items()}
    return manifest.model_copy(update={"feeds": landed, "derived": derived})


def _nameless(report: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    first = str(report.get("first", ""))
    return dict(report) | ({"first": ""} if mentions(subject.names).search(first) else {})


@dataclass(frozen=True)
class _Rewriter:
    """Writes a feed's files without the person's rows."""

    home: Home
    writer: Writer
    subject: Subject
    token: str

    def part(self, feed: str, part: Part) -> tuple[Part, int]:
        """Returns what takes a part's place, and how many rows went, lost their holder or became nameless."""
        at = {"numbers": "valid_from"}.get(feed, "event_at")
        contract, held = FEEDS[feed], "held_id IS NOT NULL"
        if feed == "persons":
            held = f"person_id = {literal(self.subject.person_id)}"
        elif contract.stays_with_line and not contract.holder_columns:
            held = "held_id IS NOT NULL AND held_from IS NULL AND held_until IS NULL"
        source = (
            f"{parquet([self.home.root / part.path], 'file_row_number=true')} f LEFT JOIN holdings h "
            f"ON f.customer_id = held_id AND (held_from IS NULL OR {at} >= held_from) "
            f"AND (held_until IS NULL OR {at} < held_until)"
        )
        if feed == "persons":
            source = source.split(" LEFT JOIN ", maxsplit=1)[0]
        gone = row_count(self.writer.connection, f"{source} WHERE {held}")
        if not gone:
            return part, 0
        path = self._place(part)
        rows = self.writer.write_parquet(path, self._select(feed, source, held))
        hit("erase.after_part")
        return self._replaced(part, path, rows), gone

    def texts(self, part: Part) -> tuple[Part, int]:
        """Returns the file of texts without those of the person, or that name the person, and how many went."""
        import pyarrow.parquet as pq

        table = pq.read_table(self.home.root / part.path)
        rows = zip(*(table[name].to_pylist() for name in ("customer_id", "event_at", "text")), strict=True)
        names_them = naming(self.subject.names)
        stays = [
            not (self.subject.holds(customer_id, event_at) or names_them(text)) for customer_id, event_at, text in rows
        ]
        if all(stays):
            return part, 0
        path = self._place(part)
        write_parquet(path, table.filter(stays))
        path.chmod(0o600)
        return self._replaced(part, path, stays.count(True)), stays.count(False)

    def _place(self, part: Part) -> Path:
        """Returns the path of the file that takes a part's place."""
        old = self.home.root / part.path
        digest = hashlib.sha256(f"{part.path}|{ERASED}|{self.token}".encode()).hexdigest()[:12]
        return old.with_name(f"{old.stem.rsplit('-', 1)[0]}-{digest}.parquet")

    def _replaced(self, part: Part, path: Path, rows: int) -> Part:
        return part.model_copy(update={"path": path.relative_to(self.home.root).as_posix(), "rows": rows})

    def _select(self, feed: str, source: str, held: str) -> str:
        """Returns SQL for the rows that stay, in their order."""
        replaced, stays = "", f"NOT ({held})"
        if FEEDS[feed].holder_columns:
            whole = "held_from IS NULL AND held_until IS NULL"
            blanked = ", ".join(
                f"CASE WHEN {held} THEN NULL ELSE {column} END AS {column}" for column in FEEDS[feed].holder_columns
            )
            replaced, stays = f" REPLACE ({blanked})", f"NOT ({held} AND {whole})"
        if feed == "numbers":
            name = literal(f"{ERASED}-{self.token}")
            renamed = (
                f"CASE WHEN {held} THEN {name} ELSE customer_id END AS customer_id, "
                f"CASE WHEN {held} THEN left(md5(concat({name}, '|', f.number, '|', f.valid_from)), 24) "
                f"ELSE event_id END AS event_id"
            )
            replaced, stays = f" REPLACE ({renamed})", f"{stays} OR f.number IN (SELECT number FROM passed_on)"
        extra = "" if feed == "persons" else ", held_id, held_from, held_until"
        return (
            f"SELECT * EXCLUDE (file_row_number{extra}){replaced} FROM {source} WHERE {stays} ORDER BY file_row_number"
        )


def naming(names: frozenset[str]) -> Callable[[str], bool]:
    """Returns the test whether a text holds one of the names as a whole word, or a number however it is written."""
    pattern = mentions(names)
    return lambda text: bool(pattern.search(text)) or bool(names & numbers_in(text))


def _clean_quarantine(path: Path, subject: Subject) -> int:
    """Rewrites a file of refused rows without those that name the person; an empty one goes. Returns the rows."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    texts = zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True)
    names_them = naming(subject.names)
    stays = [not any(text and names_them(text) for text in pair) for pair in texts]
    gone = stays.count(False)
    if gone == table.num_rows:
        path.unlink()
    elif gone:
        mode = path.stat().st_mode & 0o777
        write_parquet(path, table.filter(stays))
        path.chmod(mode)
    return gone
