"""Contributions add up, stay under small noise, and say in which direction the score moves; wrong ones do not."""

import warnings
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.ft2font import FT2Font

from features.kit.language import Text
from features.kit.pages import figures
from features.kit.pages.figures import drawable
from tests.training.cards import pages
from training import bundle
from training.bundle import BundleFeature, LoadedBundle, Manifest
from training.card.card_texts import load_texts
from training.explanation import pictures
from training.explanation.checks import deletion, stability
from training.explanation.page import page
from training.explanation.summary import by_dimension, dimension_sums, importance
from training.knots import Calibration
from training.model.learner import BoostedTrees

NAMES = ("calls", "bill", "plan", "noise")
DIMENSIONS = ("calling_habits", "consumption", "contract", "consumption")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedBundle, np.ndarray]:
    """Returns a model in which calls raise and bills lower the score, and the rows it learned from."""
    rng = np.random.default_rng(2)
    values = rng.normal(3, 1, size=(1500, 4)).astype(np.float32)
    values[:, 2] = rng.integers(0, 3, 1500)
    values[rng.random(1500) < 0.1, 1] = np.nan
    logit = 2 * (values[:, 0] - 3) - 1.5 * np.nan_to_num(values[:, 1] - 3) + (values[:, 2] == 1)
    labels = (rng.random(1500) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    trees = BoostedTrees(
        trees=60, leaves=8, min_rows_in_leaf=20, feature_share=1.0, l2=1.0, categories=(2,), names=NAMES
    )
    features = tuple(
        BundleFeature(n, "category" if n == "plan" else "number", ("a", "b", "c") if n == "plan" else ()) for n in NAMES
    )
    manifest = Manifest(
        target="churn", version="v1", created_at="2026-06-01T00:00:00+00:00", portrait_identity="p", features=features,
        base_rate=0.5, lead_days=0, horizon_days=30, label_delay_days=30, data_hash="d", config_hash="c", code_version="0",
    )  # fmt: skip
    knots = Calibration(np.array([-3.0, 3.0]), np.array([0.1, 0.9]))
    card = pages()
    folder = bundle.write(
        tmp_path_factory.mktemp("explain"), manifest, trees.fit(values, labels).model_text, knots, values,
        card.pop("card.md").decode(), card,
    )  # fmt: skip
    return bundle.load(folder, check_in_child=False), values


def test_contributions_add_up_to_the_score_by_feature_and_by_dimension(model):
    """Mean score plus the sums of all dimensions is the raw score."""
    loaded, values = model
    parts = loaded.contributions(values[:50])
    sums = dimension_sums(parts, DIMENSIONS)
    assert list(sums) == ["calling_habits", "consumption", "contract"]
    assert sum(sums.values()) + parts[:, -1] == pytest.approx(loaded.margins(values[:50]), abs=1e-9)
    assert next(iter(importance(parts, NAMES))) == "calls"
    assert next(iter(by_dimension(parts, DIMENSIONS))) == "calling_habits"


def test_small_noise_leaves_the_explanation_as_it_is(model):
    """Under 1 % of noise the strongest feature stays for nearly everybody; under 100 % it does not (the canary)."""
    loaded, values = model
    quiet, loud = stability(loaded, values), stability(loaded, values, noise=1.0)
    assert quiet.rows == 1500
    assert quiet.same_top > 0.93
    assert quiet.top_overlap > 0.95
    assert quiet.correlation > 0.95
    assert loud.same_top < quiet.same_top - 0.1


def test_taking_the_strongest_feature_away_moves_the_score_as_told(model):
    """The direction is right for nearly everybody; with another customer's explanation it is not (the canary)."""
    loaded, values = model
    found = deletion(loaded, values, values)
    assert found.rows == 300
    assert found.agreed > 0.97
    assert found.correlation > 0.9
    assert found.agreed_exchanged < 0.75


def test_the_pictures_are_the_same_bytes_twice(model):
    """Each is a whole PNG file, does not change from run to run, and leaves no figure, backend or warning filter behind."""
    loaded, values = model
    parts = loaded.contributions(values[:200])
    shown = [f"{value:.2f}" for value in values[0]]

    def draw() -> list[bytes]:
        return [
            pictures.summary(parts, values[:200], NAMES),
            pictures.dependence(parts, values[:200], NAMES, "bill"),
            pictures.dimensions_picture(by_dimension(parts, DIMENSIONS)),
            pictures.waterfall(parts[0, -1], parts[0, :-1], shown, NAMES, title="c1"),
            pictures.force(parts[0, -1], parts[0, :-1], NAMES, title="c1"),
        ]

    before = plt.get_fignums(), mpl.get_backend(), warnings.filters[:]
    first = draw()
    assert (plt.get_fignums(), mpl.get_backend(), warnings.filters[:]) == before
    assert all(picture.startswith(b"\x89PNG") for picture in first)
    assert first == draw()


def test_customers_without_a_value_stand_apart(model, monkeypatch: pytest.MonkeyPatch):
    """Blank bills are counted one by one under "blank"; SHAP's scatter draws equal blanks as one mark without a name."""
    loaded, values = model
    monkeypatch.setattr(pictures, "png", lambda figure: figure)
    drawn: Any = pictures.dependence(loaded.contributions(values), values, NAMES, "bill")
    blank, known = drawn.axes
    missing = int(np.isnan(values[:, 1]).sum())
    dots = blank.collections[0].get_offsets()
    assert [label.get_text() for label in blank.get_xticklabels()] == ["blank"]
    assert (len(dots), len(np.unique(dots[:, 0]))) == (missing, missing)
    assert len(known.collections[0].get_offsets()) == len(values) - missing


def test_a_dependence_has_a_chinese_and_an_english_title(model, monkeypatch: pytest.MonkeyPatch):
    """Both where a font has both, every letter drawn; English alone where none has, without a warning of a glyph."""
    loaded, values = model
    parts = loaded.contributions(values[:50])
    subject = Text(zh="\u6d88\u8d39", en="Consumption")
    monkeypatch.setattr(pictures, "png", lambda figure: figure)
    english = "Consumption: what bill adds to the raw score"
    for found in filter(None, (figures.chinese_font(),)):
        drawn: Any = pictures.dependence(parts, values[:50], NAMES, "bill", subject)
        assert (
            drawn.get_suptitle()
            == f"\u6d88\u8d39 \u00b7 bill \u53d6\u503c\u5bf9\u539f\u59cb\u5206\u7684\u5f71\u54cd\n{english}"
        )
        letters = {glyph for glyph in drawn.get_suptitle() if glyph != "\n"}
        assert letters <= {chr(code) for code in FT2Font(str(found)).get_charmap()}
    monkeypatch.setattr(figures, "chinese_font", lambda: None)
    drawn = pictures.dependence(parts, values[:50], NAMES, "bill", subject)
    assert drawn.get_suptitle() == english
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures.png(drawn).startswith(b"\x89PNG")


def test_a_font_is_known_by_the_name_of_its_file():
    """Noto, WenQuanYi and those of Windows and macOS count; matplotlib's own does not."""
    named = ("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "simhei.ttf", "PingFang.ttc", "DejaVuSans.ttf")
    assert [bool(figures.CHINESE_FONTS.search(name)) for name in named] == [True, True, True, True, False]
    assert "fonts-noto-cjk" in figures.FONT_HINT


def test_a_value_that_the_font_lacks_is_dots_and_a_dollar_begins_no_formula():
    """Chinese stands in the page's table; "$a$" is shown as it is written."""
    assert [drawable(text) for text in ("3.5", "\u5317\u4eac", "$a$")] == ["3.5", "...", "\\$a\\$"]


def test_the_page_says_each_customers_causes_in_words_that_the_picture_lacks():
    """Value and contribution of each strongest feature stand in a table, Chinese included and escaped."""
    result = {
        "target": "churn", "version": "v1", "as_of": "2026-06-01", "by_dimension": {"calling_habits": 0.3},
        "stability": {"noise": 0.01, "same_top": 0.97, "rows": 1500}, "pictures": ["summary.png"],
        "deletion": {"agreed": 0.98, "agreed_exchanged": 0.6, "rows": 300},
        "of_customers": [{"customer_id": "c<1>", "raw_score": -4.5, "mean_raw_score": -3.2, "propensity": 0.012,
                          "strongest": [{"feature": "city", "value": "\u5317\u4eac", "contribution": 0.4}]}],
    }  # fmt: skip
    html = page(result, load_texts())
    assert "Customer c&lt;1&gt;" in html
    assert '<td>city</td><td>\u5317\u4eac</td><td class="number">0.4</td>' in html.replace("\n", "")
