"""Every sentence, in both languages, against facts that hold, do not hold or are unknown: nothing is said that is not so.

The rules are written here once more, apart from `configs/reasons.yaml`: they read the finished sentence as the customer
hears it and look up in the facts what it takes for granted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from features.feeds.landed.manifest import Operator
from features.kit.config import config_path, load_yaml, parse_config
from features.kit.errors import ConfigurationError
from features.kit.language import LOCALES, Locale
from serving.outreach.decision.candidates import Candidate
from serving.outreach.export.offers import offer_of
from serving.outreach.export.wording import Wording
from serving.outreach.settings import NO_CONTACT, ON_REQUEST, OutreachSettings, load_settings
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.sentences import Presupposition
from tests.serving.outreach.decision.test_choice import FIT, OFFER, candidate
from tests.world import card

BOOK, SETTINGS = load_book(), load_settings()
TOWN = Operator(name="town", time_zone="Asia/Shanghai", currency="CNY", money_scale=3)
DAYS = (date(2026, 6, 1), date(2026, 6, 20), date(2026, 7, 4))
YES_NO_UNKNOWN = (True, False, None)

# Slot -> the values that it takes; every combination of a reason is rendered.
GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "calls.repeat_topic": {
        "n": (2,), "topic": (*BOOK.topics, "宽带安装", "own_topic"), "is_unsolved": YES_NO_UNKNOWN, "open": (0, 1, None),
    },
    "calls.frequent": {"n": (4,), "open": (0, 2, None)},
    "calls.leave_enquiry": {"n": (1,)},
    "channel.self_service_failed": {"n": (2,), "is_done": YES_NO_UNKNOWN, "purpose": ("order", "query", "绑卡", None)},
    "bill.jump": {"month": ("2026-04", "2026-05"), "amount": (128_000,), "diff": (45_000,), "item": ("overage_fee",)},
    "bill.overage": {"n": (2,), "amount": (30_000,)},
    "bill.unknown_charge": {
        "item": ("视频会员", "炫铃", "Ringtone"), "amount": (15_000,), "month": ("2026-04", "2026-05", None),
        "first_month": ("2026-06", "2026-05", "2026-04", "2025-07", None), "asked": (0, 2, None),
    },
    "bill.arrears": {
        "amount": (68_000,), "date": ("2026-05-20",), "days": (12,), "status": ("active", "suspended_arrears", None),
    },
    "usage.falling": {"pct": (41,)},
    "usage.idle_allowance": {"pct": (18,)},
    "contract.ending": {"date": ("2026-06-01", "2026-06-20", "2026-07-20")},
    "contract.discount_ended": {"date": ("2026-05-31", "2026-06-20"), "diff": (20_000,)},
    "packs.frequent": {"n": (2, 3), "amount": (30_000,)},
    "data.throttled": {"n": (2, 3)},
    "data.near_cap": {"pct": (85,), "until": ("2026-05-31", "2026-06-30", "2026-07-31")},
    "device.5g_on_old_plan": {"days": (40,)},
    "roaming.bill_shock": {"amount": (88_880,)},
    "roaming.trip_expected": {"asked": (0, 1)},
    "network.poor_quality": {"n": (6,)},
    "network.grid_fault": {"ticket": ("F12",), "date": ("2026-06-01", "2026-06-03", "2026-07-10")},
    "broadband.fault": {"n": (1, 2)},
    "tv.idle_before_festival": {
        "days": (45,), "festival": ("dragon_boat",), "date": ("2026-06-01", "2026-06-05", "2026-06-25", "2026-07-09"),
    },
    "service.recent_complaint": {
        "date": ("2026-05-12",), "topic": ("billing", "cancelling", "宽带安装"), "is_unsatisfied": YES_NO_UNKNOWN,
        "is_unsolved": YES_NO_UNKNOWN, "open": (0, 1, None),
    },
    "service.ticket_overdue": {"ticket": ("T9",), "hours": (102,), "date": ("2026-05-28", None), "topic": ("billing", None)},
    "service.low_satisfaction": {"date": ("2026-05-20",), "score": (3,), "is_newest": YES_NO_UNKNOWN},
    "household.line_closed": {"n": (1, 2)},
}  # fmt: skip

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
# What a sentence with these words says, and whether the facts bear it out on a day.
CLAIMS: dict[str, tuple[str, Any]] = {
    "new": ("新增|\\bnew\\b", lambda f, day: 0 <= (day - _first(f.get("first_month") or "2000-01")).days <= 45),
    "this month": ("本月|\\bthis month", lambda f, day: str(f.get("until"))[:7] == f"{day:%Y-%m}"),
    "unsolved": ("未解决|还在处理|\\bnot solved|still working|由我负责跟进，想|in charge of the [^;.]* and would",
                 lambda f, _: f.get("is_unsolved") is True),
    "done?": ("办好了没有|真正解决|已经解决|all is settled|really solved|been solved", lambda f, _: f.get("open") == 0),
    "solved": ("最近一次已解决|call was resolved", lambda f, _: f.get("is_unsolved") is False),
    "unsatisfied": ("回访不满意|not satisfied", lambda f, _: f.get("is_unsatisfied") is True),
    "last rating": ("上次评价|last rating", lambda f, _: f.get("is_newest") is True),
    "still to come": ("预计|合约\\d+年\\d+月\\d+日到期|ends on|expected", lambda f, day: date.fromisoformat(f["date"]) >= day),
    "near": ("快到了|将至|is near|Before the", lambda f, day: 0 < (date.fromisoformat(f["date"]) - day).days <= 30),
    "over": ("日已到期|iscount ended", lambda f, day: date.fromisoformat(f["date"]) < day),
    "asked": ("您咨询的|您来电问过|you asked|Asked about a charge|扣费来电", lambda f, _: (f.get("asked") or 0) > 0),
    "failed": ("没有成功|did not go through[;.]", lambda f, _: f.get("is_done") is False),
    "in use": ("避免停机|免影响使用|avoids suspension|is not affected", lambda f, _: f.get("status") == "active"),
    "perhaps unknown": ("可能不知情|perhaps unknown", lambda f, _: f.get("first_month") is not None),
    "a matter": ("您反映的(?!.{0,9}问题)|您反映过(?!.{0,9}问题)", lambda *_: False),
    "several": ("\\b1 (?:times|services|broadband faults|months)", lambda *_: False),
    "broken": ("\\{|\\}|None|\\ba (?=[aeiou])|，，|\\.\\.|  ", lambda *_: False),
}  # fmt: skip
CHINESE = re.compile(r"[\u3400-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{2,}")


def _first(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def wrong(text: str, facts: dict[str, Any], day: date, locale: Locale, *, heard: bool) -> Iterator[str]:
    """Yields the name of everything that a sentence claims and the facts do not bear out."""
    yield from (name for name, (words, is_so) in CLAIMS.items() if re.search(words, text) and not is_so(facts, day))
    own = {str(value)[:7] for value in facts.values() if re.match(r"\d{4}-\d\d", str(value))}
    named = {f"{year}-{int(month):02d}" for year, month in re.findall(r"(\d{4})年(\d+)月", text)}
    named |= {
        f"{year}-{MONTHS.index(name) + 1:02d}" for name, year in re.findall(rf"({'|'.join(MONTHS)}) (\d{{4}})", text)
    }
    if not named <= own:
        yield "month"
    if locale == "en" and CHINESE.search(text if heard else re.sub("“[^”]*”", "", text)):
        yield "Chinese"
    if locale == "zh" and LATIN.search(re.sub("“[^”]*”|T9|F12", "", text)):
        yield "Latin"
    topic = facts.get("topic")
    if heard and topic in ("porting", "cancelling") and re.search("携号|销户|porting|cancelling", text):
        yield "leaving"


def cases(code: str) -> Iterator[dict[str, Any]]:
    """Yields every combination of slot values of a reason."""
    grid = GRID[code]
    yield from (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))


def spoken(book: ReasonBook, settings: OutreachSettings, code: str) -> Iterator[tuple[str, str]]:
    """Yields (what is wrong, sentence) of everything that may be read or heard because of a reason."""
    wording = Wording(settings, book, TOWN)
    for facts, day, locale in itertools.product(cases(code), DAYS, LOCALES):
        if not book.holds(code, {code: facts}, day):
            continue
        reason = wording.writer.write(code, {code: facts}, locale, day)
        yield from ((name, reason.about) for name in wrong(reason.about, facts, day, locale, heard=False))
        asked = wording.writer.say_if_asked(code, {code: facts}, locale, day)
        heard = [text for text in (reason.say, asked) if text]
        for name in set(book.actions(code)) - {NO_CONTACT, ON_REQUEST}:
            for channel in settings.actions[name].channels:
                action = settings.actions[name]
                opening = wording.opening(action, channel, {}, {code: facts}, triggers=(code,), day=day)[locale]
                assert len(opening) > 5, (name, channel, locale)
                framed = channel in ("message", "app") and action.kind == "M"
                heard.append(
                    opening.replace("[town] ", "").replace("【town】", "").replace("回复R", "") if framed else opening
                )
        yield from ((name, text) for text in heard for name in wrong(text, facts, day, locale, heard=True))


def test_the_grid_knows_every_slot_of_every_fact():
    """A new reason or a new slot fails here until its values are written down."""
    from features.portraits.facts.facts import fact_slots
    from features.portraits.settings import load_settings as portrait_settings

    slots = fact_slots(portrait_settings().limits)
    assert {code: frozenset(GRID[code]) for code in GRID} == {
        code: slots[code] for code in slots if code != BOOK.fallback
    }


@pytest.mark.parametrize("code", GRID)
def test_nothing_is_said_that_is_not_so(code):
    """Reason x action x channel x language x facts: months, tenses, states and names are those of the facts."""
    assert set(spoken(BOOK, SETTINGS, code)) == set()


FOUND_BY = {
    "unsolved": "unsolved", "solved": "solved", "nothing_open": "done?", "is_unsatisfied": "unsatisfied", "is_new": "new",
    "is_newest": "last rating", "this_month": "this month", "to_come": "still to come", "near": "near", "over": "over",
    "asked": "asked", "several": "several", "not_done": "failed", "in_use": "in use",
}  # fmt: skip


@pytest.mark.parametrize("name", BOOK.presuppositions)
def test_without_its_guard_each_presupposition_is_missed(name):
    """The canary: taken as given, whatever the facts are, it makes the rule about it find a sentence that is not so."""

    class Always(Presupposition):
        def holds(self, values: Any, day: date) -> bool:
            return True

    always = BOOK.presuppositions | {name: Always.model_construct(**dict(BOOK.presuppositions[name]))}
    loose = {code: spec.model_copy(update={"until": ""}) for code, spec in BOOK.reasons.items()}
    book = BOOK.model_copy(update={"presuppositions": always, "reasons": loose})
    codes = [code for code, grid in GRID.items() if always[name].slot in grid and code != BOOK.fallback]
    assert FOUND_BY[name] in {found for code in codes for found, _ in spoken(book, SETTINGS, code)}


@pytest.mark.parametrize(
    ("code", "slots"),
    [
        ("network.grid_fault", {"ticket": "F1", "date": "2026-06-03"}),
        ("contract.ending", {"date": "2026-06-03"}),
        ("data.near_cap", {"pct": 85, "until": "2026-06-03"}),
        ("tv.idle_before_festival", {"days": 45, "festival": "dragon_boat", "date": "2026-06-03"}),
    ],
)
def test_a_fact_ends_with_its_last_day(code, slots):
    """On its last day it is still a reason, the day after it is none; the portrait's own day needs no check."""
    days = (None, date(2026, 6, 3), date(2026, 6, 4))
    assert [BOOK.holds(code, {code: slots}, day) for day in days] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "facts", "locale", "expected"),
    [
        ("您反映的网络由我负责跟进。", {"topic": "network"}, "zh", {"a matter"}),
        ("您的账单里新增了“视频会员”", {"first_month": "2025-07"}, "zh", {"new"}),
        ("您本月新增“视频会员”", {"first_month": "2026-04", "month": "2026-04"}, "zh", {"new", "this month"}),
        ("您2026年4月的账单", {"month": "2026-05"}, "zh", {"month"}),
        ("7天内来电2次，尚未解决", {"is_unsolved": False}, "zh", {"unsolved"}),
        ("想确认事情都办好了没有。", {"open": 1}, "zh", {"done?"}),
        ("a charge for 视频会员", {}, "en", {"Chinese"}),
        ("您在线上申请的recharge", {}, "zh", {"Latin"}),
        ("your online order", {}, "en", set()),
    ],
)
def test_the_rules_find_the_sentences_of_the_issue(text, facts, locale, expected):
    """Each sentence that was heard in a real list is named by its fault on 1 June."""
    assert set(wrong(text, facts, date(2026, 6, 1), locale, heard=True)) == expected


@pytest.mark.parametrize(
    ("code", "slots", "zh", "en"),
    [
        ("calls.repeat_topic", {"n": 2, "topic": "network", "is_unsolved": True},
         "您好，您反映的网络问题由我负责跟进，想跟您核对一下现在的情况。",
         "Hello, I am in charge of the network problem you raised and would like to check how things are now."),
        ("bill.unknown_charge", {"item": "炫铃", "amount": 10_000, "month": "2026-05", "first_month": "2025-07", "asked": 1},
         "您好，您来电问过扣费，2026年5月的账单里有一项“炫铃”费用，请问需要保留吗？不需要的话我马上为您取消。",
         "Hello, you asked about a charge; your May 2026 bill holds one for a value-added service. Would you like to keep it? If not, I cancel it now."),
        ("service.ticket_overdue", {"ticket": "T1", "hours": 102, "topic": "宽带安装"},
         "您好，您反映的问题没有按时处理好，非常抱歉，现在由我负责跟进。",
         "Hello, I am sorry that the matter you raised was not settled in time; I am in charge of it now."),
    ],
)  # fmt: skip
def test_an_opening_speaks_of_one_reason_as_it_stands(code, slots, zh, en):
    """The topic is a noun phrase, the month is the fact's own, an item without an English name stays neutral."""
    action = SETTINGS.actions[BOOK.actions(code)[0]]
    opening = Wording(SETTINGS, BOOK, TOWN).opening(action, "call", {}, {code: slots}, triggers=(code,), day=DAYS[0])
    assert opening == {"zh": zh, "en": en}


def test_an_opening_never_mixes_two_reasons():
    """The month of a jump is not said of the over-use fees of three bills, whichever reason comes first."""
    facts: dict[str, dict[str, Any]] = {
        "bill.overage": {"n": 2, "amount": 1},
        "bill.jump": {"month": "2026-05", "amount": 1, "diff": 1},
    }
    wording = Wording(SETTINGS, BOOK, TOWN)
    for triggers, named in ((tuple(facts), False), (tuple(reversed(facts)), True)):
        opening = wording.opening(
            SETTINGS.actions["bill_explanation"], "call", {}, facts, triggers=triggers, day=DAYS[0]
        )
        assert ("2026年5月" in opening["zh"], "套餐外" in opening["zh"]) == (named, not named)


def _offer(**names: Any) -> dict[str, Any]:
    import orjson

    fit = FIT | {"offers": orjson.dumps([OFFER | names]).decode()}
    one: Candidate = candidate(fit=fit, card=card(plan_zh="飞享59", plan_en=None))
    option = type("Option", (), {"action": "plan_fit_offer", "candidate": one})()
    renewal = type("Option", (), {"action": "contract_renewal", "candidate": one})()
    writer = Wording(SETTINGS, BOOK, TOWN).writer
    return offer_of(option, writer).slots | offer_of(renewal, writer).slots


def test_an_offer_without_an_english_name_is_neutral_in_english():
    """The customer hears "another plan"; only what the agent reads adds the operator's own name in quotes."""
    slots = _offer(name_en=None, pack_id="P5", pack_zh="流量包5GB", pack_en=None)
    assert slots["offer"].en.startswith("changing to another plan with a data pack, which renews itself")
    assert slots["terms"].en.startswith(
        "changing to another plan (“5G智享69”) with a data pack (“流量包5GB”), which renews"
    )
    assert (slots["plan"].zh, slots["plan"].en) == ("“飞享59”", "")
    assert not CHINESE.search(slots["offer"].en + slots["plan"].en)
    assert _offer()["offer"].en.startswith("changing to 5G Smart 69 (")


@pytest.mark.parametrize(
    ("place", "sentence", "message"),
    [
        (("calls.frequent", "say"), {"zh": "事情都办好了没有", "en": "x"}, "'办好了' takes 'nothing_open' for granted"),
        (("calls.frequent", "say"), {"zh": "x", "en": "A NEW matter"}, "'new' takes 'is_new' for granted"),
        (("calls.frequent", "say"), {"zh": "x", "en": "x", "needs": ["solvd"]}, "needs: unknown 'solvd'; did you mean 'solved'"),
        (("calls.frequent", "about"), {"zh": "x", "en": "x", "needs": ["nothing_open"]}, "about: the last sentence must need nothing"),
    ],
)  # fmt: skip
def test_a_sentence_that_hides_what_it_takes_for_granted_never_loads(place, sentence, message):
    """The place and the word are named; the shipped file loads."""
    content = load_yaml(config_path("reasons.yaml"))
    parse_config(ReasonBook, content, source="reasons.yaml")
    content["reasons"][place[0]][place[1]] = [sentence]
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse_config(ReasonBook, content, source="reasons.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('needs: [in_use], zh: "您好，您的账户有{amount}待缴，及时', 'zh: "您好，您的账户有{amount}待缴，及时', "'避免停机' takes 'in_use'"),
        ("of: bill.arrears, needs: [in_use]", "of: bill.arrears, needs: [unsolved]", "'unsolved' asks for 'is_unsolved', which this fact"),
        ("of: bill.arrears, zh", "of: bill.jump, zh", "opening.2.of: unknown 'bill.jump'"),
        ("您的账户有费用待缴，", "您的账户有{amount}待缴，", "arrears_reminder.opening: the last sentence"),
    ],
)  # fmt: skip
def test_an_opening_that_its_fact_cannot_back_never_loads(tmp_path, monkeypatch, old, new, message):
    """What a reason's fact does not hold, or does not say, is refused with its place when the configuration is read."""
    import shutil

    shutil.copytree(config_path("outreach.yaml").parent, tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    load_settings()
    path = tmp_path / "configs" / "outreach.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load_settings()


def test_a_presupposition_asks_exactly_one_thing():
    """Two conditions, or none, are refused."""
    content = load_yaml(config_path("reasons.yaml"))
    content["presuppositions"]["asked"] = {"slot": "asked"}
    with pytest.raises(ConfigurationError, match="exactly one of"):
        parse_config(ReasonBook, content, source="reasons.yaml")
