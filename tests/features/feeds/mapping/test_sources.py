"""The mappings that are shipped, and the words a mapping may use."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from features.feeds.contracts import FEEDS
from features.feeds.mapping.sources import COMMON_COLUMNS, Source, load_source
from features.kit.errors import ConfigurationError

SHIPPED = sorted(Path("configs/sources").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_every_shipped_mapping_is_valid(path):
    """Each file parses, names its operator, and declares attributes with distinct names."""
    source = load_source(path)
    names = [attribute.name for attribute in source.attributes]
    assert len(names) == len(set(names))
    assert source.operator.name


def test_no_contract_uses_a_common_columns_name():
    """A feed's own columns never collide with the ones every feed has."""
    assert [
        f"{feed.name}.{column.name}"
        for feed in FEEDS.values()
        for column in feed.columns
        if column.name in COMMON_COLUMNS
    ] == []


@pytest.mark.parametrize("name", ["Arpu", "2g_stay", "重定向次数", "class", "event_at"])
def test_an_attribute_has_an_english_name(operator, name):
    """A feature is named after it, so it is a snake_case identifier."""
    operator.top = {"attributes": [{"name": name, "kind": "number", "description": "x"}]}
    operator.map("attributes", f'SELECT customer_id, 1 AS "{name}", event_at FROM customers', known_after="PT0S")
    with pytest.raises(ConfigurationError, match=name):
        operator.source()


def test_a_source_without_customers_is_refused(operator):
    """The one feed that nothing can do without."""
    operator.map("bills", "SELECT * FROM bills", known_after="P5D")
    del operator.feeds["customers"]
    with pytest.raises(ConfigurationError, match="'customers' is missing"):
        operator.source()


def test_a_feed_that_this_system_adds_to_is_not_replaced(operator):
    """A re-delivered period of contacts would remove our own contacts with it."""
    operator.map("contacts", "SELECT * FROM contacts", known_after="PT1H", replace="period")
    with pytest.raises(ConfigurationError, match=r"feeds\.contacts: 'replace: period' would remove"):
        operator.source()


def test_a_home_belongs_to_one_operator(operator):
    """A second operator, calendar or currency in the same home is refused."""
    operator.land()
    operator.top = {"operator": {"name": "small", "time_zone": "Asia/Tokyo"}}
    with pytest.raises(ConfigurationError, match=r"operator\.time_zone 'Asia/Shanghai', the mapping says 'Asia/Tokyo'"):
        operator.land()


def test_files_that_are_marked_optional_may_be_absent(operator):
    """Their feeds are then not landed, and the report says so."""
    operator.map("surveys", "SELECT * FROM surveys", file={"optional": True}, known_after="PT1H")
    report = operator.land()
    assert "surveys" in report.missing
    assert not operator.open().has("surveys")


def test_the_guides_table_names_every_feed_and_column_of_the_contracts():
    """The mapping guide and the contracts say the same."""
    guide = Path("configs/sources/README.md").read_text(encoding="utf-8")
    lines = [
        f"| {feed.name} | {feed.row} | {', '.join(feed.key)} | "
        + (", ".join(c.name + ("*" if c.required else "") for c in feed.columns) or "as declared")
        + " |"
        for feed in FEEDS.values()
    ]
    assert "| surveys |" in "".join(lines)
    assert [line for line in lines if line not in guide] == []


def test_the_guides_examples_are_valid_mappings():
    """What a newcomer copies parses, and each example declares what the text above it speaks of."""
    guide = Path("configs/sources/README.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block.split("```")[0]) for block in guide.split("```yaml\n")[1:]]
    whole, wide, tables, deliveries, attributes = blocks
    assert {"customers", "bills"} <= set(Source.model_validate(whole).feeds)
    side_by_side = {"files": whole["files"] | {"wide": {"path": "wide.csv"}}, "feeds": whole["feeds"] | wide["feeds"]}
    assert "amount_2" in Source.model_validate(whole | side_by_side).feeds["bills"].select
    every_feed = yaml.safe_load(Path("configs/sources/simulator.yaml").read_text(encoding="utf-8"))
    assert Source.model_validate(every_feed | deliveries).deliveries.min_city_share == 0.2
    read_from = {"files": {n: f for n, f in whole["files"].items() if n not in tables["tables"]}}
    assert set(Source.model_validate(whole | tables | read_from).tables) == {"users", "bills", "usage"}
    feeds = whole["feeds"] | {"attributes": attributes["feeds"]["attributes"] | {"known_after": "PT0S"}}
    own = Source.model_validate(whole | {"attributes": attributes["attributes"], "feeds": feeds})
    assert [attribute.name for attribute in own.attributes] == ["poor_voice_count"]
