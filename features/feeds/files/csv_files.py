"""CSV files as text with the number of every row.

DuckDB's CSV reader has no row number, so CSV goes through pyarrow's streaming reader on one thread, which also tells
the physical number of every malformed row. The bytes come from `text_stream`, decoded strictly.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from features.feeds.files.text_stream import Utf8Stream, open_bytes, python_encoding
from features.feeds.mapping.layout import File
from features.kit.errors import DataError
from features.kit.values.identifiers import twins

_BLOCK_BYTES = 8 << 20
_HEADER_BYTES = 1 << 16
_DELIMITERS = (",", "|", "\t", ";", "^", "\x01", "\x05")
_ENCODINGS = ("utf-8-sig", "gb18030", "utf-16", "big5", "shift_jis")


def csv_header(path: Path, file: File) -> list[str]:
    """Returns the column names of a CSV file.

    Raises:
        DataError: If the file is empty, is not in its declared encoding, has another header than declared, or names a
            column twice, in whatever case or width.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty", remedy="deliver the file again")
    if file.headerless:
        refuse_twins(path, file.header)
        return list(file.header)
    try:
        with Utf8Stream(path, file) as stream:
            text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="")
            names = next(csv.reader(text, delimiter=file.delimiter), [])
    except DataError as error:
        raise _other_encoding(path, file) or error from None
    except csv.Error as error:
        raise DataError(f"{path}: the header is not CSV ({error})", remedy="deliver the file again") from None
    if not names:
        raise DataError(f"{path}: the file is empty", remedy="deliver the file again")
    if file.header and not set(names) & set(file.header):
        raise _other_encoding(path, file) or _other_header(path, names, file)
    refuse_twins(path, names)
    if file.header and tuple(names) != file.header:
        raise _other_encoding(path, file) or _other_header(path, names, file)
    return names


def refuse_twins(place: Path | str, names: Sequence[str]) -> None:
    """Raises DataError naming two columns that are one to SQL, or that a reader would take for one."""
    found = twins(names)
    if found is None:
        return
    if found[0] == found[1]:
        raise DataError(f"{place}: the column '{found[0]}' stands twice in the header")
    raise DataError(
        f"{place}: the columns '{found[0]}' and '{found[1]}' differ only in case, blanks or width",
        remedy="rename one of them where the file is made",
    )


def _other_encoding(path: Path, file: File) -> DataError | None:
    """Returns the error of a file whose declared header appears in another encoding."""
    with open_bytes(path, file) as raw:
        try:
            first = raw.read(_HEADER_BYTES)
        except (OSError, EOFError):
            return None
    for encoding in _ENCODINGS:
        if codecs.lookup(encoding).name == python_encoding(file):
            continue
        line = first.decode(encoding, "ignore").splitlines()[:1]
        if file.header and line and tuple(next(csv.reader(line, delimiter=file.delimiter), [])) == file.header:
            name = encoding.removesuffix("-sig")
            return DataError(
                f"{path}: the header is {name}, not {file.encoding} as declared",
                remedy=f"declare `encoding: {name}`, or deliver the file again",
            )
    return None


def _other_header(path: Path, names: Sequence[str], file: File) -> DataError:
    wanted = file.header
    missing = [name for name in wanted if name not in names]
    extra = [name for name in names if name not in wanted]
    remedy = "deliver the file again, or declare the new `header`"
    if len(names) == 1 < len(wanted):
        line = names[0]
        for delimiter in _DELIMITERS:
            if len(line.split(delimiter)) == len(wanted):
                return DataError(
                    f"{path}: the delimiter is {delimiter!r}, not {file.delimiter!r} as declared",
                    remedy="declare the `delimiter`, or deliver the file again",
                )
    if len(missing) == len(wanted):
        return DataError(
            f"{path}: the header is missing; the first line holds none of '{wanted[0]}' ... '{wanted[-1]}'",
            remedy=remedy,
        )
    if missing:
        place = wanted.index(missing[0])
        instead = f"; '{names[place]}' stands in its place" if place < len(names) and names[place] in extra else ""
        return DataError(f"{path}: the column '{missing[0]}' is missing{instead}", remedy=remedy)
    if extra:
        return DataError(f"{path}: the column '{extra[0]}' is not declared", remedy=remedy)
    at = next(place for place, (found, name) in enumerate(zip(names, wanted, strict=True)) if found != name)
    return DataError(
        f"{path}: column {at + 1} is '{names[at]}', not '{wanted[at]}': the columns stand in another order",
        remedy=remedy,
    )


def csv_tables(path: Path, header: list[str], file: File, bad: list[Any]) -> Iterator[Any]:
    """Yields the file in pyarrow tables of text with `_row`; malformed rows go to `bad` and keep their number.

    Raises:
        DataError: If the file is truncated, has a quote that is never closed, or is not in its declared encoding.
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    above = 0 if file.headerless else 1

    def note(row: Any) -> str:
        bad.append(row)
        return "skip"

    with Utf8Stream(path, file) as stream:
        try:
            reader = pc.open_csv(
                pa.PythonFile(io.BufferedReader(stream, _BLOCK_BYTES), mode="r"),
                read_options=pc.ReadOptions(
                    use_threads=False, block_size=_BLOCK_BYTES, column_names=header, skip_rows=above
                ),
                parse_options=pc.ParseOptions(
                    delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()),
                    strings_can_be_null=True,
                    null_values=list(file.null_values),
                ),
            )
            row = 0
            seen = 0
            for batch in reader:
                numbers: list[int] = []
                while len(numbers) < batch.num_rows:
                    row += 1
                    if seen < len(bad) and bad[seen].number - above == row:
                        seen += 1
                    else:
                        numbers.append(row)
                yield pa.Table.from_batches([batch]).append_column("_row", pa.array(numbers, pa.int64()))
        except (pa.ArrowInvalid, OSError) as error:
            first_line = str(error).splitlines()[0]
            raise DataError(
                f"{path}: not readable as CSV, truncated or with a quote that is never closed ({first_line})",
                remedy="deliver the file again",
            ) from None
        is_whole = stream.ends_with_line_end
    if bad and bad[-1].text.count('"') % 2:
        raise DataError(
            f"{path}: the quote opened in row {bad[-1].number - above} is never closed, or the file is truncated"
        )
    if bad and bad[-1].actual_columns < bad[-1].expected_columns and not is_whole and bad[-1].number > row + above:
        raise DataError(
            f"{path}: truncated in row {bad[-1].number - above} ({bad[-1].actual_columns} of "
            f"{bad[-1].expected_columns} columns, no end of line)",
            remedy="deliver the file again",
        )
