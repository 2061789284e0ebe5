"""The contracts of the feeds are data: a wrong line of them is one error that names it."""

from pathlib import Path

import pytest

from features.feeds.contracts import load_feeds
from features.kit.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bills: {row: a bill, key: [period], colums: {}}", "unknown key 'bills.colums'"),
        ("bills: {row: a bill, key: [period], columns: {total: mony}}", "'bills.columns.0.kind': Input should be"),
        ("bills: {row: a bill, key: [period], columns: {total: {unit: s}}}", "'bills.columns.0.kind' is missing"),
        ("bills: {row: a bill, columns: {}}", "the key 'bills.key' is missing"),
    ],
)
def test_a_wrong_contract_is_named_by_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    """A misspelt key, an unknown kind and a missing one are refused."""
    path = tmp_path / "contracts.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_feeds(path)
    assert message in str(error.value)
    assert "contracts.yaml" in str(error.value)


def test_a_column_has_what_its_kind_usually_has_unless_it_says_otherwise(tmp_path: Path) -> None:
    """Money is in the minor unit and not negative, an instant is UTC; a limit of its own wins."""
    path = tmp_path / "contracts.yaml"
    path.write_text("bills: {row: r, key: [a], columns: {a: instant, b: money, c: {kind: money, low: null}}}", "utf-8")
    a, b, c = load_feeds(path)["bills"].columns
    assert (a.unit, b.unit, b.low, c.low) == ("UTC", "minor", 0, None)
