"""Distances from a reference, and which of them ring: small tables, expected value first."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features.feeds.landed.reading import Feeds
from features.kit.language import Locale
from tests.training.planted_history import CUSTOMERS, small_home
from training.evaluation import metrics
from training.monitor import drift
from training.monitor.alarms import Alarm, feature_alarms, feed_alarms, is_judged, psi_limit
from training.monitor.check import Level, recommendation
from training.monitor.promises import deviations, promise_spread
from training.monitor.reference import feed_reference, feed_state
from training.monitor.report import exposition, page
from training.monitor.settings import load_settings

SETTINGS = load_settings()
QUIET = {"psi": 0.0, "ks": 0.0, "missing": 0.0, "unseen": 0.0}


def usual(values: np.ndarray, **more: float) -> dict:
    """Returns the reference of a number that never differed."""
    return drift.number_reference(values) | {"usual": QUIET | more, "equal_share": 0.1}


def kinds(reference: dict, values: object, *, equal: float | None = None, age: float = 0.0) -> list[str]:
    """Returns the kinds of alarm that values raise."""
    told = drift.compare(reference, values)
    return [one.kind for one in feature_alarms("f", reference, told, equal, SETTINGS, age=age)]


def test_psi_of_the_textbook():
    """Shares .5, .5 against .6, .4 give .041; equal shares give 0."""
    assert drift.psi(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.0405, abs=1e-4)
    assert drift.psi(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_same_customers_again_are_at_no_distance(seed: int):
    """Another draw of the same distribution, with many equal values and blanks, stays far below every limit."""
    random = np.random.default_rng(seed)
    draws = [np.where(random.random(4000) < 0.6, 0.0, random.gamma(2, 50, 4000).round()) for _ in range(2)]
    for values in draws:
        values[random.random(4000) < 0.1] = np.nan
    told = drift.compare(drift.number_reference(draws[0]), draws[1])
    assert told["psi"] < 0.02
    assert told["ks"] < 0.05
    assert kinds(usual(draws[0]), draws[1]) == []


def test_each_change_of_a_number_rings_its_own_bell():
    """Another unit, lost values, a standstill: each is named for what it is."""
    values = np.random.default_rng(1).normal(100, 20, 3000)
    reference = usual(values)
    assert kinds(reference, values * 10) == ["shift"]
    assert kinds(reference, np.where(np.arange(3000) % 4 == 0, np.nan, values)) == ["missing"]
    assert kinds(reference, values, equal=0.999) == ["stuck"]
    assert kinds(reference, np.full(3000, np.nan)) == ["missing"]


def test_a_new_category_rings_and_a_rare_one_does_not():
    """One in ten with a value that the reference never saw; many rare values are compared together."""
    random = np.random.default_rng(2)
    rare = [f"grid{k}" for k in random.integers(0, 900, 3000)]
    reference = drift.category_reference(rare) | {"usual": QUIET, "equal_share": None}
    assert kinds(reference, list(random.permutation(rare))) == []
    assert kinds(reference, ["new" if k % 10 == 0 else one for k, one in enumerate(rare)]) == ["unseen"]


def test_what_the_reference_dates_did_themselves_is_no_alarm():
    """A feature that moved by .2 PSI from date to date may move by .4, and more the older the reference is."""
    values = np.random.default_rng(3).normal(0, 1, 5000)
    moved = values + 0.6
    assert drift.compare(usual(values), moved)["psi"] == pytest.approx(0.36, abs=0.08)
    assert kinds(usual(values), moved) == ["shift"]
    assert kinds(usual(values, psi=0.25, ks=0.25), moved) == []
    assert kinds(usual(values, psi=0.1, ks=0.1), moved) == ["shift"]
    assert kinds(usual(values, psi=0.1, ks=0.1), moved, age=1.0) == []


def test_the_limit_that_is_drawn_is_the_one_that_rings():
    """A PSI a hair above `psi_limit` rings and one at it does not, at any age and however much was usual."""
    for usually, age in ((0.0, 0.0), (0.4, 0.0), (0.4, 0.5)):
        limit = psi_limit({"psi": usually}, SETTINGS, age=age)
        reference = {"missing": 0.0, "usual": QUIET | {"psi": usually}}
        for found, rings in ((limit, []), (limit + 1e-6, ["shift"])):
            told = QUIET | {"psi": found}
            assert [one.kind for one in feature_alarms("f", reference, told, None, SETTINGS, age=age)] == rings


def test_a_feature_that_always_jumps_is_named_instead_of_getting_a_limit_out_of_reach():
    """Reference dates that differ by 8 PSI: no distribution rings, blanks still do; at .9 it is judged."""
    values = np.random.default_rng(5).normal(0, 1, 5000)
    restless = usual(values, psi=8.0, ks=0.9)
    assert not is_judged("f", restless["usual"], SETTINGS)
    assert kinds(restless, values + 5) == []
    assert kinds(restless, np.full(5000, np.nan)) == ["missing"]
    assert is_judged("f", usual(values, psi=0.9)["usual"], SETTINGS)
    assert kinds(usual(values, psi=0.9), values + 5) == ["shift"]
    assert not is_judged("month_used_share", usual(values)["usual"], SETTINGS)


def test_the_ranking_that_propensities_promise_is_the_one_that_comes():
    """The estimate agrees with the AUC of labels that are drawn from the propensities; .2 and .8 promise .94."""
    assert drift.estimated_auc(np.array([0.2, 0.8])) == pytest.approx(0.64 / 0.68)
    random = np.random.default_rng(4)
    propensities = random.beta(1, 20, 60_000).round(3)
    labels = (random.random(60_000) < propensities).astype(np.int8)
    found = metrics.auc(propensities, labels, np.arange(60_000).astype(str))
    assert found.low < drift.estimated_auc(propensities) < found.high


def test_feeds_that_stop_ring_by_what_they_do():
    """Gone, late, thin, late by a month's grain: each by name; a feed with few rows is not judged."""
    reference = {
        name: {"rows": 500.0, "per_customer": 0.5, "lag_days": 2.0}
        for name in ("tickets", "hotline_calls", "contacts", "surveys", "bills")
    } | {"port_requests": {"rows": 12.0, "per_customer": 0.01, "lag_days": 4.0}}
    now = {
        "hotline_calls": {"rows": 300.0, "per_customer": 0.4, "lag_days": 20.0},
        "contacts": {"rows": 60.0, "per_customer": 0.06, "lag_days": 1.0},
        "surveys": {"rows": 480.0, "per_customer": 0.48, "lag_days": 4.0},
        "bills": {"rows": 480.0, "per_customer": 0.48, "lag_days": 16.0},
    }
    assert {(one.kind, one.name) for one in feed_alarms(reference, now, SETTINGS)} == {
        ("lost_feed", "tickets"),
        ("stuck_feed", "hotline_calls"),
        ("thin_feed", "contacts"),
    }


def test_a_feed_that_comes_in_bursts_may_be_silent_between_two_of_them(tmp_path):
    """Calls of 10 and 25 February: a silence of 15 days is usual; canary: without the gap it would ring."""
    home = small_home(tmp_path)
    feeds = Feeds.open(home)
    state = feed_state(feeds, date(2026, 3, 10))["hotline_calls"]
    assert (state["rows"], state["lag_days"], state["gap_days"]) == (2.0 * CUSTOMERS, 12.0, 15.0)
    reference = feed_reference([feed_state(feeds, date(2026, 3, day)) for day in (8, 9)])
    assert reference["hotline_calls"]["lag_days"] == 15.0
    later = {"hotline_calls": state | {"lag_days": 17.0}}
    usual_feeds = {"hotline_calls": reference["hotline_calls"] | {"rows": 500.0}}
    assert feed_alarms(usual_feeds, later, SETTINGS) == []
    usual_feeds["hotline_calls"]["lag_days"] = 12.0
    assert [one.kind for one in feed_alarms(usual_feeds, later, SETTINGS)] == ["stuck_feed"]


def test_a_level_learned_from_few_events_may_be_off_by_as_much_as_it_was_unsure():
    """100 events where 60 were promised: far off for a sure model, within reason for one known to 25 %."""
    promised = np.full(3000, 0.02)
    assert deviations(100, promised, 0.0) > SETTINGS.calibration_deviations
    spread = promise_spread({"observed_expected_ci": [0.8, 1.78]})
    assert spread == pytest.approx(0.25, abs=1e-4)
    assert deviations(100, promised, spread) < 3
    assert promise_spread({}) == promise_spread({"observed_expected_ci": [None, None]}) == 0.0


MODEL: Any = SimpleNamespace(
    manifest=SimpleNamespace(feature_names=("strong", "weak")), gains=lambda: np.array([90.0, 10.0])
)
"""A model whose gain is carried by `strong`."""


@pytest.mark.parametrize(
    ("alarms", "newer", "code"),
    [
        ([], 10, "none"),
        ([], 120, "retrain"),
        ([("shift", "weak")], 10, "watch"),
        ([("shift", "strong")], 10, "retrain"),
        ([("shift", "strong")], 0, "watch"),
        ([("calibration", "churn")], 10, "retrain"),
        ([("calibration", "churn"), ("stuck_feed", "bills")], 120, "fix_feeds"),
    ],
)
def test_the_recommendation_names_its_reason(alarms, newer, code):
    """Wrong data first; then broken promises, strong drift or old age; without newer labels there is nothing to learn."""
    rung = [Alarm(kind, name, 1.0, 0.5, "x") for kind, name in alarms]
    advice = recommendation(MODEL, rung, newer, SETTINGS, Level(0.02))
    assert advice["code"] == code
    assert advice["reason"]
    assert advice["reason_zh"]


@pytest.mark.parametrize(
    ("mean", "age", "code", "words"),
    [
        (0.0250, 0.5, "watch", "the mean propensity is 0.0250, and the reference dates lead one to expect 0.01"),
        (0.0207, 0.5, "none", "the mean propensity 0.0207 lies within"),
        (0.0250, 3.0, "none", "the mean propensity 0.0250 lies within"),  # the same, long after: dates drift apart
    ],
)
def test_a_mean_that_has_moved_is_not_called_as_it_was(mean, age, code, words):
    """.0250 after six dates about .0205 is said, though no distribution rings; a mean among theirs is said to be so."""
    means = [0.0198, 0.0201, 0.0204, 0.0206, 0.0209, 0.0212]
    propensities = np.random.default_rng(6).beta(1, 1 / mean - 1, 20_000)
    low, high = drift.expected_level(means, propensities, age=age)
    advice = recommendation(MODEL, [], 10, SETTINGS, Level(mean, [low, high]))
    assert (advice["code"], words in advice["reason"]) == (code, True), advice
    assert f"{mean:.4f}" in advice["reason_zh"]
    assert (
        "hold 0.0250 against" in recommendation(MODEL, [], 10, SETTINGS, Level(0.025))["reason"]
    )  # an older reference


@pytest.mark.parametrize("dates", [1, 2, 6])
def test_the_expected_mean_holds_95_of_100_dates(dates):
    """Dates whose level scatters by 3 % and whose customers by chance: 93 to 98.5 % of the next ones lie inside."""
    random = np.random.default_rng(dates)
    inside = 0
    for _ in range(2000):
        between = 0.0 if dates == 1 else 0.03  # one date says nothing of how dates scatter
        levels = 0.02 * (1 + between * random.normal(size=dates + 1))
        draws = [level * random.uniform(0, 2, size=400) for level in levels]
        low, high = drift.expected_level([float(one.mean()) for one in draws[:-1]], draws[-1], age=0.0)
        inside += low <= draws[-1].mean() <= high
    assert 0.93 <= inside / 2000 <= 0.985


def test_page_and_gauges_need_nothing_else():
    """The page is Chinese with its pictures inside and no address; the gauges are one line each."""
    report = {
        "as_of": "2026-06-01", "operator": "<small>", "status": "alarm", "alarms": 1, "settings": {"psi": 0.25},
        "feeds": {"bills": {"rows": 10.0, "per_customer": 1.0, "lag_days": 31.0}},
        "targets": {"churn": {
            "version": "v1", "reference": ["2026-01-01"], "features": {"f": QUIET}, "not_judged": ["restless"],
            "scores": {"source": "stored", "rows": 2, "psi": 0.1, "ks": 0.0, "mean_propensity": 0.02, "base_rate": 0.02,
                       "estimated_auc": 0.8, "reference_estimated_auc": [0.79, 0.81], "shares": [0.5, 0.5],
                       "reference_shares": [0.4, 0.6]},
            "matured": {"as_of": ["2026-02-01"], "observed": 20, "expected": 21.0, "observed_over_expected": 0.95,
                        "auc": 0.8, "auc_ci": [0.7, 0.9], "reliability": [[0.01, 0.012, 100], [0.05, 0.04, 100]]},
            "alarms": [Alarm("shift", "f", 1.0, 0.25, "moved").as_dict()],
            "recommendation": {"code": "retrain", "reason": "x", "reason_zh": "漂移"},
        }},
    }  # fmt: skip
    wanted: tuple[tuple[Locale, str, str], ...] = (
        ("zh", "建议重训", "模型监控"),
        ("en", "Retrain", "Model monitoring"),
    )
    for locale, advice, heading in wanted:
        html = page(report, locale)
        assert html.count("data:image/png;base64,") == 3
        assert advice in html
        assert heading in html
        assert "restless" in html
        assert "&lt;small&gt;" in html
        assert "http" not in html
    assert not re.search(r"[\u4e00-\u9fff]", page(report, "en"))
    lines = exposition(report).decode().splitlines()
    assert 'insight_monitor_alarms{kind="shift",target="churn"} 1.0' in lines
    assert 'insight_monitor_retrain_recommended{target="churn"} 1.0' in lines
    assert 'insight_monitor_feed_lag_days{feed="bills"} 31.0' in lines
