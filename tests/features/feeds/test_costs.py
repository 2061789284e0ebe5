"""What a missing feed costs, as `insight check` tells it."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from features.feeds.contracts import FEEDS
from features.feeds.costs import COSTS_GROUP, KINDS, Item, board, costs_of, totals
from features.kit.cli import create_app

EVERY = frozenset(FEEDS)


@pytest.fixture(scope="module")
def items():
    """Every item of every floor."""
    return board()


def lost(items, *missing: str) -> dict[str, dict[str, list[str]]]:
    """Returns missing feed -> kind -> names, for a source that lacks only these feeds."""
    costs = costs_of(EVERY - set(missing), items)
    return {feed: {kind: [one["name"] for one in found] for kind, found in costs[feed].items()} for feed in missing}


def test_with_every_feed_everything_stands(items):
    """All features, twelve classes, every reason and action; nothing is charged to anybody."""
    assert all(one["stand"] == one["of"] > 0 for one in totals(EVERY, items).values())
    assert totals(EVERY, items)["class"]["of"] == 12
    assert costs_of(EVERY, items) == {}
    assert {*KINDS, "column"} == {kind for kind, _ in items}


@pytest.mark.parametrize(
    ("feed", "kind", "names"),
    [
        ("hotline_calls", "dimension", ["calling_habits"]),
        ("tickets", "class", ["complaint_sensitive"]),
        ("subscriptions", "class", ["contract_ending", "over_provisioned", "bundled"]),
        ("surveys", "target", ["dissatisfaction"]),
        ("tickets", "target", ["complaint"]),
        ("terminations", "target", ["churn (cancel)", "churn (port_out)", "churn (arrears_closure)"]),
        ("usage_daily", "target", ["churn (silent)"]),
        ("fixed_services", "reason", ["broadband.fault", "tv.idle_before_festival"]),
        ("network_faults", "action", ["outage_notice"]),
        ("consents", "action", ["plan_fit_offer", "data_pack_offer", "contract_renewal", "roaming_care", "upgrade_invite"]),
    ],
)  # fmt: skip
def test_one_missing_feed_costs_what_only_it_gives(items, feed, kind, names):
    """Nothing more and nothing less than what cannot stand without it."""
    assert lost(items, feed)[feed].get(kind, []) == names


def test_what_two_feeds_give_is_charged_to_both_only_if_both_are_missing(items):
    """Assisted contacts are calls or visits: without calls alone the class still stands."""
    assert "assisted" not in lost(items, "hotline_calls")["hotline_calls"].get("class", [])
    both = lost(items, "hotline_calls", "channel_contacts")
    assert all("assisted" in both[feed]["class"] for feed in both)


def test_what_needs_more_than_one_missing_feed_names_the_others(items):
    """The target upgrade needs plans and subscriptions: either alone brings nothing back, and each says so."""
    costs = costs_of(EVERY - {"plans", "subscriptions"}, items)
    upgrade = next(one for one in costs["plans"]["target"] if one["name"] == "upgrade")
    assert upgrade["also_needs"] == ["subscriptions"]
    assert all(not one["also_needs"] for one in costs_of(EVERY - {"plans"}, items)["plans"]["target"])


def test_an_item_that_nothing_gives_is_charged_to_nobody():
    """What cannot stand with all feeds is no cost of a feed (canary: it would be charged to every one)."""
    never = Item("reason", "never", lambda present: False)
    assert costs_of(frozenset({"customers"}), {("reason", "never"): never})["bills"] == {}


def test_each_floor_speaks_for_itself():
    """The lowest floor hosts the command and imports no other: all three are entry points."""
    from importlib.metadata import entry_points

    assert {entry.name for entry in entry_points(group=COSTS_GROUP)} == {"features", "training", "serving"}


def test_check_prints_the_table_and_gives_it_as_json(operator):
    """People read what falls away by name; programs get the same with the feeds that are needed besides."""
    path = operator.root / "small.yaml"
    content = {"operator": {"name": "small"}, "files": operator.files, "feeds": operator.feeds}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = ["check", "--source", str(path), "--data", str(operator.data)]
    text = CliRunner().invoke(create_app(), command).stdout
    assert "what is missing costs" in text
    assert "complaint_sensitive" in text
    answer = json.loads(CliRunner().invoke(create_app(), [*command, "--json"]).stdout)
    assert "customers" not in answer["missing"]
    assert {"name": "complaint", "also_needs": []} in answer["missing"]["tickets"]["target"]
    assert answer["stand"]["class"] == {"stand": 0, "of": 12}
    assert answer["from_months"] == []


def test_check_says_which_features_months_fill_and_which_stay_empty(operator):
    """Months give sums and trends of use; the deviation of days does not stand, and is charged to the days."""
    operator.write("usage_monthly.csv", "customer_id,period,data_kb\n1,2026-04-01,10\n")
    operator.map("usage_monthly", "SELECT * FROM usage_monthly", known_after="P1D")
    path = operator.root / "small.yaml"
    content = {"operator": {"name": "small"}, "files": operator.files, "feeds": operator.feeds}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = ["check", "--source", str(path), "--data", str(operator.data)]
    answer = json.loads(CliRunner().invoke(create_app(), [*command, "--json"]).stdout)
    lacking = {one["name"] for one in answer["missing"]["usage_daily"]["feature"]}
    assert len(answer["from_months"]) == 12
    assert {"data_mb_30d", "data_trend_90d"} <= set(answer["from_months"])
    assert {"data_mb_7d", "data_deviation_mb_30d"} <= lacking
    assert not lacking & set(answer["from_months"])
    text = CliRunner().invoke(create_app(), command).stdout
    assert "made from usage_monthly, since no day is delivered: data_mb_30d" in text
    assert "only usage_daily can tell, so these stay empty: data_mb_7d" in text
