"""The shipped mappings on the real sets they were written for."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.home import Home

DATA = Path("../shared/data")


def landed(name: str, folder: str, home: Path) -> Feeds:
    """Lands a shipped mapping, or skips where its data is absent."""
    if not (DATA / folder).is_dir():
        pytest.skip(f"{DATA / folder} is not here")
    land(load_source(Path(f"configs/sources/{name}.yaml")), DATA / folder, Home(home))
    return Feeds.open(Home(home))


def test_megaline_is_billed_by_its_own_rules(tmp_path):
    """Every user-month: whole minutes per call, exact volume, messages, counted independently in a few lines."""
    feeds = landed("megaline", "megaline", tmp_path)
    expected: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0), 0])
    folder = DATA / "megaline"
    with (folder / "megaline_calls.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            expected[row["user_id"], row["call_date"][:7]][0] += math.ceil(Decimal(row["duration"]))
    with (folder / "megaline_internet.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            expected[row["user_id"], row["session_date"][:7]][1] += Decimal(row["mb_used"])
    with (folder / "megaline_messages.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            expected[row["user_id"], row["message_date"][:7]][2] += 1
    connection = feeds.connect()
    select = "SELECT customer_id, strftime(period, '%Y-%m'), billed_minutes, data_kb, sms_count FROM usage_monthly"
    monthly = {(row[0], row[1]): row[2:] for row in connection.execute(select).fetchall()}
    assert monthly == {key: (m, math.ceil(mb * 1024), sms) for key, (m, mb, sms) in expected.items()}
    select = "SELECT plan_id, monthly_fee, voice_overage_price, data_overage_price, data_kb FROM plans ORDER BY 1"
    assert connection.execute(select).fetchall() == [
        ("surf", 2000, 3, 1000, 15 * 1024 * 1024),
        ("ultimate", 7000, 1, 700, 30 * 1024 * 1024),
    ]
    assert connection.execute("SELECT count(*) FROM terminations").fetchall() == [(34,)]
    assert feeds.latest_as_of() == date(2019, 1, 1)
    assert not feeds.has("bills")


@pytest.mark.parametrize(
    ("name", "folder", "label", "labels", "customers"),
    [
        ("ibm_telco", "ibm_telco", "terminations", 1869, 7043),
        ("mathorcup_net", "mathorcup2022", "surveys", 7020, 7020),
        ("mathorcup_voice", "mathorcup2022", "surveys", 5432, 5432),
    ],
)
def test_a_snapshot_knows_its_columns_before_and_its_label_after_the_as_of_date(
    tmp_path, name, folder, label, labels, customers
):
    """On the one as-of date every attribute is known and no label is; no attribute is a survey answer."""
    feeds = landed(name, folder, tmp_path)
    as_of = feeds.latest_as_of()
    assert as_of == date.fromordinal(feeds.operator.snapshot_on.toordinal() + 1)
    connection = feeds.connect()
    known = f"SELECT count(*), count(DISTINCT customer_id) FROM ({feeds.as_known_sql('attributes', as_of)})"
    assert connection.execute(known).fetchall() == [(customers, customers)]
    assert connection.execute(f"SELECT count(*) FROM ({feeds.as_known_sql(label, as_of)})").fetchall() == [(0,)]
    assert connection.execute(f"SELECT count(*) FROM {label}").fetchall() == [(labels,)]
    asked = ("满意度", "网络覆盖与信号强度", "稳定性", "清晰度", "手机上网速度", "Churn")
    assert not [a.name for a in feeds.operator.attributes if any(word in a.description for word in asked)]
    filled = ", ".join(f"count({attribute.name})" for attribute in feeds.operator.attributes)
    assert min(connection.execute(f"SELECT {filled} FROM attributes").fetchone()) > 0


def test_the_base_rates_of_the_surveys_are_those_that_the_data_page_states(tmp_path):
    """A score of 6 or less: 13.45 % of the voice survey, 25.00 % of the net survey."""
    for name, share in (("mathorcup_voice", 0.1345), ("mathorcup_net", 0.2500)):
        feeds = landed(name, "mathorcup2022", tmp_path / name)
        row = feeds.connect().execute("SELECT avg(CAST(score <= 6 AS INTEGER)) FROM surveys").fetchone()
        assert row[0] == pytest.approx(share, abs=0.0005)
