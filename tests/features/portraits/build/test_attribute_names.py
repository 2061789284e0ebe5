"""Whatever an operator's own column is called: its portrait is built, or its name is refused before anything lands."""

from __future__ import annotations

import pytest

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.costs import taken_names
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import is_free_name, load_source
from features.feeds.proposal.propose import propose
from features.kit.errors import ConfigurationError
from features.kit.files import write_bytes
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.portraits.facts.details import DETAILS
from features.portraits.reading import Portraits

DETAIL_COLUMNS = {name for detail in DETAILS for name in detail.columns}
CONTRACT_COLUMNS = {column.name for feed in FEEDS.values() for column in feed.columns}
CONTRACT_COLUMNS |= {column.name for link in LINKS.values() for column in link.columns}
SQL_WORDS = {"all", "case", "end", "from", "group", "having", "left", "limit", "order", "select", "table", "where"}
PYTHON_WORDS = {
    "self",
    "by",
    "metrics",
    "filter",
    "count",
    "schema",
    "columns",
    "rank",
    "place",
    "value",
    "first_known",
}
NAMES = sorted(DETAIL_COLUMNS | CONTRACT_COLUMNS | SQL_WORDS | PYTHON_WORDS | taken_names())
FREE = [name for name in NAMES if name not in taken_names() and is_free_name(name)]


def mapping_of(folder, names):
    """Writes a mapping whose attributes, and one column each of its only file, have these names."""
    places = range(len(names))
    (folder / "data").mkdir()
    header = ",".join(["id", *(f"c{place}" for place in places)])
    rows = [",".join([str(row), *(f"{row}{place}" for place in places)]) for row in (1, 2)]
    write_bytes(folder / "data" / "rows.csv", "\n".join([header, *rows, ""]).encode())
    columns = ", ".join(f'c{place} AS "{name}"' for place, name in zip(places, names, strict=True))
    kinds = ("number", "category")
    declared = "\n".join(
        f'  - {{name: "{name}", kind: {kinds[place % 2]}, description: Its own.}}'
        for place, name in zip(places, names, strict=True)
    )
    text = f"""
operator: {{name: named}}
snapshot_at: 2026-06-01T00:00:00
files: {{rows: {{path: rows.csv}}}}
feeds:
  customers: {{select: SELECT id AS customer_id FROM rows}}
  attributes: {{select: 'SELECT id AS customer_id, {columns} FROM rows'}}
attributes:
{declared}
"""
    write_bytes(folder / "named.yaml", text.encode())
    return folder / "named.yaml"


def test_every_free_name_is_built(tmp_path):
    """A column named like a detail, a contract's column or a word of SQL becomes a feature with its own values."""
    assert {"roaming_calls", "city", "arrears", "mean_bill", "order", "self", "rank", "first_known"} < set(FREE)
    home = Home(tmp_path / "home")
    land(load_source(mapping_of(tmp_path, FREE)), tmp_path / "data", home)
    feeds = Feeds.open(home)
    build_portraits(home, feeds, [feeds.latest_as_of()])
    portraits = Portraits.open(home)
    rows = portraits.read(feeds.latest_as_of(), FREE).to_pylist()
    assert rows == [
        {name: f"{row}{place}" if place % 2 else float(f"{row}{place}") for place, name in enumerate(FREE)}
        for row in (1, 2)
    ]


@pytest.mark.parametrize("name", ["tenure_days", "primary_class", "facts", "days_ago", "event_timestamp", "spine_row"])
def test_a_name_of_the_portrait_itself_is_refused_before_landing(tmp_path, name):
    """The line names the file, the key and another name."""
    with pytest.raises(ConfigurationError) as refusal:
        load_source(mapping_of(tmp_path, ["gender", name]))
    assert str(refusal.value) == (
        f"{tmp_path}/named.yaml: attributes.1.name: the portrait has a feature or column '{name}' of its own "
        f"(give it another name, as 'own_{name}', there and in feeds.attributes.select)"
    )


def test_map_proposes_no_name_that_is_refused(tmp_path):
    """Columns called like a feature, a word of Python or a column of every feed get another name."""
    header = "user_id,tenure_days,facts,class,event_at,monthly_score"
    rows = [f"{8800000000 + n},{n % 7},{n % 5},{n % 3},{n % 11},{n % 13}" for n in range(60)]
    write_bytes(tmp_path / "rows.csv", "\n".join([header, *rows, ""]).encode())
    names = {plan.header: plan.name for plan in propose(tmp_path).attributes}
    assert names["tenure_days"] == "tenure_days_2"
    assert names["monthly_score"] == "monthly_score"
    assert [name for name in names.values() if name in taken_names() or not is_free_name(name)] == []
