"""Files that are either whole or absent: write beside, fsync, rename, then check what was written."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from features.kit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_AGAIN = "restore it from a backup, or run the command again that writes it"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path; on a clean exit it is fsynced and renamed to `path`, otherwise removed.

    The temporary name ends like `path`, begins with a dot and lies in the same folder, so the rename is atomic
    and no reader's `*.parquet` pattern that skips dot files sees it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes a file whole or not at all; `mode` holds from the first byte."""
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Writes canonical, readable JSON (sorted keys, two spaces) whole or not at all."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    write_bytes(path, orjson.dumps(content, option=options, default=str))


class MissingKeyError(DataError, KeyError):
    """A key that a JSON file lacks; who knows a better remedy than `_AGAIN` catches it as the KeyError of any dict."""


class Content(dict[str, Any]):
    """What a JSON file holds; a key that it lacks is a DataError that names the file, not a bug."""

    path: Path

    def __missing__(self, key: str) -> Any:
        """Raises MissingKeyError naming the file and the key."""
        raise MissingKeyError(f"{self.path}: '{key}' is missing", remedy=_AGAIN)


def read_json(path: Path) -> Content:
    """Returns the object in a JSON file. Raises DataError naming the file if it holds anything else."""
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error})", remedy=_AGAIN) from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected keys and values, found {type(found).__name__}", remedy=_AGAIN)
    content = Content(found)
    content.path = path
    return content


def check_parquet(path: Path, *, remedy: str) -> Path:
    """Returns the path of a Parquet file whose footer can be read. Raises DataError naming the file otherwise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        raise DataError(f"{path}: not a whole Parquet file", remedy=remedy) from None
    return path


def read_parquet(path: Path, columns: Sequence[str] | None = None, *, remedy: str) -> pa.Table:
    """Returns a Parquet file's named columns, or all. Raises DataError naming the file if it is not whole."""
    import pyarrow.parquet as pq

    names = None if columns is None else list(columns)
    return pq.read_table(check_parquet(path, remedy=remedy), columns=names, partitioning=None)


def write_parquet(path: Path, table: Any, **options: Any) -> None:
    """Writes a pyarrow table to Parquet whole or not at all, then checks the row count in the footer."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", **options)
        written = pq.read_metadata(temporary).num_rows
        if written != table.num_rows:
            raise DataError(f"{path}: wrote {written} of {table.num_rows} rows")


def sha256_of(path: Path) -> str:
    """Returns the hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
