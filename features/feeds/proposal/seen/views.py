"""Which files belong together: one view over files of one layout whose names differ by dates and numbers only."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.feeds.contracts import FEEDS
from features.feeds.proposal.seen.columns import ColumnLook, has_no_repeat, keys_of, look_at_columns
from features.feeds.proposal.seen.files import SAMPLE_ROWS, FileLook, look_at
from features.feeds.proposal.seen.personal import is_phone_like, names_an_id
from features.feeds.proposal.words import Words, words_in
from features.kit.sql import quoted

ENDINGS = (".csv", ".txt", ".dat", ".tsv", ".psv", ".unl", ".parquet", ".pq", ".xlsx", ".xls", ".zip")
_NUMBERS = re.compile(r"\d+(?:[-_.]\d+)*")
_SHARED_BEGINNINGS = 2
_LONGEST_NAME = 24
_LEAST_COLUMNS, _LEAST_ROWS = 4, 20  # of a list of customers without ids; a catalogue has fewer


@dataclass
class View:
    """Files of one layout."""

    name: str
    pattern: str  # the glob that finds them
    files: list[FileLook]  # what each of them is, sorted by name
    columns: list[ColumnLook] = field(default_factory=list)  # what the columns of the newest file hold
    keys: tuple[tuple[str, ...], ...] = ()  # sets of columns that identify a row of it
    customer: str = ""  # the column that names a customer, or an empty string
    is_by_row: bool = False  # whether each row is a customer, because no column names one
    customer_why: str = ""  # what a person should know of a customer column that was only guessed
    customer_share: float | None = None  # the share of its values that the customers' own file knows
    also: list[str] = field(default_factory=list)  # further globs of files that the view takes with its own

    @property
    def first(self) -> FileLook:
        """Returns the file that stands for all: the newest by name that has any row."""
        return next((look for look in reversed(self.files) if look.rows), self.files[-1])

    @property
    def patterns(self) -> list[str]:
        """Returns the globs: its own, and those of views of the same layout that belong to it."""
        return [self.pattern, *self.also]

    def lists_customers(self, words: Words) -> bool:
        """Tells whether there is one row per customer, and not only because the file is of one month."""
        if not self.is_by_row and (not self.customer or not self.by_name[self.customer].is_unique):
            return False
        if self.first.rows < 2:
            return False
        return not any(column.kind == "period" or words.means(column.name, "period") for column in self.columns)

    @property
    def customer_sql(self) -> str:
        """Returns SQL of the customer's id: its column, or the file and the row where no column names a customer."""
        return "concat_ws(':', _file, _row)" if self.is_by_row else quoted(self.customer)

    def has_layout_of(self, other: View) -> bool:
        """Tells whether files of both can be one view."""
        mine, theirs = self.first, other.first
        return (sorted(mine.header), mine.encoding, mine.delimiter, mine.has_header) == (
            sorted(theirs.header), theirs.encoding, theirs.delimiter, theirs.has_header,
        )  # fmt: skip

    @property
    def title(self) -> str:
        """Returns what the files are called, without numbers and endings."""
        return _stem(self.first.name)

    @property
    def folder(self) -> str:
        """Returns what the folder of the files is called."""
        return self.first.path.resolve().parent.name

    @property
    def table(self) -> Any:
        """Returns its sampled rows."""
        return self.first.table

    @property
    def by_name(self) -> dict[str, ColumnLook]:
        """Returns the columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def nothing_here(self) -> dict[str, tuple[str, ...]]:
        """Returns column -> texts that mean "nothing there" in it alone."""
        return {column.name: column.nothing_here for column in self.columns if column.nothing_here}

    @property
    def nothing_anywhere(self) -> list[str]:
        """Returns the texts that mean "nothing there" in any column."""
        return sorted({text for column in self.columns for text in column.nothing if text not in column.nothing_here})


def found_files(data: Path, only: str) -> list[Path]:
    """Returns the files under a folder that may be deliveries, sorted by name."""
    paths = sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith("."))
    kept = [path for path in paths if _ending(path) in ENDINGS]
    return [path for path in kept if not only or fnmatch(path.relative_to(data).as_posix(), only)]


def _ending(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def look_at_views(data: Path, paths: list[Path], words: Words) -> tuple[list[View], list[FileLook]]:
    """Returns the views of readable files, and the files that cannot be mapped as they are."""
    looks = [look_at(path, path.relative_to(data).as_posix()) for path in paths]
    groups: dict[tuple[Any, ...], list[FileLook]] = {}
    for look in looks:
        if not look.problem:
            stem = _NUMBERS.sub("*", look.name)
            layout = (stem, look.encoding, look.delimiter, look.has_header, tuple(sorted(look.header)))
            groups.setdefault(layout, []).append(look)
    names = _names([_stem(files[0].name) for files in groups.values()])
    views = []
    for files, name in zip(groups.values(), names, strict=True):
        pattern, *also = _globs(files, looks)
        view = View(name, pattern, files, also=also)
        view.columns = _columns(view, words)
        for other in files:
            if other is not view.first:
                other.table = other.table.slice(0, 0)  # only one is looked at further
        views.append(view)
    return views, [look for look in looks if look.problem]


def _columns(view: View, words: Words) -> list[ColumnLook]:
    """Returns the columns over the rows of all files, newest first; a value is unique if it is so in one file."""
    one = view.table
    newest_first = [look.table.select(one.column_names) for look in reversed(view.files) if look.rows]
    if len(newest_first) <= 1 or any(not table.schema.equals(one.schema) for table in newest_first):
        return look_at_columns(one, words)
    columns = look_at_columns(pa.concat_tables(newest_first).slice(0, SAMPLE_ROWS), words)
    for column in columns:
        column.is_unique = has_no_repeat(one[column.name])
    return columns


def _globs(files: list[FileLook], every: list[FileLook]) -> list[str]:
    """Returns one glob that finds these files and no other; their names one by one where no glob does."""
    names = [look.name for look in files]
    runs = [_NUMBERS.findall(name) for name in names]
    if len(names) > 1:
        widths = [{len(run) for run in place} for place in zip(*runs, strict=True)]
        wild = iter("?" * next(iter(width)) if len(width) == 1 else "*" for width in widths)
        pattern = _NUMBERS.sub(lambda _: next(wild), names[0])
        mine = {look.name for look in files}
        if not any(fnmatch(look.name, pattern) for look in every if look.name not in mine):
            return [pattern]
    return names


def _stem(name: str) -> str:
    path = Path(name)
    stem = Path(path.stem).stem if path.suffix == ".gz" else path.stem
    return _NUMBERS.sub("", stem).strip("_-. ") or (path.parent.name or stem)


def _names(stems: list[str]) -> list[str]:
    """Returns names for SQL: short, lower case, without a beginning that all share, each once."""
    words = [words_in(unicodedata.normalize("NFKC", stem)) for stem in stems]
    while len(words) >= _SHARED_BEGINNINGS and all(len(parts) > 1 and parts[0] == words[0][0] for parts in words):
        words = [parts[1:] for parts in words]
    names: list[str] = []
    for place, parts in enumerate(words):
        name = "_".join(parts)
        name = name if len(name) <= _LONGEST_NAME else "_".join(parts[-2:])[:_LONGEST_NAME].strip("_")
        name = name if name and name[0].isalpha() else f"file_{place + 1}"
        while name in names:
            name += "_b"
        names.append(name)
    return names


def find_customers(views: list[View], words: Words) -> View | None:
    """Sets each view's customer column and keys, and returns the view that lists the customers, if there is one.

    A column names a customer if its header says so, or if its values are those of a column that does. The list of
    customers is the view that is called so, else one with one row per customer, else none.
    """
    for view in views:
        named = [column for column in view.columns if words.means(column.name, "customer_id")]
        filled = [column for column in named if column.filled or not view.first.rows]
        view.customer = filled[0].name if filled else ""
    if not any(view.customer for view in views):
        _guess_customers(views, words)
    lists = [view for view in views if view.customer]
    if by_row := next((view for view in views if view.is_by_row), None):
        return by_row
    called = [view for view in lists if "customers" in words.named_feeds(view.title)]
    unique = [view for view in lists if view.by_name[view.customer].is_unique]
    both = [view for view in called if view in unique]
    owners = both or called or unique
    owners.sort(key=lambda view: (-view.by_name[view.customer].distinct, -len(view.columns), view.name))
    owner = owners[0] if owners else None
    for view in views:
        if owner is not None and view is not owner:
            _refer(view, owner)
        ids = [column.name for column in view.columns if _is_id(column.name) and column.name != view.customer]
        kept = [column for column in view.columns if not words.means(column.name, "known_at")]
        view.keys = keys_of(view.table, kept, [view.customer, *ids] if view.customer else ids)
    return owner


def _guess_customers(views: list[View], words: Words) -> None:
    """Sets a customer where no header names one: a unique phone number, else a unique id, else the rows of one view."""

    def is_other_key(header: str) -> bool:
        return any(words.meaning(header, feed, key) >= 0.9 for feed in FEEDS.values() for key in feed.key)

    for view in sorted(views, key=lambda view: -len(view.columns)):
        unique = [column for column in view.columns if column.is_unique]
        phone = next((column for column in unique if is_phone_like(column.name, column.values, words)), None)
        plain = (c for c in unique if (c.damage or c.kind in ("text", "integer")) and names_an_id(c.name, words))
        known = phone or next((column for column in plain if not is_other_key(column.name)), None)
        if known is not None:
            view.customer = known.name
            what = "a phone number; it will stand in every file, an id of your own is better" if phone else "unique"
            view.customer_why = f"{known.name} is taken for the customer: no header names one, and it is {what}"
            return
    for view in sorted(views, key=lambda view: -len(view.columns)):
        is_events = any(column.kind in ("instant", "period", "clock") for column in view.columns)
        if not is_events and len(view.columns) >= _LEAST_COLUMNS and view.first.rows >= _LEAST_ROWS:
            view.is_by_row = True
            view.customer_why = (
                "no column names the customer: each row is one, known by its file and row; deliver the file once only, "
                "in another order the rows are other customers"
            )
            return


def _refer(view: View, owner: View) -> None:
    known = set(owner.by_name[owner.customer].values)
    complete = owner.by_name[owner.customer].distinct == len(known)
    if view.customer:
        mine = view.by_name[view.customer].values
        view.customer_share = sum(value in known for value in mine) / len(mine) if mine and complete else None
        return
    if not complete or len(known) < 20:
        return
    for column in view.columns:
        if column.kind in ("integer", "text") and column.values and column.distinct > 1:
            share = sum(value in known for value in column.values) / len(column.values)
            if share > 0.98 and (column.kind == "text" or column.distinct > len(known) // 20):
                view.customer, view.customer_share = column.name, share
                return


def _is_id(name: str) -> bool:
    words = words_in(name)
    return name.endswith(("编号", "编码", "流水", "流水号", "单号", "标识", "id", "ID")) or any(
        word in ("id", "no", "code", "key", "number", "name") for word in words[-1:]
    )
