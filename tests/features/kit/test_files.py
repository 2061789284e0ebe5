"""Files are either whole or absent."""

import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.kit import files
from features.kit.errors import DataError


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """When writing fails half way the old content stands and no temporary file stays."""
    path = tmp_path / "pointer.json"
    files.write_json(path, {"version": 1})
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert files.read_json(path) == {"version": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["pointer.json"]


def test_json_is_canonical(tmp_path: Path) -> None:
    """Key order does not change the bytes."""
    files.write_json(tmp_path / "a", {"b": 1, "a": 2})
    files.write_json(tmp_path / "b", {"a": 2, "b": 1})
    assert files.sha256_of(tmp_path / "a") == files.sha256_of(tmp_path / "b")


def test_broken_json_is_named(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json: not JSON"):
        files.read_json(tmp_path / "x.json")
    for other in ("[1]", "null", '"text"', "3"):
        (tmp_path / "x.json").write_text(other)
        with pytest.raises(DataError, match=r"x\.json: expected keys and values"):
            files.read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"there": 1}')
    assert files.read_json(tmp_path / "x.json").get("gone") is None
    with pytest.raises(DataError, match=r"x\.json: 'gone' is missing"):
        files.read_json(tmp_path / "x.json")["gone"]


def test_parquet_arrives_whole(tmp_path: Path) -> None:
    """What was written can be read, and the folder is made on the way."""
    table = pa.table({"customer_id": ["a", "b"]})
    files.write_parquet(tmp_path / "deep" / "t.parquet", table)
    assert pq.read_table(tmp_path / "deep" / "t.parquet").equals(table)


def test_a_private_file_is_private(tmp_path: Path) -> None:
    """A mode given is the mode of the file."""
    files.write_bytes(tmp_path / "secret", b"x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
