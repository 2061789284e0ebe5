"""The verdict: which rule decides, on rows whose truth is known; each canary is named by the rule that catches it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.replay import replay
from training.evaluation import verdict as rules
from training.evaluation import written
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.metrics import Figure
from training.evaluation.verdict import Champion, Verdict, judge
from training.labels.targets import PromotionRule, ValueRules, load_target
from training.model.calibrate import at_rate

RULE, RATES = PromotionRule(), ValueRules(capacity_share=0.1, contact_cost=4, acceptance=0.2, value_kept=200)


def told(rows: Judged, before: Judged | None = None, **changes) -> Verdict:
    """Returns the verdict on rows, beside a champion that had seen none of them."""
    champion = None
    if before is not None:
        seen = changes.pop("seen", np.zeros(len(rows.labels), dtype=bool))
        champion = Champion("v1", before.propensities, ~seen, "v1: stored")
    return judge(RULE.model_copy(update=changes), RATES, rows, evaluate(rows), champion)


def test_a_model_above_the_ceiling_is_a_persons_decision(judged):
    """AUC .99 is refused by its own code and passes if the target declares a higher ceiling, which is the canary."""
    rows = judged()
    rows = replace(rows, scores=rows.scores + 8 * rows.labels)
    verdict = told(rows)
    assert (verdict.promoted, verdict.rule) == (False, "auc_too_good")
    assert told(rows, max_auc=1.0).rule == "first_champion"


def promising(rows: Judged, propensities: np.ndarray) -> Judged:
    """Returns rows with other promises and the same ranking."""
    return replace(rows, propensities=propensities)


def test_the_first_sound_model_becomes_champion(judged):
    """Without a champion the gates alone decide, and every one of them is written down."""
    verdict = told(judged())
    assert (verdict.promoted, verdict.rule, verdict.compared_with) == (True, "first_champion", None)
    assert [check.code for check in verdict.checks] == [
        "auc_too_low", "auc_too_good", "constant_propensity", "rate_off", "poorly_calibrated", "deciles_off",
        "slice_off",
    ]  # fmt: skip
    assert all(check.holds for check in verdict.checks)
    assert verdict.figures["profit"]["low"] > 0


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (np.zeros_like, "constant_propensity"),
        (lambda promised: np.full_like(promised, promised.mean()), "constant_propensity"),
        (lambda promised: promised * 1e-9, "rate_off"),
        (lambda promised: promised.mean() * (1 + 1e-6 * promised), "poorly_calibrated"),
        (lambda promised: at_rate(promised, 1 / 2, 2 / 3), "rate_off"),
        (lambda promised: at_rate(promised, 2 / 3, 1 / 2), "rate_off"),
    ],
    ids=["all zero", "constant", "nearly zero", "nearly constant", "doubled odds", "halved odds"],
)
def test_a_candidate_that_ranks_well_and_promises_badly_is_refused(judged, canary, expected):
    """Each canary keeps the ranking, so only the calibration gates can see it."""
    rows = judged()
    verdict = told(promising(rows, canary(rows.propensities)))
    assert (verdict.promoted, verdict.rule) == (False, expected)


def test_shuffled_labels_are_refused(judged):
    """A ranking that knows nothing is below the least AUC."""
    rows = judged()
    order = np.random.default_rng(3).permutation(len(rows.labels))
    assert told(replace(rows, scores=rows.scores[order])).rule == "auc_too_low"


def test_a_wrong_slice_is_named(judged):
    """The whole is right, yet one VIP tier is promised too little and the others too much."""
    rows = judged()
    gold = rows.slices["vip_tier"] == "gold"
    share = float(rows.propensities[gold].sum() / rows.propensities[~gold].sum())
    verdict = told(promising(rows, rows.propensities * np.where(gold, 0.6, 1 + 0.4 * share)))
    assert verdict.rule == "slice_off"
    broken = next(check for check in verdict.checks if not check.holds)
    assert broken.found.endswith("200 positives or more: vip_tier=gold")


def test_a_better_ranking_with_worse_promises_is_refused(judged):
    """The old rule would promote by AUC; the calibration beside the champion's decides."""
    before, better = judged(0.6), judged(0.8)
    off = promising(better, at_rate(better.propensities, 0.5, 0.62))
    loose = {
        "max_observed_expected": 2.0,
        "min_observed_expected": 0.5,
        "max_calibration_error": 0.9,
        "max_deciles_off": 10,
        "min_slice_observed_expected": 0.5,
    }
    assert told(better, before, **loose).rule == "more_profit"
    verdict = told(off, before, max_calibration_loss=0.03, **loose)
    assert (verdict.promoted, verdict.rule) == (False, "calibration_worse_than_champion")


def test_only_a_true_improvement_replaces_the_champion(judged):
    """Better is promoted with the paired interval above zero; equal, identical and worse are refused."""
    champion = judged(0.7, seed=1)
    better = told(judged(0.85), champion)
    assert (better.promoted, better.rule, better.compared_with) == (True, "more_profit", "v1")
    assert better.figures["profit_gap"]["low"] > 0
    assert told(champion, champion).rule == "no_more_profit"
    assert told(champion, champion).figures["profit_gap"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert told(judged(0.7, seed=2), champion).rule == "no_more_profit"
    assert told(judged(0.4), champion).rule == "worse_than_champion"


def test_a_surely_better_ranking_is_promoted_where_profit_cannot_tell(judged, monkeypatch):
    """1,000 rows, AUC better by .09 (.04 to .14), profit within chance: promoted; not if it surely earns less.

    The canary is the rule without its wider interval: then the poor champion stays.
    """
    rows, champion = judged(0.85, customers=1_000, dates=1), judged(0.7, seed=2, customers=1_000, dates=1)
    verdict = told(rows, champion)
    assert (verdict.promoted, verdict.rule) == (True, "better_scores")
    assert verdict.figures["profit_gap"]["low"] < 0 < verdict.figures["profit_gap"]["high"]
    assert verdict.figures["auc_gap_ci"][0] > 0.04
    assert told(champion, rows).rule == "worse_than_champion"
    with monkeypatch.context() as patch:
        patch.setattr("training.evaluation.value.profit", lambda *_: Figure(-2.0, -3.0, -1.0))
        assert told(rows, champion).rule == "no_more_profit"
    monkeypatch.setattr(rules, "SURE", np.inf)
    assert told(rows, champion).rule == "no_more_profit"


@pytest.mark.parametrize(
    ("area", "loss", "expected"),
    [
        (Figure(0.07, 0.046, 0.094), Figure(0.002, -0.001, 0.005), True),
        (Figure(0.001, -0.01, 0.012), Figure(0.004, 0.002, 0.006), True),
        (Figure(0.07, 0.046, 0.094), Figure(-0.002, -0.005, 0.001), False),
        (Figure(0.02, 0.005, 0.035), Figure(0.002, -0.001, 0.005), False),
        (Figure(0.0, 0.0, 0.0), Figure(0.0, 0.0, 0.0), False),
    ],
    ids=["ranks surely better", "promises surely better", "promises worse", "better at 95 % only", "the same model"],
)
def test_one_figure_must_be_surely_better_and_the_other_no_worse(area, loss, expected):
    """Two figures are looked at, so 95 % is not enough for either."""
    assert rules._surely_better(area, loss) is expected


def test_a_champion_that_promises_wrongly_by_now_gives_way(judged):
    """An equal candidate replaces a champion that fails a gate itself; a worse one does not."""
    rows = judged(0.7, seed=2)
    aged = promising(rows, at_rate(judged(0.7, seed=1).propensities, 0.5, 0.65))
    assert told(rows, aged).rule == "champion_fails_gate"
    assert not told(judged(0.3), aged).promoted


def test_rows_that_the_champion_had_seen_do_not_count(judged):
    """Compared where neither had seen a row; with too few of those on all of them, and the verdict says so."""
    rows, champion = judged(0.85), judged(0.7)
    half = np.arange(len(rows.labels)) % 2 == 0
    verdict = told(rows, champion, seen=half)
    assert verdict.figures["rows"] == (~half).sum()
    assert "neither had seen" in verdict.seen
    assert "flatters the champion" in told(rows, champion, seen=np.ones(len(half), dtype=bool)).seen
    nothing = promising(champion, np.full(len(half), np.nan))
    assert told(rows, nothing).rule == "not_comparable"


def test_equal_models_are_seldom_promoted(judged):
    """Twenty A/A replays (customers drawn again, the two roles swapped by chance per customer): at most three promote."""
    one, other = (judged(0.7, seed=seed, customers=2_000, dates=2) for seed in (1, 2))
    promoted = 0
    for seed in range(20):
        rows, theirs = replay(one, other, seed)
        promoted += told(rows, promising(rows, theirs)).promoted
    assert promoted <= 3


def test_the_page_of_weighted_rows_computes(judged):
    """What is observed over what is expected is the ratio beside it, and the page says how many rows they stand for."""
    rows = judged()
    heavy = np.where(rows.labels == 1, 1.5, 1.0)
    target = load_target("churn")
    plain: Any = SimpleNamespace(as_of=rows.as_of)
    for weights, told_of in ((heavy, True), (None, False)):
        weighted = replace(rows, weights=weights)
        found = evaluate(weighted)
        cells = [cell for slices in found["by_slice"].values() for cell in slices.values()]
        assert len(cells) >= 2
        for cell in cells:
            assert cell["observed"] / cell["expected"] == pytest.approx(cell["observed_expected"], abs=1e-3)
        assert ("weighted_rows" in found) is told_of
        verdict = judge(target.promotion, target.value, weighted, found, None)
        text = written.files(target, verdict, weighted, found, plain, "2026-05-01")["evaluation.md"].decode()
        assert (f"they count as {heavy.sum():,.1f} rows" in text) is told_of
