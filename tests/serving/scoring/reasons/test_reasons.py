"""A reason is shown only with its fact and a raising group, in words that may be shown."""

from __future__ import annotations

import copy
import re
from datetime import date

import numpy as np
import pytest

from features.kit.config import config_path, load_yaml, parse_config
from features.kit.errors import ConfigurationError
from features.kit.language import LOCALES
from features.portraits.feature_list import FeatureList, dimensions
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.choice import ReasonPicker, facts_held
from serving.scoring.reasons.writing import ReasonWriter
from tests.serving.scoring.slow import pick_slowly

BOOK = load_book()
WRITER = ReasonWriter(BOOK)
NAMES = FeatureList.declared().names
DAY = date(2026, 6, 1)

FACTS = {
    "calls.repeat_topic": {"topic": "network", "n": 3, "is_unsolved": True, "open": 0},
    "calls.frequent": {"n": 4, "open": 0},
    "calls.leave_enquiry": {},
    "channel.self_service_failed": {"n": 2, "is_done": False, "purpose": "order"},
    "bill.jump": {"month": "2026-05", "amount": 128000, "diff": 45205},
    "bill.overage": {"n": 2, "amount": 30000},
    "bill.unknown_charge": {
        "item": "视频会员",
        "amount": 15000,
        "month": "2026-05",
        "first_month": "2026-05",
        "asked": 0,
    },
    "bill.arrears": {"amount": 68000, "days": 12, "date": "2026-05-20", "status": "active"},
    "usage.falling": {"pct": 41},
    "usage.idle_allowance": {"pct": 18},
    "contract.ending": {"date": "2026-06-20"},
    "contract.discount_ended": {"date": "2026-05-01", "diff": 20000},
    "packs.frequent": {"n": 3, "amount": 30000},
    "data.throttled": {"n": 2},
    "data.near_cap": {"pct": 85, "until": "2026-06-30"},
    "device.5g_on_old_plan": {},
    "roaming.bill_shock": {"amount": 88880},
    "roaming.trip_expected": {"asked": 1},
    "network.poor_quality": {"n": 6},
    "network.grid_fault": {"ticket": "F12", "date": "2026-06-03"},
    "broadband.fault": {"n": 2},
    "tv.idle_before_festival": {"days": 45, "festival": "spring_festival", "date": "2026-06-05"},
    "service.recent_complaint": {
        "date": "2026-05-12",
        "topic": "billing",
        "is_unsatisfied": True,
        "is_unsolved": False,
        "open": 0,
    },
    "service.ticket_overdue": {"ticket": "T9", "hours": 30, "date": "2026-05-30", "topic": "billing"},
    "service.low_satisfaction": {"date": "2026-05-20", "score": 3, "is_newest": True},
    "household.line_closed": {"n": 1},
}


def test_every_code_of_the_domain_page_is_there():
    """27 codes, each with a known subject, two languages, actions, and features that every portrait has."""
    assert set(BOOK.reasons) == {*FACTS, "mixed.no_single_cause"}
    for code, spec in BOOK.reasons.items():
        assert spec.actions, code
        assert set(spec.features) <= set(NAMES), code
        assert code == BOOK.fallback or spec.dimension in dimensions(), code
        assert code == BOOK.fallback or spec.features, code


def test_never_means_never():
    """The codes whose `say` would embarrass, pressure or reveal have nothing to say."""
    never = {code for code, spec in BOOK.reasons.items() if spec.say == ()}
    assert never == {
        "calls.leave_enquiry", "usage.falling", "usage.idle_allowance", "roaming.trip_expected", "household.line_closed",
        "mixed.no_single_cause",
    }  # fmt: skip
    for code in never:
        assert WRITER.write(code, FACTS, "zh", DAY).say is None
    assert (
        WRITER.say_if_asked("usage.idle_allowance", FACTS, "en", DAY)
        == "You use little of your plan; a smaller one may do."
    )
    assert WRITER.say_if_asked("calls.frequent", FACTS, "en", DAY) is None


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_is_filled_and_holds_no_forbidden_word(locale):
    """No slot stays open and no text, filled with figures, holds a word that must never be shown."""
    assert (len(BOOK.reasons), len(BOOK.forbidden[locale]) > 3) == (27, True)
    for code in BOOK.reasons:
        reason = WRITER.write(code, FACTS, locale, DAY)
        for text in (reason.about, reason.say or ""):
            assert "{" not in text, code
            for word in BOOK.forbidden[locale]:
                assert not re.search(word if locale == "zh" else rf"\b{word}\b", text, re.IGNORECASE), (code, word)
            assert locale == "zh" or not re.search(r"[\u4e00-\u9fff]", text), code


@pytest.mark.parametrize(
    ("code", "locale", "about", "say"),
    [
        ("bill.jump", "zh", "2026年5月账单128.00元，比前3月平均多45.21元", "您2026年5月的账单比平时高，我给您说明一下费用构成。"),
        ("bill.jump", "en", "May 2026 bill 128.00 yuan, 45.21 yuan above the 3-month mean", "Your May 2026 bill is higher than usual; let me explain what it is made of."),
        ("calls.repeat_topic", "zh", "7天内就网络问题来电3次，尚未解决", "您反映的网络问题我们还在处理，我向您说明目前的进展。"),
        ("contract.ending", "en", "Contract ends on 20 June 2026", "Your contract ends on 20 June 2026; let me explain the price afterwards."),
        ("usage.falling", "en", "Use fell to 41 % of normal", None),
        ("tv.idle_before_festival", "zh", "机顶盒45天未用，春节将至", "春节快到了，电视久未使用请先重启机顶盒，免得影响观看。"),
    ],
)  # fmt: skip
def test_texts_carry_the_customers_own_figures(code, locale, about, say):
    """Money has two decimals and its currency, dates and topics are words."""
    reason = WRITER.write(code, FACTS, locale, DAY)
    assert (about, say) == (reason.about, reason.say)


def test_a_figure_that_no_sentence_needs_does_not_matter():
    """Further slots of a fact, empty ones too, stay in `facts` and break no text."""
    facts = {"bill.arrears": {"amount": 5000, "days": 0, "date": None, "more": [1]}}
    reason = WRITER.write("bill.arrears", facts, "en", DAY)
    assert (reason.about, reason.facts) == ("5.00 yuan unpaid", facts["bill.arrears"])


def test_money_follows_the_operators_currency_and_scale():
    """45205 is 45.21 yuan in li (half up) and 452.05 dollars in cents; an unknown currency shows its code."""
    assert WRITER.money(45205, "en") == "45.21 yuan"
    assert WRITER.money(-5, "zh") == "-0.01元"
    assert ReasonWriter(BOOK, currency="USD", money_scale=2).money(45205, "en") == "452.05 USD"


def test_what_was_asked_about_leaving_is_not_said():
    """A repeat call about porting is shown to the agent, and nothing is said to the customer."""
    reason = WRITER.write("calls.repeat_topic", {"calls.repeat_topic": {"topic": "porting", "n": 2}}, "zh", DAY)
    assert (reason.about, reason.say) == ("7天内就携号转网问题来电2次", None)


def picked(picker, facts, sums, most=3):
    """Returns the codes of one customer, after it has been held against the plain way through them."""
    found = picker.pick(facts_held(BOOK, [facts]), np.array([sums]), most=most, most_per_dimension=2)
    slow = pick_slowly(BOOK, facts, dict(zip(picker.codes, sums, strict=False)), most=most, most_per_dimension=2)
    assert picker.names(found.codes[0]) == [code for code, _ in slow]
    assert found.contributions[0].tolist()[: len(slow)] == [part for _, part in slow]
    return picker.names(found.codes[0])


SUMS = {
    "calls.repeat_topic": 0.9, "calls.frequent": 0.8, "service.recent_complaint": 0.7, "bill.jump": 0.5, "bill.overage": 0.4,
    "bill.arrears": 0.3, "network.poor_quality": 0.0, "contract.ending": -0.2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("held", "most", "expected"),
    [
        ([], 3, ["mixed.no_single_cause"]),
        (["bill.jump"], 3, ["bill.jump"]),
        (["contract.ending", "network.poor_quality"], 3, ["mixed.no_single_cause"]),
        (["bill.jump", "calls.repeat_topic"], 3, ["calls.repeat_topic", "bill.jump"]),
        (["bill.jump", "calls.repeat_topic"], 1, ["calls.repeat_topic"]),
        (["bill.arrears", "bill.overage", "bill.jump"], 3, ["bill.jump", "bill.overage"]),
        (["bill.arrears", "bill.overage", "bill.jump", "calls.frequent"], 3, ["calls.frequent", "bill.jump", "bill.overage"]),
        (["calls.frequent", "calls.repeat_topic", "service.recent_complaint", "bill.jump"], 3,
         ["calls.repeat_topic", "calls.frequent", "service.recent_complaint"]),
        (["device.5g_on_old_plan", "unheard.of"], 3, ["mixed.no_single_cause"]),
    ],
)  # fmt: skip
def test_reasons_are_ordered_capped_and_of_mixed_subjects(held, most, expected):
    """Strongest first, at most `most`, at most two of one subject, none of another target, none that lowers the score."""
    picker = ReasonPicker(BOOK, "churn", NAMES, NAMES)
    sums = [SUMS.get(code, 0.0) for code in picker.codes[:-1]]
    assert expected == picked(picker, {code: FACTS.get(code, {}) for code in held}, sums, most)


def test_equal_contributions_are_ordered_by_code():
    """A tie is broken on purpose, whatever the order in the portrait."""
    picker = ReasonPicker(BOOK, "churn", NAMES, NAMES)
    facts = {code: FACTS[code] for code in ("network.poor_quality", "bill.jump", "contract.ending")}
    assert picked(picker, facts, np.ones(len(picker.codes) - 1)) == [
        "bill.jump",
        "contract.ending",
        "network.poor_quality",
    ]


@pytest.mark.parametrize(
    "slots", [{}, {"month": "2026-05", "amount": 1}, {"month": "2026-05", "amount": 1, "diff": None}]
)
def test_a_fact_without_its_figures_does_not_hold(slots):
    """A sentence that cannot be filled is never begun."""
    assert not BOOK.holds("bill.jump", {"bill.jump": slots})
    assert BOOK.holds("bill.jump", FACTS)
    assert not BOOK.holds("broadband.fault", {"broadband.fault": {"n": 0}})
    assert BOOK.holds("usage.falling", {"usage.falling": {"pct": 0}})


def test_a_group_outside_the_model_raises_nothing():
    """A reason whose features the model does not read is never shown, whatever its fact says."""
    picker = ReasonPicker(BOOK, "churn", ["tenure_days", "arrears_amount"], NAMES)
    sums = picker.group_sums(np.array([[0.5, 0.25, 9.0]]))
    assert sums[0, picker.codes.index("bill.arrears")] == 0.25
    assert sums.sum() == 0.25
    facts = {"bill.arrears": FACTS["bill.arrears"], "calls.frequent": FACTS["calls.frequent"]}
    assert picked(picker, facts, sums[0]) == ["bill.arrears"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("reasons", "calls.frequent", "about", 0, "en"), "A customer at risk", "reasons.calls.frequent.about.1.en: the word 'risk'"),
        (("reasons", "calls.frequent", "say", 1, "zh"), "您有流失倾向", "reasons.calls.frequent.say.2.zh: the word '流失'"),
        (("reasons", "calls.frequent", "about", 0, "en"), "Called {times} times", "reasons.calls.frequent.about.1.en: slot: unknown 'times'"),
        (("reasons", "calls.frequent", "abuot"), "x", "unknown key 'reasons.calls.frequent.abuot'; did you mean 'about'"),
        (("fallback",), "no.such", "fallback: 'no.such'"),
        (("fallback",), "calls.frequent", "fallback: 'calls.frequent'"),
    ],
)  # fmt: skip
def test_a_bad_text_never_loads(place, value, message):
    """A forbidden word, an unknown slot, a misspelt key: one line that names the place."""
    content = copy.deepcopy(load_yaml(config_path("reasons.yaml")))
    parse_config(ReasonBook, content, source="reasons.yaml")
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(ConfigurationError) as caught:
        parse_config(ReasonBook, content, source="reasons.yaml")
    assert message in str(caught.value)


def test_a_misspelt_feature_is_named():
    """A feature that no portrait has is refused when the scorer is made; one that only this release has is not."""
    ReasonPicker(BOOK, "churn", ["tenure_days"], ["tenure_days"])
    content = copy.deepcopy(load_yaml(config_path("reasons.yaml")))
    content["reasons"]["usage.falling"]["features"].append("use_recency_dais")
    book = parse_config(ReasonBook, content, source="reasons.yaml")
    with pytest.raises(ConfigurationError, match=r"reasons\.usage\.falling.*: no portrait has 'use_recency_dais'"):
        ReasonPicker(book, "churn", ["tenure_days"], NAMES)
