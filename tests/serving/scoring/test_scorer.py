"""One path: the same bits in any chunk, equal to a slow walk over the model's text; no score without its flags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.kit.errors import BundleError
from serving.scoring.ranks import RankTable
from tests.world import AS_OF

from .conftest import make_scorer
from .slow import walk


def test_raw_scores_equal_a_slow_walk_over_the_model_text(world):
    """LightGBM's raw score of every customer is the plain sum of one leaf per tree, to the last bit."""
    text = (world.bundle.folder / "model.txt").read_text(encoding="utf-8")
    assert "cat_threshold" in text
    expected = np.array([walk(text, row) for row in world.values])
    assert expected.tobytes() == world.scorer.rows(world.values).margins.tobytes()


@pytest.mark.parametrize("size", [1, 7, 13, 211])
def test_a_score_does_not_depend_on_its_chunk(world, size):
    """Raw scores, propensities, contributions and group sums are equal to the last bit in any chunk."""
    scorer, values = world.scorer, world.values
    whole, parts = scorer.rows(values), [scorer.rows(values[at : at + size]) for at in range(0, len(values), size)]
    for name in ("margins", "propensities", "times_base", "is_enough", "is_missing", "is_unseen"):
        assert getattr(whole, name).tobytes() == b"".join(getattr(part, name).tobytes() for part in parts), name
    some = values[:260]
    contributions = scorer.contributions(some)
    sums = scorer._picker.group_sums(contributions)
    chunks = [scorer.contributions(some[at : at + size]) for at in range(0, len(some), size)]
    assert contributions.tobytes() == b"".join(chunk.tobytes() for chunk in chunks)
    assert sums.tobytes() == b"".join(scorer._picker.group_sums(chunk).tobytes() for chunk in chunks)


def test_contributions_add_up_to_the_raw_score(world):
    """What the inputs add, with the mean score, is the raw score, within the kernel's 1e-5."""
    some = world.values[:100]
    assert np.abs(world.scorer.contributions(some).sum(axis=1) - world.scorer.rows(some).margins).max() <= 1e-5


def test_group_sums_equal_plain_python(world):
    """A feature group's sum is the plain sum of its features in the order of the file; the mean score is not in it."""
    from serving.scoring.reasons.book import load_book

    scorer, names = world.scorer, list(world.bundle.manifest.feature_names)
    contributions = scorer.contributions(world.values[:40])
    sums = scorer._picker.group_sums(contributions)
    codes = load_book().of_target("churn")
    assert {*codes, "mixed.no_single_cause"} == set(scorer.codes)
    for code, spec in codes.items():
        for row in range(40):
            expected = 0.0
            for place, name in enumerate(spec.features):
                part = float(contributions[row, names.index(name)])
                expected = part if place == 0 else expected + part
            assert expected == sums[row, scorer.codes.index(code)]


def test_one_customer_alone_gets_the_same_whole_score(world):
    """`score` of one row equals `score` of many, reasons and texts included."""
    scorer, ranks = world.scorer, RankTable.of("churn", "v1", AS_OF, world.scorer.rows(world.values).margins)
    many = scorer.score(world.ids, world.values, world.facts, as_of=AS_OF, ranks=ranks, locale="en")
    for row in range(0, len(world.ids), 17):
        alone = scorer.score(
            world.ids[row : row + 1], world.values[row : row + 1], world.facts[row : row + 1],
            as_of=AS_OF, ranks=ranks, locale="en",
        )  # fmt: skip
        assert alone == many[row : row + 1]
    assert {score.band for score in many} == {"normal", "raised", "high", "very_high"}
    assert any(reason.code == "usage.falling" for score in many for reason in score.reasons)


def test_nothing_known_is_no_score(world):
    """A portrait without any value gets `not_enough_data` and no number; a whole one gets a number."""
    nothing = np.full((1, world.values.shape[1]), np.nan, dtype=np.float32)
    (score,) = world.scorer.score(["1"], nothing, ["{}"], as_of=AS_OF, ranks=None)
    assert score.status == "not_enough_data"
    assert (score.propensity, score.percentile, score.times_base, score.band, score.reasons) == (
        None,
        None,
        None,
        None,
        (),
    )
    assert set(score.missing) == {feature.dimension for feature in world.features.features}
    full = world.values[~np.isnan(world.values).all(axis=1)][:1]
    assert world.scorer.score(["1"], full, ["{}"], as_of=AS_OF, ranks=None)[0].status == "ok"


def test_too_little_known_is_no_score(world):
    """Only features that the model hardly uses are known: refused; the one that it uses most is known: scored."""
    gains = world.bundle.gains()
    row = np.full((2, world.values.shape[1]), np.nan, dtype=np.float32)
    row[0, np.argsort(gains)[:20]] = 1.0
    row[1, np.argsort(gains)[-20:]] = 1.0
    statuses = [one.status for one in world.scorer.score(["1", "2"], row, ["{}", "{}"], as_of=AS_OF, ranks=None)]
    assert statuses == ["not_enough_data", "ok"]


def test_a_dimension_of_which_nothing_is_known_is_named(world):
    """Losing every roaming feature is said in `missing`; losing one of them is not."""
    values = world.values[:2].copy()
    values[np.isnan(values)] = 0.0
    roaming = [place for place, feature in enumerate(world.features.features) if feature.dimension == "roaming"]
    values[0, roaming] = np.nan
    values[1, roaming[0]] = np.nan
    scores = world.scorer.score(["1", "2"], values, ["{}", "{}"], as_of=AS_OF, ranks=None)
    assert [score.missing for score in scores] == [("roaming",), ()]


def test_a_category_unknown_to_the_model_is_flagged(world):
    """A province that appeared after the training is flagged by name; the known ones are not."""
    grown = world.features.with_values({"province": ("Yunnan",)})
    values = world.values[:2].copy()
    place = grown.names.index("province")
    values[0, place] = grown.features[place].categories.index("Yunnan")
    values[1, place] = 0.0
    scores = make_scorer(world.bundle, grown).score(["1", "2"], values, ["{}", "{}"], as_of=AS_OF, ranks=None)
    assert [score.flags for score in scores] == [("unseen_category:province",), ()]


def test_an_old_portrait_is_flagged(world):
    """48 hours are fresh, 48.1 are stale, and an unknown age is not guessed."""
    flags = [
        world.scorer.score(["1"], world.values[:1], ["{}"], as_of=AS_OF, ranks=None, age_hours=age)[0].flags
        for age in (48.0, 48.1, None)
    ]
    assert flags == [(), ("stale_portrait",), ()]


def test_without_a_rank_table_there_is_no_rank(world):
    """Percentile and band are null, the propensity is there."""
    (score,) = world.scorer.score(["1"], world.values[:1], ["{}"], as_of=AS_OF, ranks=None)
    assert (score.percentile, score.band) == (None, None)
    assert score.propensity is not None
    assert score.times_base == score.propensity / 0.02


def test_portraits_of_another_identity_are_refused(world):
    """A model never reads a vector of another feature list, nor one whose category codes moved."""
    with pytest.raises(BundleError, match="portrait_v9-00000000"):
        make_scorer(world.bundle, replace(world.features, identity="portrait_v9-00000000"))
    place = world.features.names.index("vip_tier")
    moved = list(world.features.features)
    moved[place] = replace(moved[place], categories=("gold", *(c for c in moved[place].categories if c != "gold")))
    with pytest.raises(BundleError, match="codes of 'vip_tier'"):
        make_scorer(world.bundle, replace(world.features, features=tuple(moved)))


def test_reasons_need_a_fact_and_a_raising_group(world):
    """No fact, no reason: everybody without facts gets the fallback; a reason shown has a positive group sum."""
    scorer = world.scorer
    assert scorer.reason_codes(world.values[:30], ["{}"] * 30, most=3) == [["mixed.no_single_cause"]] * 30
    sums = scorer._picker.group_sums(scorer.contributions(world.values))
    every = scorer.reason_codes(world.values, world.facts, most=3)
    assert len({code for codes in every for code in codes} - {"mixed.no_single_cause"}) >= 3
    for row, codes in enumerate(every):
        for code in codes:
            if code != "mixed.no_single_cause":
                assert f'"{code}"' in world.facts[row]
                assert sums[row, scorer.codes.index(code)] > 0
