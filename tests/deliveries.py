"""Deliveries of the dialect `bss_cn`, and what goes wrong with them: each mutation spoils one file of one month.

A mutation tells which words the error must hold, or that it does not apply to a file (no unit, no closed vocabulary).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from features.feeds.landed.manifest import manifest_path
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import Source
from features.kit.errors import InsightError
from features.kit.home import Home
from features.simulator.dialect.bss_cn import Extract
from features.simulator.dialect.write import ENCODING

MONTH, BEFORE = "202605", "202604"
KEYS = {"plans": "套餐编码", "packs": "流量包编码", "network_faults": "故障编号"}
SCALES = {  # header's unit -> what a value of a neighbouring unit looks like
    "（厘）": 0.001, "（分）": 10, "（元）": 1000, "（MB）": 1024, "（KB）": 1 / 1024, "（秒）": 1 / 60,
    "（分钟）": 60, "（kbps）": 0.001,
}  # fmt: skip
CATALOGUE = {"plan_dict": "月租费（厘）", "pack_dict": "价格（分）"}
Row = list[str]


@dataclass
class Spoilt:
    """One file of the newest month, to be spoilt and restored.

    Attributes:
        data: The folder of the delivery.
        extract: Which file.
        typical: The columns whose median the mapping declares.
    """

    data: Path
    extract: Extract
    typical: tuple[str, ...]

    def __post_init__(self) -> None:
        self.path = self.data / MONTH / f"{self.extract.name}_{MONTH}.dat.gz"
        self.check = self.data / MONTH / f"check_{MONTH}.txt"
        self.kept = {path: path.read_bytes() for path in (self.path, self.check)}
        lines = gzip.decompress(self.kept[self.path]).decode(ENCODING).splitlines()
        self.header = lines[0].split(self.extract.delimiter)
        self.rows = [line.split(self.extract.delimiter) for line in lines[1:]]

    def restore(self) -> None:
        """Puts the good files back."""
        for path in self.path.parent.iterdir():
            if path.name.startswith(f"{self.extract.name}_9"):
                path.unlink()
        for path, content in self.kept.items():
            path.write_bytes(content)

    def text(self, header: Row | None = None, rows: list[Row] | None = None, delimiter: str = "") -> str:
        """Returns the file's text, with parts of it exchanged."""
        lines = [self.header if header is None else header, *(self.rows if rows is None else rows)]
        return "".join((delimiter or self.extract.delimiter).join(line) + "\n" for line in lines)

    def write(self, content: str | bytes, encoding: str = ENCODING) -> None:
        """Writes the compressed file."""
        packed = content if isinstance(content, bytes) else content.encode(encoding, "replace")
        self.path.write_bytes(gzip.compress(packed, 1, mtime=0))

    def count(self, change: Callable[[str], str]) -> None:
        """Changes the check file's text."""
        self.check.write_bytes(change(self.kept[self.check].decode(ENCODING)).encode(ENCODING))

    def each(self, column: str, change: Callable[[str], str], every: int = 1) -> list[Row]:
        """Returns the rows with one column changed in every n-th row that has a value."""
        place = self.header.index(column)
        return [
            [*row[:place], change(row[place]), *row[place + 1 :]]
            if number % every == 0 and row[place] not in ("", r"\N", "20991231")
            else row
            for number, row in enumerate(self.rows)
        ]

    def column(self, *forms: str) -> str | None:
        """Returns the first column of one of the forms, if there is one."""
        return next((h for h, name, form in self.extract.columns if form.name in forms and name != "_month"), None)

    @property
    def key(self) -> str:
        """Returns the column that identifies the row's owner."""
        return self.column("identifier") or KEYS[self.extract.feed]

    @property
    def amount(self) -> str | None:
        """Returns a column whose unit the mapping can judge in this file."""
        if self.extract.name in CATALOGUE:
            return CATALOGUE[self.extract.name]
        for column in self.typical:
            place = self.header.index(column)
            if sum(row[place] not in ("", r"\N") and float(row[place]) > 0 for row in self.rows) >= 20:
                return column
        return None


def _scaled(file: Spoilt, column: str) -> list[Row]:
    factor = SCALES[re.findall("（.*）", column)[0]]
    return file.each(column, lambda value: f"{float(value) * factor:.4f}".rstrip("0").rstrip("."))


def _twice(file: Spoilt) -> None:
    twin = file.path.with_name(f"{file.extract.name}_999912.dat.gz")
    twin.write_bytes(file.kept[file.path])
    file.count(lambda text: f"{text.rstrip()}\n{twin.name}|{len(file.rows)}\n")


def _earlier(file: Spoilt) -> bool | None:
    """Delivers the month before again; a few rows of the 1st, which a month's end overlaps, are right in both."""
    old = file.data / BEFORE / file.path.name.replace(MONTH, BEFORE)
    lines = gzip.decompress(old.read_bytes()).decode(ENCODING).splitlines()[1:]
    if all(f"{MONTH}01" in line for line in lines):
        return False
    rows = len(lines)
    file.path.write_bytes(old.read_bytes())
    file.count(lambda text: re.sub(rf"(?m)^({re.escape(file.path.name)})\|\d+$", rf"\1|{rows}", text))
    return None


def _cut(file: Spoilt) -> None:
    whole = file.text().encode(ENCODING)
    last = file.text(header=[], rows=file.rows[-1:]).encode(ENCODING)
    file.write(whole[: len(whole) - len(last) // 2])


def _one_row(file: Spoilt, cell: bytes) -> None:
    whole = file.text().encode(ENCODING)
    start = whole.index(b"\n") + 1
    file.write(whole[:start] + cell + whole[start:])


def _lost_city(file: Spoilt) -> None:
    """Leaves out a tenth of the customers, as an interface that lost a city; the check file still counts them."""
    place = file.header.index(file.key)
    gone = {key for number, key in enumerate(sorted({row[place] for row in file.rows})) if number % 10 == 0}
    file.write(file.text(rows=[row for row in file.rows if row[place] not in gone]))


@dataclass(frozen=True)
class Mutation:
    """One way to spoil a file.

    Attributes:
        name: What was done.
        spoil: Does it; returns False where it does not apply.
        named: What the error must say besides the file's name.
    """

    name: str
    spoil: Callable[[Spoilt], object]
    named: str


def _on(
    column: Callable[[Spoilt], str | None], change: Callable[[Spoilt, str], list[Row]]
) -> Callable[[Spoilt], object]:
    """Returns a mutation of one column, which does not apply where there is none or nothing would change."""

    def spoil(file: Spoilt) -> object:
        name = column(file)
        rows = file.rows if name is None else change(file, name)
        if rows == file.rows:
            return False
        file.write(file.text(rows=rows))
        return True

    return spoil


def _dated(file: Spoilt) -> str | None:
    return file.column("day", "at")


def _identifier(file: Spoilt) -> str | None:
    return file.column("identifier")


def _unit_header(file: Spoilt) -> object:
    unit = next((header for header in file.header if "（" in header), None)
    if unit is None:
        return False
    header = [re.sub("（.*）", "（千）", one) if one == unit else one for one in file.header]
    file.write(file.text(header=header))
    return True


def _future(file: Spoilt) -> object:
    if file.extract.name in CATALOGUE:
        return False  # a plan may be on sale from next year on
    column = "入库时间" if file.extract.feed == "bills" else _dated(file) or file.column("month") or ""
    file.write(file.text(rows=file.each(column, lambda value: str(int(value[:4]) + 10) + value[4:])))
    return True


BAD_DATE = "not_8_digits|not_a_date|not_a_time|of_another_month|not_between|missing"
MUTATIONS = (
    Mutation("delivered in UTF-8", lambda f: f.write(f.text(), "utf-8"), "the header is utf-8, not gb18030"),
    Mutation("delivered in UTF-16", lambda f: f.write(f.text(), "utf-16"), "the header is utf-16, not gb18030"),
    Mutation("Chinese lost on the way", lambda f: f.write(f.text(), "ascii"), "header is missing|column '.*' is missing|twice"),
    Mutation("one row in UTF-8", lambda f: _one_row(f, "北京上海\n".encode()), "line 2 holds utf-8 text"),
    Mutation("one row not text", lambda f: _one_row(f, b"\xff\xff\n"), "not gb18030 at byte .*line 2"),
    Mutation("a NUL byte", lambda f: _one_row(f, b"0\0\n"), "NUL character in line 2"),
    Mutation("another delimiter", lambda f: f.write(f.text(delimiter=";")), "the delimiter is ';'"),
    Mutation("not compressed", lambda f: f.path.write_bytes(gzip.decompress(f.kept[f.path])), "not gzip, as declared"),
    Mutation("gzip truncated", lambda f: f.path.write_bytes(f.kept[f.path][:-9]), "gzip file is truncated"),
    Mutation("gzip damaged", lambda f: f.path.write_bytes(f.kept[f.path][:-8] + b"\0\0\0\0" + f.kept[f.path][-4:]), "gzip file is damaged"),
    Mutation("cut within the last row", _cut, "truncated in row|in the check file; truncated|not_|missing:|wrong_column"),
    Mutation("rows lost at the end", lambda f: f.write(f.text(rows=f.rows[:-1])), "in the check file; truncated"),
    Mutation("no byte", lambda f: f.path.write_bytes(b""), "the file is empty"),
    Mutation("no row", lambda f: f.write(f.text(rows=[])), "0 rows, .* in the check file"),
    Mutation("no header", lambda f: f.write(f.text()[f.text().index("\n") + 1 :]), "the header is missing"),
    Mutation("a column renamed", lambda f: f.write(f.text(header=[*f.header[:-1], "新列"])), "is missing; '新列' stands in its place"),
    Mutation("a column lost", lambda f: f.write(f.text(f.header[:-1], [row[:-1] for row in f.rows])), "the column '.*' is missing"),
    Mutation("a column more", lambda f: f.write(f.text([*f.header, "新列"], [[*row, "x"] for row in f.rows])), "'新列' is not declared"),
    Mutation("columns in another order", lambda f: f.write(f.text([*f.header[1:], f.header[0]], [[*row[1:], row[0]] for row in f.rows])), "another order"),
    Mutation("a column twice", lambda f: f.write(f.text([*f.header[:-1], f.header[0]])), "stands twice in the header"),
    Mutation("another unit in the header", _unit_header, "is missing; '.*（千）' stands in its place"),
    Mutation("another unit of the values", _on(lambda f: f.amount, _scaled), "its unit has changed|implausible|not_an_amount|not_a_whole"),
    Mutation("decimal comma", _on(lambda f: f.amount, lambda f, c: f.each(c, lambda v: f"{v}，5")), "not_an_amount|not_a_whole_number"),
    Mutation("values one column to the right", lambda f: f.write(f.text(rows=[["", *row[:-1]] for row in f.rows])), "refused"),
    Mutation("a value too many", lambda f: f.write(f.text(rows=[[*row, "x"] if n % 5 == 0 else row for n, row in enumerate(f.rows)])), "wrong_column_count"),
    Mutation("a quote never closed", lambda f: f.write(f.text() + '"' + f.text(header=f.rows[0], rows=[])), "never closed|in the check file"),
    Mutation("another date form", _on(_dated, lambda f, c: f.each(c, lambda v: f"{v[6:8]}/{v[4:6]}/{v[:4]}")), BAD_DATE),
    Mutation("years of two digits", _on(_dated, lambda f, c: f.each(c, lambda v: v[2:])), BAD_DATE),
    Mutation("seconds since 1970", _on(_dated, lambda f, c: f.each(c, lambda _: "1777564800000")), BAD_DATE),
    Mutation("an unknown null mark", _on(_dated, lambda f, c: f.each(c, lambda _: "NULL")), BAD_DATE),
    Mutation("ten years ahead", _future, "of_another_month|in_the_future"),
    Mutation("last month's rows again", _earlier, "of_another_month"),
    Mutation("delivered twice", _twice, "the same content as"),
    Mutation("rows twice", lambda f: f.write(f.text(rows=[*f.rows, *f.rows])), "delivered with more rows"),
    Mutation("not in the check file", lambda f: f.count(lambda t: re.sub(rf"(?m)^{re.escape(f.path.name)}.*\n?", "", t)), "not named in a check file"),
    Mutation("not delivered", lambda f: f.path.unlink(), "named in the check file and not delivered"),
    Mutation("no check file", lambda f: f.check.unlink(), f"/{MONTH}: no check file"),
    Mutation("a city lost", _lost_city, "in the check file; truncated or incomplete"),
    Mutation("one identifier through a spreadsheet", lambda f: f.write(f.text(rows=[*f.rows[:-1], *Spoilt.each(f, f.key, lambda _: "1.23E+17")[-1:]])), "scientific_notation:.* row"),
    Mutation("leading zeros lost", _on(_identifier, lambda f, c: f.each(c, lambda v: v.lstrip("0"))), "not_18_digits|not_11_digits|unknown_customer"),
    Mutation("identifiers blank", _on(lambda f: f.key, lambda f, c: f.each(c, lambda _: "", every=7)), "missing:|refused"),
    Mutation("an unknown word", _on(lambda f: f.column("words"), lambda f, c: f.each(c, lambda _: "未知")), "unknown_word|not_yes_or_no"),
    Mutation("another extract under this name", lambda f: f.write("甲|乙\n1|2\n"), "header is missing|delimiter"),
)  # fmt: skip


def outcome(source: Source, home: Home, file: Spoilt, mutation: Mutation) -> str | None:
    """Spoils a file, lands the delivery, restores the file, and returns what went wrong; None if it does not apply.

    An empty string means: one line named the file and the defect, and the landed feeds are byte for byte the same.
    """
    before = manifest_path(home).read_bytes()
    if mutation.spoil(file) is False:
        return None
    try:
        land(source, file.data, home)
    except InsightError as error:
        told = str(error)
    else:
        return "landed"
    finally:
        file.restore()
    if manifest_path(home).read_bytes() != before:
        return f"published: {told}"
    names_file = file.extract.name in told or f"feed {file.extract.feed}:" in told or f"/{MONTH}: no check file" in told
    is_clear = names_file and "\n" not in told and re.search(mutation.named, told)
    return "" if is_clear else f"not named: {told}"
