"""What people wrote (a complaint, a comment, who works on it) lies in the personal folder, and nowhere else.

No feature reads it. The months in the shared folder hold nothing in these columns; one file a feed, for its owner's
eyes alone, keeps every text with the customer and the key of its row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.landed.manifest import Manifest, Part
from features.feeds.schema import Feed
from features.kit.home import Home
from features.kit.sql import column_types, literal, parquet, quoted


def texts_name(feed: str) -> str:
    """Returns under which name the manifest keeps a feed's texts, among the derived files."""
    return f"{feed}_free_text"


def texts_of(manifest: Manifest | None) -> dict[str, Part]:
    """Returns the files of texts that a manifest names, by their names there."""
    derived = manifest.derived if manifest else {}
    return {name: part for name, part in derived.items() if name in map(texts_name, FEEDS)}


def free_text_columns(feed: Feed) -> list[str]:
    """Returns the columns of a feed that hold what people wrote."""
    return [column.name for column in feed.columns if column.is_free_text]


def keep_texts(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    write: Callable[[Path, str], int],
    feed: Feed,
    relations: Sequence[str],
    before: Part | None,
) -> Part | None:
    """Adds the texts of staged or landed rows to those kept before, and returns their file; None if there are none.

    `write` writes a SELECT to a Parquet file, whole or not at all.
    """
    key = f"concat_ws('|', {', '.join(f'CAST({quoted(name)} AS VARCHAR)' for name in feed.key)})"
    pieces = [f"SELECT * FROM {parquet([home.root / before.path])}"] if before else []
    for relation in relations:
        present = column_types(connection, f"SELECT * FROM {relation}")
        pieces += [
            f"SELECT customer_id, event_at, known_at, {key} AS key, {literal(column)} AS name, "
            f"{quoted(column)} AS text FROM {relation} WHERE {quoted(column)} IS NOT NULL"
            for column in free_text_columns(feed)
            if column in present
        ]
    if not pieces:
        return before
    first = "SELECT customer_id, event_at, min(known_at) AS known_at, key, name, text"
    rows = f"{first} FROM ({' UNION ALL '.join(pieces)}) GROUP BY ALL"
    count, mark = connection.execute(f"SELECT count(*), bit_xor(hash(t)) FROM ({rows}) t").fetchall()[0]
    if count == (before.rows if before else 0):
        return before
    digest = hashlib.sha256(f"{feed.name}|{mark}".encode()).hexdigest()[:12]
    path = home.personal / "free_text" / f"{feed.name}-{digest}.parquet"
    write(path, f"{rows} ORDER BY ALL")
    return Part(path=path.relative_to(home.root).as_posix(), month="all", rows=count)
