"""CSV files as text with the number of every row.

DuckDB's CSV reader has no row number, so CSV goes through pyarrow's streaming reader on one thread, which also tells
the physical number of every malformed row.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.feeds.sources import File
from features.kit.errors import DataError

_BLOCK_BYTES = 8 << 20


def csv_header(path: Path, file: File) -> list[str]:
    """Returns the column names of a CSV file.

    Raises:
        DataError: If the file is empty, is not in its declared encoding, or names a column twice.
    """
    encoding = "utf-8-sig" if file.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else file.encoding
    try:
        with _open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
            names = next(csv.reader(text, delimiter=file.delimiter), [])
    except UnicodeError as error:
        raise _encoding_error(path, file, error) from None
    names = [name.lstrip("\ufeff") for name in names]
    if not names:
        raise DataError(f"{path}: the file is empty", remedy="deliver the file again")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: the column '{twice}' stands twice in the header")
    return names


def _open_bytes(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def csv_tables(path: Path, header: list[str], file: File, bad: list[Any]) -> Iterator[Any]:
    """Yields the file in pyarrow tables of text with `_row`; malformed rows go to `bad` and keep their number.

    Raises:
        DataError: If the file is truncated, has a quote that is never closed, or is not in its declared encoding.
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    def note(row: Any) -> str:
        bad.append(row)
        return "skip"

    encoding = "utf8" if file.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig") else file.encoding
    try:
        reader = pc.open_csv(
            path,
            read_options=pc.ReadOptions(
                use_threads=False, encoding=encoding, block_size=_BLOCK_BYTES, column_names=header, skip_rows=1
            ),
            parse_options=pc.ParseOptions(delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=note),
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
                if seen < len(bad) and bad[seen].number - 1 == row:
                    seen += 1
                else:
                    numbers.append(row)
            yield pa.Table.from_batches([batch]).append_column("_row", pa.array(numbers, pa.int64()))
    except UnicodeError as error:
        raise _encoding_error(path, file, error) from None
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        if "UTF8" in str(error):
            raise _encoding_error(path, file, error) from None
        first_line = str(error).splitlines()[0]
        raise DataError(
            f"{path}: not readable as CSV, truncated or with a quote that is never closed ({first_line})",
            remedy="deliver the file again",
        ) from None
    if bad and bad[-1].text.count('"') % 2:
        raise DataError(
            f"{path}: the quote opened in row {bad[-1].number - 1} is never closed, or the file is truncated"
        )
    if bad and bad[-1].actual_columns < bad[-1].expected_columns and _ends_mid_line(path, bad[-1].text):
        raise DataError(
            f"{path}: truncated in row {bad[-1].number - 1} ({bad[-1].actual_columns} of "
            f"{bad[-1].expected_columns} columns, no end of line)",
            remedy="deliver the file again",
        )


def _ends_mid_line(path: Path, last: str) -> bool:
    if path.suffix == ".gz":
        return False
    with path.open("rb") as raw:
        raw.seek(max(0, path.stat().st_size - 4096))
        tail = raw.read()
    return not tail.endswith((b"\n", b"\r")) and tail.endswith(last.encode("utf-8", "replace")[-64:])


def _encoding_error(path: Path, file: File, error: Exception) -> DataError:
    place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
    if not place:
        decoded = 0
        with _open_bytes(path) as raw:
            try:
                for line in raw:
                    line.decode(file.encoding)
                    decoded += len(line)
            except UnicodeDecodeError as found:
                place = f" at byte {decoded + found.start}"
    return DataError(
        f"{path}: not {file.encoding}{place}", remedy="name the file's `encoding` in the mapping, such as gb18030"
    )
