"""The synthetic field beside the figures of trade knowledge: class shares, rates, mix and shape, with honest tolerances."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.config import config_path
from features.kit.files import read_json
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.build.build import build_portraits
from features.portraits.settings import load_settings
from features.simulator.step import simulate_to

AS_OF = date(2026, 6, 1)
SHARES = {
    "complaint_sensitive": 2.5, "repeat_caller": 3.5, "arrears_prone": 6, "frequent_traveller": 1,
    "occasional_traveller": 2, "contract_ending": 7, "data_hungry": 13, "high_value": 7, "over_provisioned": 13,
    "bundled": 14, "assisted": 11, "self_served": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """3,072 customers over nine months, landed."""
    home = Home.at(tmp_path_factory.mktemp("field"))
    simulate_to(home.simulation, customers=3072, months=9, seed=7)
    land(load_source(config_path("sources/simulator.yaml")), home.simulation / "files", home, SILENT, threads=1)
    return home


@pytest.fixture(scope="module")
def sql(home):
    """Runs a query over the raw CSV files and returns its first row."""
    connection = duckdb.connect()
    for path in (home.simulation / "files").glob("*.csv"):
        connection.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_csv('{path}', sample_size = -1)")
    months = connection.execute("SELECT count(*) FROM usage_monthly").fetchone()[0]
    return lambda query: connection.execute(query.replace("MONTHS", str(months))).fetchone()


def test_nothing_that_the_operator_delivers_is_refused(home):
    """Every row lands: no quarantine, every feed there but the optional attributes."""
    feeds = Feeds.open(home)
    assert feeds.latest_as_of() == AS_OF
    assert len(feeds.names) == 23
    assert not list(home.quarantine.rglob("*.parquet"))


def test_each_class_has_about_its_share(home):
    """By the portraits' own rules, each of the 12 classes is within 40 % of its share (small ones: of its sample)."""
    report = build_portraits(home, Feeds.open(home), [AS_OF], threads=1, settings=load_settings())
    found = read_json(home.portraits / report.identity / f"as_of={AS_OF}" / "class_report.json")
    share = {row["class"]: row["share"] * 100 for row in found["classes"]}
    assert set(share) >= set(SHARES)
    for name, goal in SHARES.items():
        sample = 3 * (goal * 100 / found["rows"]) ** 0.5
        assert share[name] == pytest.approx(goal, abs=max(0.4 * goal, 0.2 * goal + sample)), name
        assert share[name] >= 0.5


RATES = {
    "complaints a month": ("SELECT count(DISTINCT ticket_id) / MONTHS FROM tickets WHERE kind = 'complaint'", 0.006, 0.011),
    "network's share of complaints": (
        "SELECT avg((topic = 'network')::INT) FROM tickets WHERE kind = 'complaint' AND status = 'open'", 0.27, 0.45,
    ),
    "manual calls a month": ("SELECT count(DISTINCT call_id) / MONTHS FROM hotline_calls", 0.08, 0.14),
    "calls per caller": (
        "SELECT count(*) / count(DISTINCT (customer_id, date_trunc('month', event_at))) FROM hotline_calls", 1.8, 2.8,
    ),
    "self-service share": (
        ("SELECT s / (s + m) FROM (SELECT (SELECT count(*) FROM channel_contacts WHERE channel <> 'hall') s, "
        "(SELECT count(*) FROM hotline_calls) m)"), 0.78, 0.9,
    ),
    "departures recorded a month": ("SELECT count(*) / MONTHS FROM terminations", 0.009, 0.02),
    "median bill": ("SELECT median(total) FROM bills", 60, 80),
    "90th percentile of bills": ("SELECT quantile_cont(total, 0.9) FROM bills", 130, 180),
    "bills with over-use": ("SELECT avg((overage_fee > 0)::INT) FROM bills", 0.07, 0.13),
    "bills overdue": (
        "SELECT count(*) FILTER (arrears > 0) / count(DISTINCT (customer_id, period)) FROM bills", 0.03, 0.07,
    ),
    "unlimited plans": ("SELECT avg((plan_id IN ('L98', 'F129'))::INT) FROM bills", 0.10, 0.18),
    "bills in discount": ("SELECT avg((discount > 0)::INT) FROM bills", 0.15, 0.5),
    "ported in": ("SELECT count(ported_in_on) / count(*) FROM numbers WHERE valid_from >= '2025-10-01'", 0.01, 0.11),
    "upgrades a month": (
        ("SELECT count(*) / MONTHS FROM (SELECT s.*, p.monthly_fee, lag(p.monthly_fee) OVER w fee FROM subscriptions s "
        "JOIN plans p USING (plan_id) WINDOW w AS (PARTITION BY customer_id ORDER BY ordered_at)) WHERE monthly_fee > fee AND ordered_at < '2026-05-01'"),
        0.010, 0.020,
    ),
    "upgrades effective on a 1st": (
        "SELECT avg((day(effective_on) = 1)::INT) FROM subscriptions WHERE ordered_at > '2025-10-01'", 0.7, 0.95,
    ),
    "campaign members a month": (
        "SELECT count(*) / 18.0 / (SELECT count(DISTINCT customer_id) FROM usage_monthly) FROM contacts", 0.10, 0.16,
    ),
    "treated": ("SELECT avg((arm = 'treated')::INT) FROM contacts", 0.47, 0.53),
    "low answers": ("SELECT avg((score <= 6)::INT) FROM surveys", 0.12, 0.30),
    "trips a month": ("SELECT count(DISTINCT (customer_id, month(event_at))) / MONTHS FROM roaming_sessions", 0.006, 0.02),
    "homes with broadband": (
        ("SELECT (SELECT count(DISTINCT customer_id) FROM fixed_services WHERE service = 'broadband') / "
        "(SELECT count(DISTINCT person_id) FROM persons)"), 0.38, 0.52,
    ),
    "homes with a second line": (
        "SELECT avg((n > 1)::INT) FROM (SELECT count(*) n FROM persons GROUP BY person_id)", 0.18, 0.32,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RATES)
def test_rates_are_those_of_the_trade(sql, name):
    """Each figure of the field lies around the one reported, measured or assumed."""
    query, low, high = RATES[name]
    assert low <= sql(query)[0] <= high


def test_the_ways_of_leaving_are_mixed_as_known(sql):
    """Voluntary cancel about 35, port-out 15, arrears 35, silent 15 % of departures by last day of use."""
    cancel, port, arrears, silent = sql(
        "SELECT avg((reason = 'cancel')::INT), avg((reason = 'port_out')::INT), avg((reason = 'arrears')::INT), "
        "avg((reason = 'other')::INT) FROM terminations WHERE last_used_on < DATE '2026-03-01'"
    )
    assert cancel == pytest.approx(0.35, abs=0.09)
    assert port == pytest.approx(0.15, abs=0.07)
    assert arrears == pytest.approx(0.35, abs=0.09)
    assert silent == pytest.approx(0.15, abs=0.07)


def test_departures_are_recorded_late(sql):
    """An arrears or silent closure is recorded 60 to 90 days after the last use, a cancellation within days."""
    slow, fast = sql(
        "SELECT min(event_at::DATE - last_used_on) FILTER (reason IN ('arrears', 'other')), "
        "max(event_at::DATE - last_used_on) FILTER (reason IN ('cancel', 'port_out')) FROM terminations"
    )
    assert slow >= 60
    assert fast <= 5


def test_weekends_and_bill_days_show(home, sql):
    """Data at weekends is 1.6 to 2 times that of weekdays; calls peak in the first days of the month."""
    files = home.simulation / "files" / "usage_daily" / "*.parquet"
    ratio = duckdb.execute(
        f"SELECT avg(data_kb) FILTER (isodow(day) > 5) / avg(data_kb) FILTER (isodow(day) < 6) FROM '{files}'"
    ).fetchone()[0]
    assert 1.6 <= ratio <= 2.0
    assert sql("SELECT (count(*) FILTER (day(event_at) <= 6) / 6) / (count(*) / 30.4) FROM hotline_calls")[0] > 1.1


def test_late_rows_and_corrections_arrive(home, sql):
    """A few daily rows come days late, and a few bills change their total after they were issued."""
    files = home.simulation / "files" / "usage_daily" / "*.parquet"
    late = duckdb.execute(f"SELECT avg((known_at > day + INTERVAL 2 DAY)::INT) FROM '{files}'").fetchone()[0]
    assert 0.002 <= late <= 0.008
    corrected = sql(
        "SELECT avg((n > 1)::INT) FROM (SELECT count(DISTINCT total) n FROM bills GROUP BY customer_id, period)"
    )[0]
    assert 0.005 <= corrected <= 0.03
