"""The model card is whole in both languages, or its model does not become champion."""

import re

import pytest

from features.kit.config import config_path, load_yaml, parse_config
from features.kit.errors import ConfigurationError
from features.portraits.feature_list import dimensions
from tests.training.cards import facts, pages
from training.card import card
from training.card.card_texts import SECTIONS, CardTexts, load_texts
from training.labels.targets import CohortRules, known_targets


@pytest.mark.parametrize("target", known_targets())
def test_every_target_has_a_complete_card(target):
    """Four pages, each with all sections of the issue and the four parts of the law's record, for every shipped target."""
    made = pages(target)
    assert set(made) == {"card.md", "card.zh.md", "card.html", "card.zh.html"}
    for name, page in made.items():
        assert card.missing_sections(page.decode()) == (), name


def test_the_pages_say_the_same_figures_in_both_languages():
    """Every number of the English page stands on the Chinese one, and each page speaks its own language."""
    made = {name: page.decode() for name, page in pages().items()}
    numbers = {
        name: sorted(re.findall(r"\d+(?:\.\d+)?", page.split("## ", 1)[1]))
        for name, page in made.items()
        if name.endswith(".md")
    }
    wanted = {"0.75", "0.7", "0.8", "0.001", "0.002", "0.02", "0.3", "700", "300", "2026"}
    assert wanted <= set(numbers["card.md"]) & set(numbers["card.zh.md"])
    assert "## 禁止用途" in made["card.zh.md"]
    assert "## Forbidden uses" in made["card.md"]
    assert 'lang="zh-CN"' in made["card.zh.html"]
    assert "样本不足,不报告" in made["card.zh.html"]
    assert "| 融合在约型 |" in made["card.zh.md"]
    assert "### 按省份:观测与预期" in made["card.zh.md"]
    assert "| Beijing | 150 | 4 | 3.5 | 1.14 (0.3 – 2.0) |" in made["card.md"]
    assert "| 1 | 30 | 1 | 0.8 | 0.1 – 2.5 |" in made["card.md"]


@pytest.mark.parametrize("page", ["card.md", "card.zh.md", "card.html", "card.zh.html"])
@pytest.mark.parametrize("section", SECTIONS)
def test_an_emptied_section_is_named(page, section):
    """Each section of each page in turn: its content cut, replaced by a promise to write it, or gone with its heading."""
    text = pages()[page].decode()
    if page.endswith(".html"):
        whole = re.search(rf'<section id="{re.escape(section)}">\s*(<h2>.*?</h2>)(.*?)</section>', text, re.DOTALL)
        emptied, promised = (
            whole.group(0).replace(whole.group(2), "<p> </p>"),
            whole.group(0).replace(whole.group(2), "<p>TODO</p>"),
        )
    else:
        whole = re.search(
            rf"<!-- section: {re.escape(section)} -->\n\n(## [^\n]*\n)(.*?)(?=<!-- section|\Z)", text, re.DOTALL
        )
        emptied, promised = (
            whole.group(0).replace(whole.group(2), "\n\n"),
            whole.group(0).replace(whole.group(2), "\n待补充。\n\n"),
        )
    for changed in (emptied, promised, ""):
        assert card.missing_sections(text.replace(whole.group(0), changed)) == (section,)


def test_a_target_without_its_words_has_an_incomplete_card(tmp_path):
    """A new target whose purpose nobody wrote lacks purpose and the law's purpose on all four pages."""
    texts = load_texts()
    bare = texts.model_copy(update={"targets": {}})
    for name, content in card.pages(facts(), bare).items():
        (tmp_path / name).write_bytes(content)
    assert len(card.missing_in(tmp_path)) == 8
    assert "card.md: purpose" in card.missing_in(tmp_path)
    assert "card.zh.html: law.purpose" in card.missing_in(tmp_path)
    (tmp_path / "card.zh.md").unlink()
    assert "card.zh.md" in card.missing_in(tmp_path)


def test_every_dimension_has_its_category_of_personal_data():
    """The law's record names what each dimension of the portrait holds."""
    assert set(load_texts().dimensions) >= set(dimensions())


def test_nothing_of_the_card_can_break_out_of_its_page():
    """An operator's words are shown, not run: angle brackets and bars of a note stay text."""
    made = pages(notes=["a <script>alert(1)</script> | b"])
    assert b"<script>" not in made["card.html"]
    assert card.missing_sections(made["card.html"].decode()) == ()


def test_the_words_of_the_card_are_configuration():
    """A section without a title, a rule of the cohort without words: refused by name."""
    for part, name in (("titles", "limits"), ("cohort", "days_with_us")):
        content = load_yaml(config_path("cards.yaml"))
        del content[part][name]
        with pytest.raises(ConfigurationError, match=f"{part}: '{name}' is missing"):
            parse_config(CardTexts, content, source="cards.yaml")


def test_the_cohort_is_said_in_words_and_a_rule_that_is_off_is_not():
    """No brace of a configuration on the card: each rule is a phrase with its figure."""
    rules = CohortRules(
        kinds=("consumer", "other"),
        active_within_days=30,
        not_suspended=False,
        not_porting_within_days=None,
        days_with_us=90,
    )
    assert load_texts().cohort_rules(rules, "en") == (
        "kind of customer: consumer, other (unknown kinds stay); some use in the 30 days before the as-of date; with us for at least 90 days"
    )
    assert (
        load_texts().cohort_rules(rules, "zh")
        == "客户类型:个人客户、other(类型未知者保留);基准日前30天内有使用;在网至少90天"
    )
    made = pages("churn")
    for page, phrase in (
        ("card.md", "with us for at least 90 days"),
        ("card.html", "with us for at least 90 days"),
        ("card.zh.md", "在网至少90天"),
        ("card.zh.html", "在网至少90天"),
    ):
        assert phrase in made[page].decode()


@pytest.mark.parametrize("text", ["since {days} days", "since many days", "since {} days"])
def test_a_rule_of_the_cohort_with_another_slot_is_refused_before_training(text):
    """`{value}` is what can be filled in; anything else would fail when the card is written."""
    content = load_yaml(config_path("cards.yaml"))
    content["cohort"]["days_with_us"]["en"] = text
    with pytest.raises(ConfigurationError, match="cohort: 'days_with_us'"):
        parse_config(CardTexts, content, source="cards.yaml")
