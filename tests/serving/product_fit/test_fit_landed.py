"""Product fit from an operator's files to the terminal: no end of time, a credit note, and an offer by its name."""

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.cli import create_app
from features.kit.home import Home

GB = 1024 * 1024
SOURCE = """
operator: {name: small, time_zone: Asia/Shanghai, currency: {code: CNY, scale: 3}}
delivered_until: 2026-06-20
files:
  customers: {path: customers.csv}
  subscriptions: {path: subscriptions.csv}
  usage_monthly: {path: usage_monthly.csv}
  bills: {path: bills.csv}
  plans: {path: plans.csv}
feeds:
  customers: {select: SELECT * FROM customers, known_after: PT0S}
  subscriptions: {select: SELECT * FROM subscriptions, known_after: PT0S}
  usage_monthly: {select: SELECT * FROM usage_monthly, known_after: P2D}
  bills: {select: SELECT * FROM bills, known_after: P5D}
  plans: {select: SELECT * FROM plans, known_after: PT0S}
"""
MONTHS = [date(2026, month, 1) for month in range(1, 6)]
FILES = {
    "customers": "customer_id,event_at,activated_on,kind,status\n"
    + "".join(f"{one},2020-05-01,2020-05-01,consumer,active\n" for one in ("open", "credit", "plain")),
    "subscriptions": "customer_id,ordered_at,plan_id,effective_on,discount_end,discount_amount\n"
    "open,2020-04-20,W120,2020-05-01,infinity,30\ncredit,2020-04-20,W120,2020-05-01,,\n"
    "plain,2020-04-20,W120,2020-05-01,,\n",
    "usage_monthly": "customer_id,period,billed_minutes,data_kb,sms_count\n"
    + "".join(f"{one},{month},70,{14 * GB},3\n" for one in ("open", "credit", "plain") for month in MONTHS),
    "bills": "customer_id,period,total\n"
    + "".join(
        f"{one},{month},{-15 if one == 'credit' and month.month == 4 else 90 if one == 'open' else 120}\n"
        for one in ("open", "credit", "plain")
        for month in MONTHS
    ),
    "plans": "plan_id,name_zh,name_en,generation,monthly_fee,voice_minutes,voice_overage_price,sms_count,"
    "sms_overage_price,data_kb,data_overage_price,data_block_kb,effective,valid_from,valid_until\n"
    f"W120,畅行120,Roam 120,4G,120,300,.2,50,.1,{40 * GB},5,{GB},next_month,2020-01-01,infinity\n"
    f"W70,畅行70,Roam 70,4G,70,100,.2,50,.1,{15 * GB},5,{GB},next_month,2020-01-01,infinity\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Returns a home with three customers of 14 GB a month."""
    root = tmp_path_factory.mktemp("landed")
    for name, text in FILES.items():
        (root / f"{name}.csv").write_text(text, encoding="utf-8")
    (root / "source.yaml").write_text(SOURCE, encoding="utf-8")
    place = Home(root / "home")
    land(load_source(root / "source.yaml"), root, place)
    return place


def run(home, *arguments):
    """Runs `insight fit` on 20 June and returns what it printed."""
    command = ["fit", "--home", str(home.root), "--as-of", "2026-06-20", *arguments]
    done = CliRunner().invoke(create_app(), command, env={"COLUMNS": "220"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_date_without_end_ends_nothing(home):
    """`infinity` as the end of a discount and of two plans: the run ends well, and the discount of 30 yuan goes on."""
    summary = json.loads(run(home, "--json"))
    assert summary["by_status"] == {"bill_not_reproduced": 1, "ok": 2}
    assert (summary["offers"], summary["total_saving"]) == (2, 70_000)
    one = json.loads(run(home, "--customer", "open", "--json"))
    assert (one["reproduced"], one["current_cost"], one["saving"]) == (True, 90_000, 20_000)


def test_a_credit_note_stays_among_the_last_bills(home):
    """April's bill is -15 yuan: it is one of five months, nothing drops out, and nothing is offered."""
    one = json.loads(run(home, "--customer", "credit", "--json"))
    assert (one["status"], one["months"], one["left_out"]) == ("bill_not_reproduced", 5, [])


def test_the_terminal_names_the_offer(home):
    """Plan, fee, worst month and what is lost stand in the table."""
    text = run(home, "--customer", "plain")
    assert "W120 畅行120, fee 120.00, 120.00 CNY a month over 5 months, worst month 120.00" in text
    row = next(line for line in text.splitlines() if "W70 畅行70" in line)
    for shown in ("70.00", "50.00", "data from 40 GB to 15 GB, calls from 300 min to 100 min", "2026-07-01"):
        assert shown in row
