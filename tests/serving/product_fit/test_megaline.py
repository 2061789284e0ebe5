"""Megaline: every user-month re-rated under both plans, against a few lines straight from the raw files."""

import csv
import json
from collections import defaultdict
from datetime import date
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.cli import create_app
from features.kit.home import Home
from serving.product_fit.fit import Fitter
from serving.product_fit.rating import bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import read_settings

DATA = Path("../shared/data/megaline")
AFTER_2018 = date(2019, 1, 3)

pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the evaluation data ../shared/data/megaline is not here"),
    pytest.mark.xdist_group("megaline"),
]


def rows(name):
    """Returns a raw file's rows."""
    with (DATA / f"megaline_{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def up(value):
    """Returns a number rounded up to a whole one."""
    return int(value.to_integral_value(ROUND_CEILING))


def by_hand():
    """Returns {(user, month): {plan: cents}} as the tariff says it, without any of our code."""
    use: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for call in rows("calls"):
        use[call["user_id"], call["call_date"][:7]][0] += up(Decimal(call["duration"]))
    for message in rows("messages"):
        use[message["user_id"], message["message_date"][:7]][1] += 1
    for session in rows("internet"):
        use[session["user_id"], session["session_date"][:7]][2] += Decimal(session["mb_used"])
    plans: list[dict[str, Any]] = [
        {name: value if name == "plan_name" else Decimal(value) for name, value in p.items()} for p in rows("plans")
    ]
    return {
        key: {
            p["plan_name"]: 100
            * (
                p["usd_monthly_pay"]
                + max(0, minutes - p["minutes_included"]) * p["usd_per_minute"]
                + max(0, messages - p["messages_included"]) * p["usd_per_message"]
                + max(0, up((mb - p["mb_per_month_included"]) / 1024)) * p["usd_per_gb"]
            )
            for p in plans
        }
        for key, (minutes, messages, mb) in use.items()
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Returns a home with Megaline landed."""
    place = Home(tmp_path_factory.mktemp("megaline"))
    land(load_source(Path("configs/sources/megaline.yaml")), DATA, place)
    return place


def test_every_user_month_under_both_plans(home):
    """All user-months of 2018 cost to the cent what the tariff says, under the own plan and under the other."""
    settings = read_settings()
    settings = settings.model_copy(update={"months": settings.months.model_copy(update={"most": 12})})
    fitter = Fitter(Feeds.open(home), AFTER_2018, settings)
    months = fitter.reader.read(with_ended=True)
    expected = by_hand()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for index, plan in enumerate(fitter.catalogue.plans):
        terms = fitter.catalogue.terms.at(index)
        overage = voice_and_message_fee(terms, months.use) + data_charge(terms, months.use, np.zeros(1, np.int64)).fee
        cents = bill(terms, overage, np.zeros(1, np.int64))
        for i, m in zip(*months.use.known.nonzero(), strict=True):
            found.setdefault((months.ids[i], f"{months.periods[m]:%Y-%m}"), {})[plan.plan_id] = cents[i, m]
    assert found == expected
    assert len(found) > 2000


def test_without_bills_the_rating_is_reported_and_nothing_is_offered(home, tmp_path):
    """`insight fit` counts every customer as `bill_unknown`, offers nothing, and says what each plan would cost."""
    command = [
        "fit",
        "--home",
        str(home.root),
        "--as-of",
        str(AFTER_2018),
        "--out",
        str(tmp_path / "fit.parquet"),
        "--json",
    ]
    done = CliRunner().invoke(create_app(), command)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["reproduced_share"], summary["offers"], summary["total_saving"]) == (None, 0, 0)
    assert "ok" not in summary["by_status"]
    assert summary["by_status"]["bill_unknown"] > 250
    assert set(summary["plans"]) == {"surf", "ultimate"}
