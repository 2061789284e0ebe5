"""Nothing that a model reads is left without a word: a reason explains it, or the configuration says why none may."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.kit.cli import create_app
from features.kit.config import config_path, load_yaml, parse_config
from features.kit.errors import NotReadyError
from features.kit.language import Text
from features.portraits.feature_list import FeatureList, dimensions
from features.store.definitions import service_features
from serving.scoring.reason_checks import reason_figures
from serving.scoring.reasons.book import NeverSaid, ReasonBook, load_book
from serving.scoring.reasons.page import page, targets_known

FEATURES = {feature.name: feature.dimension for feature in FeatureList.declared().features}


def _inputs(target: str) -> dict[str, str]:
    service = load_yaml(config_path(f"targets/{target}.yaml"))["features"]
    return {name: FEATURES[name] for name in service_features(service, FeatureList.declared())}


@pytest.mark.parametrize("target", targets_known())
def test_every_feature_of_every_model_has_a_reason_or_a_declared_silence(target):
    """A new feature fails here until `configs/reasons.yaml` gives it a code or says why it is never said."""
    assert load_book().uncovered(target, _inputs(target)) == ()


@pytest.mark.parametrize("target", targets_known())
def test_a_feature_that_nobody_declared_is_found(target):
    """The canary: a new feature, and a silence taken away, are named; an operator's own attribute is covered as a whole."""
    book = load_book()
    assert book.uncovered(target, {"brand_new_count_30d": "profile", "own_column": "attributes"}) == (
        "brand_new_count_30d",
    )
    mute = book.model_copy(update={"never_said": ()})
    assert "birth_year" in mute.uncovered(target, _inputs(target))


@pytest.mark.parametrize("target", targets_known())
def test_every_code_has_both_languages_and_an_action_that_is_known(target):
    """About in zh and en, say in both or declared never, and at least one action of configs/outreach.yaml."""
    actions = set(load_yaml(config_path("outreach.yaml"))["actions"]) | {"plan_fit_on_request", "no_contact"}
    codes = load_book().of_target(target)
    assert len(codes) >= 5
    for code, spec in codes.items():
        assert spec.about, code
        assert all(one.zh and one.en for one in (*spec.about, *spec.say)), code
        assert spec.actions, code
        assert set(spec.actions) <= actions, code


def test_a_silence_names_what_exists_and_contradicts_no_code():
    """Every name under `never_said` is a feature or a dimension, and nothing is both said and never said of a target."""
    book = load_book()
    assert any("birth_year" in one.features for one in book.never_said)
    for one in book.never_said:
        assert set(one.features) <= set(FEATURES)
        assert set(one.dimensions) <= set(dimensions())
        for target in targets_known():
            both = [name for name in one.features if one.holds(target, name, "") and book.codes_of(target, name)]
            assert both == [], target


def test_a_misspelt_key_of_a_silence_is_refused():
    """`never_said` is closed like every configuration."""
    from features.kit.errors import ConfigurationError

    content = load_yaml(config_path("reasons.yaml"))
    content["never_said"][0]["feature"] = ["tenure_days"]
    with pytest.raises(ConfigurationError, match="feature"):
        parse_config(ReasonBook, content, source="reasons.yaml")


def test_a_home_without_a_model_is_no_passed_check(tmp_path):
    """Nothing measured is nothing proven: an error with its remedy, not silence and 0."""
    with pytest.raises(NotReadyError, match="no model has been promoted"):
        CliRunner().invoke(create_app(), ["reasons", "--check", "--home", str(tmp_path)], catch_exceptions=False)


def test_the_page_is_up_to_date():
    """`insight reasons --out serving/scoring/REASONS.md` would change nothing, and no feature stands there uncovered."""
    root = Path(__file__).parents[4]
    assert (root / "serving" / "scoring" / "REASONS.md").read_text(encoding="utf-8") == page()
    assert "not covered" not in page()
    silent = load_book().model_copy(
        update={"never_said": (NeverSaid(why=Text(zh="无", en="none"), dimensions=("attributes",)),)}
    )
    assert "**not covered**" in page(silent)


def test_reasons_stay_under_noise_and_their_features_raise_the_score(world):
    """Under 1 % of noise reasons stay; without its first reason's features the score falls, without the lowest it does not."""
    figures = reason_figures(world.scorer, load_book(), world.features, world.values, world.facts)
    assert figures is not None
    assert figures.rows >= 100
    assert figures.same_first > 0.9
    assert figures.overlap > 0.9
    assert figures.falls > 0.75
    assert figures.falls_unsaid < 0.3
    loud = reason_figures(world.scorer, load_book(), world.features, world.values, world.facts, noise=2.0)
    assert loud.same_first < figures.same_first - 0.1
    assert reason_figures(world.scorer, load_book(), world.features, world.values[:5], world.facts[:5]) is None
