"""Which action, what it is worth, who gets a place, what the agent reads: small cases in, lines out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from zipfile import ZipFile

import pytest

from features.kit.config import config_path
from features.kit.errors import ConfigurationError
from serving.outreach.decision.actions import Chooser, Decision, Option
from serving.outreach.decision.allocate import Held, allocate, in_list_order, shared_capacity
from serving.outreach.decision.candidates import Candidate, Candidates, Sources, TargetScore
from serving.outreach.export.content import ContentWriter
from serving.outreach.export.wording import address_text, band_text, masked
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.ledger import is_line_id, line_id_of
from serving.outreach.lists.request import ListRequest
from serving.outreach.policy.calendar import best_open_hours, festival_days, is_festival, open_hours
from serving.outreach.policy.control import drawn, lots_of
from serving.outreach.policy.ledger_facts import LedgerFacts
from serving.outreach.settings import Capacity, load_settings
from serving.scoring.reasons.book import load_book
from tests.serving.outreach.conftest import policy_of, states_of
from tests.world import AS_OF, USES_LESS, Town, card, write_people, write_scores


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Returns the policy of five ordinary customers; the last one never gave a consent."""
    town = Town(tmp_path_factory.mktemp("choice"))
    for k in range(1, 6):
        town.customer(f"C000{k}", consents=k < 5)
    shipped = load_settings()
    settings = shipped.model_copy(update={"control": shipped.control.model_copy(update={"share": 0.0})})
    return policy_of(states_of(town.land()), settings, LedgerFacts())


@pytest.fixture(scope="module")
def chooser(policy):
    """Returns the chooser of 1 June in li."""
    return Chooser(policy, load_book())


def candidate(
    one: str = "C0001", *, p: float = 0.2, band: str = "very_high", target: str = "churn", **more
) -> Candidate:
    """Returns a candidate with one score."""
    scores = {target: TargetScore(p, 99.5, p / 0.02, band, ())} if p else {}
    known = {"reasons": USES_LESS, "card": card(), "scores": scores}
    return Candidate(one, "self_served", **{**known, **more})


def decision_on(chooser: Chooser, rows: list[Candidate]) -> Decision:
    """Returns what these candidates could be offered."""
    return chooser.offer(Candidates(tuple(rows), Sources("portrait_v1")))


def test_the_value_of_an_action_is_the_worked_example(chooser, policy):
    """P .20 x -.10 x (100 yuan x .45 x 18) = 16.20, less 4.00 for the call and .15 x 8.00 of harm: 11.00 yuan."""
    action = policy.settings.actions["service_review"]
    assert chooser.value(candidate(), action, "call") == (11_000, "churn")


def test_no_contact_beats_an_action_that_costs_more_than_it_brings(chooser):
    """At P .02 the call keeps 1.62 yuan and costs 5.20: nothing is offered, and it is counted."""
    offered = decision_on(chooser, [candidate(p=0.02)])
    assert (offered.options, offered.without_value) == ((), 1)


def test_who_has_left_already_is_no_departure_to_prevent(chooser):
    """After 31 days without use a call would prevent nothing: no option; an unknown or short pause changes nothing."""
    assert decision_on(chooser, [candidate(idle_days=31.0)]).options == ()
    for days in (30.0, None):
        assert [one.action for one in decision_on(chooser, [candidate(idle_days=days)]).options] == ["service_review"]


def test_a_score_without_a_cause_to_speak_of_is_no_line(chooser, policy):
    """No fact at all: withheld under its own code, on a list and the day after; a fact that is known makes it a line."""
    bare, known = candidate(reasons={}), candidate("C0002")
    offered = decision_on(chooser, [bare, known])
    assert [one.candidate.customer_id for one in offered.options] == ["C0002"]
    assert (offered.suppressed, offered.without_value) == (Counter({"nothing_to_say": 1}), 0)
    assert json.dumps(offered.suppressed) == '{"nothing_to_say": 1}'
    assert [type(code) for code in offered.suppressed] == [str]  # the ledger's summary takes no other key
    started = [(one.customer_id, "service_review", "call") for one in (bare, known)]
    again = chooser.again(Candidates((bare, known), Sources("portrait_v1")), started)
    assert [again[about] is None for about in started] == [True, False]


def test_a_duty_needs_no_score_and_silences_every_offer(chooser):
    """An overdue ticket is answered without any model, and the same person's contract offer waits."""
    reasons = {"service.ticket_overdue": {"ticket": "T1", "hours": 3}, "contract.ending": {"date": "2026-06-20"}}
    assert [one.action for one in decision_on(chooser, [candidate(p=0, reasons=reasons)]).options] == ["follow_up_call"]
    assert [one.action for one in decision_on(chooser, [candidate(reasons=reasons)]).options] == ["follow_up_call"]
    del reasons["service.ticket_overdue"]
    assert [one.action for one in decision_on(chooser, [candidate(reasons=reasons)]).options] == ["contract_renewal"]


def test_what_policy_and_conditions_refuse_is_counted(chooser):
    """No consent, no proven fit and no enquiry about roaming each have their code."""
    ending = {"contract.ending": {"date": "2026-06-20"}}
    overage = {"packs.frequent": {"n": 3, "amount": 30_000}}
    trip: dict[str, Any] = {"roaming.trip_expected": {}}
    offered = decision_on(
        chooser,
        [
            candidate("C0005", reasons=ending),
            candidate("C0001", reasons=overage),
            candidate("C0002", reasons=trip, target="upgrade"),
        ],
    )
    assert offered.options == ()
    assert offered.suppressed == Counter({"consent_missing": 1, "fit_not_proven": 1, "never_asked": 1})


def test_a_saving_is_offered_only_when_the_fit_is_proven(chooser):
    """With re-rating that reproduced the bills and a saving, the plan is offered."""
    reasons = {"packs.frequent": {"n": 3, "amount": 30_000}}
    proven = {"status": "ok", "saving": 12_300, "months": 3}
    assert [one.action for one in decision_on(chooser, [candidate(reasons=reasons, fit=proven)]).options] == [
        "plan_fit_offer"
    ]
    for change in ({"status": "bill_not_reproduced"}, {"saving": 0}):
        assert decision_on(chooser, [candidate(reasons=reasons, fit=proven | change)]).options == ()


def test_the_best_channel_comes_first_but_a_call_never_before_a_message(chooser):
    """Arrears go by app to an app user, by message to somebody who likes calls; a review is always a call."""
    arrears = {"bill.arrears": {"amount": 5_000, "days": 3}}
    for best, expected in (("app", "app"), ("call", "message"), ("hall", "message")):
        options = decision_on(chooser, [candidate(p=0, reasons=arrears, card=card(best_channel=best))]).options
        assert [one.channel for one in options] == [expected]
    assert [one.channel for one in decision_on(chooser, [candidate()]).options] == ["call"]


def test_capacity_is_shared_in_proportion_and_adds_up():
    """Teams of 90 and 60 attempts share 7 as 4 and 3."""
    teams = [Capacity(team="a", skill="x", attempts=90), Capacity(team="b", skill="y", attempts=60)]
    assert shared_capacity(teams, 7) == {("a", "x"): 4, ("b", "y"): 3}
    assert shared_capacity(teams, None) == {("a", "x"): 90, ("b", "y"): 60}


def test_messages_keep_their_own_attempts():
    """A total of 7 is shared by people alone; the attempts of messages stay, and 0 stops them too."""
    teams = [Capacity(team="a", skill="x", attempts=90), Capacity(team="m", skill="n", attempts=900, shared=False)]
    assert shared_capacity(teams, 7) == {("a", "x"): 7, ("m", "n"): 900}
    assert shared_capacity(teams, None) == {("a", "x"): 90, ("m", "n"): 900}
    assert shared_capacity(teams, 0) == {("a", "x"): 0, ("m", "n"): 0}


def test_a_service_message_and_an_offer_take_different_attempts(settings):
    """A reminder of arrears is a notice; an offer by message is not, and a call takes the action's own team."""
    reminder, offer = settings.actions["arrears_reminder"], settings.actions["upgrade_invite"]
    assert [settings.route(reminder, one) for one in ("message", "app")] == [("digital", "notices")] * 2
    assert settings.route(offer, "message") == ("digital", "messages")
    assert settings.route(reminder, "call") == ("care", "service")


def test_places_go_by_value_with_ties_by_customer_whatever_the_input_order(chooser):
    """Three equal customers and one place: the first by id; a lost claim passes the place on."""
    options = decision_on(chooser, [candidate(f"C000{k}") for k in (3, 1, 2)]).options
    places = {("care", "retention"): 1}
    assert [one.candidate.customer_id for one in allocate(options, places, lambda _: True)[0]] == ["C0001"]
    assert [one.candidate.customer_id for one in allocate(options[::-1], places, lambda _: True)[0]] == ["C0001"]
    chosen, _, left_out = allocate(options, places, lambda one: one.candidate.customer_id != "C0001")
    assert [one.candidate.customer_id for one in chosen] == ["C0002"]
    assert left_out == Counter({"over_capacity": 1, "claimed": 1})


def line(name: str, tier: int, value: int = 0, next_at: datetime | None = None) -> Held:
    """Returns an unfinished line of the retention team."""
    return Held(name, "care", "retention", (tier, 0, -value, name, "a"), next_at)


def test_unfinished_lines_take_their_place_in_one_order_after_appointments(chooser):
    """A new duty comes before carried courtesy, the nearest appointment before all, and what has no place waits."""
    options = decision_on(chooser, [candidate("C0001")]).options
    duty = replace(options[0], tier=0)
    eight, nine = (datetime(2026, 6, 2, hour, tzinfo=UTC) for hour in (8, 9))
    held = [line("courtesy", 2), line("nine", 2, next_at=nine), line("eight", 2, next_at=eight), line("service", 1)]
    chosen, kept, _ = allocate([duty], {("care", "retention"): 4}, lambda _: True, held)
    capacity = [Capacity(team="care", skill="retention", attempts=4)]
    assert [one if isinstance(one, Option) else one.line_id for one in in_list_order(chosen, capacity, kept)] == [
        "eight", "nine", duty, "service",
    ]  # fmt: skip


def test_new_lines_are_not_starved_but_never_before_a_carried_duty(chooser):
    """Of 4 places a half is for new courtesy beside better carried courtesy; carried duties leave none of theirs."""
    options = decision_on(chooser, [candidate(f"C000{k}") for k in range(1, 6)]).options
    assert {option.tier for option in options} == {2}
    places = {("care", "retention"): 4}
    courtesy = [line(f"L{k}", 2, value=10**9) for k in range(6)]
    duties = [line(f"D{k}", 0) for k in range(6)]

    def counts(new, held, claim=lambda _: True) -> tuple[int, int]:
        chosen, kept, _ = allocate(new, places, claim, held, 0.5)
        return len(chosen), len(kept)

    assert (counts(options, courtesy), counts([], courtesy), counts(options, duties)) == ((2, 2), (0, 4), (0, 4))
    assert counts(options, courtesy, lambda _: False) == (0, 4)


@pytest.fixture(scope="module")
def content(policy):
    """Returns the writer of lines."""
    book = load_book()
    return ContentWriter(policy, book)


def written(chooser, content, one: Candidate) -> dict:
    """Returns the content of a candidate's best line."""
    return content.write(min(decision_on(chooser, [one]).options, key=lambda option: option.rank), date(2026, 6, 3))


def test_openings_carry_the_customers_own_figures(chooser, content):
    """The contract date, the saving and the new charge are said; without the figure the plain opening is."""
    renewal = written(chooser, content, candidate(reasons={"contract.ending": {"date": "2026-06-20"}}))
    assert "2026年6月20日到期" in renewal["opening"]["zh"]
    fit = {"status": "ok", "saving": 12_300, "months": 3}
    offer = written(chooser, content, candidate(reasons={"packs.frequent": {"n": 3, "amount": 30_000}}, fit=fit))
    assert "每月大约可省12.30元" in offer["opening"]["zh"]
    charge = written(
        chooser, content, candidate(p=0, reasons={"bill.unknown_charge": {"item": "视频会员", "amount": 15_000}})
    )
    assert "“视频会员”" in charge["opening"]["zh"]
    assert charge["may_grant"]["en"] == "cancel at once; refund the last charge for it, at most 30.00 yuan"


OFFER = {
    "kind": "plan", "plan_id": "F69", "name_zh": "5G智享69", "name_en": "5G Smart 69", "pack_id": None, "pack_zh": None,
    "pack_en": None, "monthly_fee": 69_000, "monthly_cost": 69_000, "worst_month_cost": 76_000, "saving": 30_000,
    "early_exit_fee": 0, "contract_months": 12, "effective_on": "2026-07-01", "on_request": False, "status": "ok",
    "lost": {"data_kb": {"now": None, "then": 15 * 1024 * 1024}, "generation": {"now": 5, "then": 4}},
}  # fmt: skip
FIT = {
    "status": "ok", "saving": 30_000, "months": 5, "best_plan_id": "F69", "current_plan_id": "F99",
    "current_fee": 99_000, "current_cost": 99_000, "current_worst_month_cost": 106_000,
}  # fmt: skip
FREQUENT = {"packs.frequent": {"n": 3, "amount": 30_000}}


def test_a_line_names_its_offer(chooser, content):
    """Plan, fee and loss are said to the customer; the agent reads the worst month, the contract and the day too."""
    asked = {"plan_id": "L08", "saving": 95_000, "on_request": True, "lost": {}}
    fit = FIT | {"offers": json.dumps([OFFER | asked, OFFER])}
    caller = card(best_channel="call")
    line = written(chooser, content, candidate(reasons=FREQUENT, fit=fit, card=caller))
    assert line["opening"] == {
        "zh": "您好，根据您近5个月的实际用量，改用“5G智享69”（月费69.00元）每月大约可省30.00元，"
        "但流量由不限量变为15GB，网络由5G变为4G，想听一下吗？",
        "en": "Hello, from your real use of 5 months, changing to 5G Smart 69 (69.00 yuan a month) would save about 30.00 "
        "yuan a month, with less than today: data from unlimited to 15 GB, network from 5G to 4G. Shall I explain?",
    }
    assert line["may_grant"] == {
        "zh": "改用“5G智享69”（月费69.00元）；最贵的一个月76.00元（现套餐106.00元）；"
        "会减少：流量由不限量变为15GB，网络由5G变为4G；合约期12个月；2026年7月1日生效",
        "en": "changing to 5G Smart 69 (69.00 yuan a month); most expensive month 76.00 yuan (106.00 yuan today); "
        "less: data from unlimited to 15 GB, network from 5G to 4G; contract of 12 months; from 1 July 2026",
    }
    assert {name: line["offer"][name] for name in ("plan_id", "monthly_fee", "worst_month_cost", "lost")} == {
        name: OFFER[name] for name in ("plan_id", "monthly_fee", "worst_month_cost", "lost")
    }
    assert (line["offer"]["current_plan_id"], line["offer"]["current_worst_month_cost"]) == ("F99", 106_000)


def test_a_pack_in_an_offer_is_named_as_renewing_itself(chooser, content):
    """The own plan with a pack, by message: nothing is lost, and both are said."""
    pack = {
        "kind": "pack",
        "plan_id": "F99",
        "pack_id": "D5",
        "pack_zh": "流量包5GB",
        "pack_en": "Data 5 GB",
        "lost": {},
    }
    fit = FIT | {"best_plan_id": "F99", "offers": json.dumps([OFFER | pack | {"monthly_fee": 114_000}])}
    line = written(chooser, content, candidate(reasons=FREQUENT, fit=fit))
    assert "保留现套餐并开通自动续订的“流量包5GB”（每月共114.00元）每月大约可省30.00元；可在" in line["opening"]["zh"]
    assert "keeping your plan with Data 5 GB, which renews itself (114.00 yuan a month in all)" in line["opening"]["en"]
    assert "不减少任何内容" in line["may_grant"]["zh"]
    assert "nothing is less" in line["may_grant"]["en"]


def test_a_renewal_names_its_plan(chooser, content):
    """The plan of the contract is said, and the line's data hold its fee if product fit knows it."""
    mine = card(plan_id="F99", plan_zh="5G智享99", plan_en="5G Smart 99")
    ending = {"contract.ending": {"date": "2026-06-20"}}
    line = written(chooser, content, candidate(reasons=ending, card=mine, fit=FIT | {"offers": "[]"}))
    assert line["opening"]["zh"].startswith("您好，您的“5G智享99”合约2026年6月20日到期，")
    assert line["opening"]["en"].startswith("Hello, your contract for 5G Smart 99 ends on 20 June 2026;")
    assert line["may_grant"] == {
        "zh": "“5G智享99”已公布的续约方案", "en": "published renewal offers for 5G Smart 99",
    }  # fmt: skip
    assert line["offer"] == {"plan_id": "F99", "name_zh": "5G智享99", "name_en": "5G Smart 99", "monthly_fee": 99_000}
    assert written(chooser, content, candidate())["offer"] is None


def test_a_service_line_carries_no_offer(chooser, content):
    """`bill.overage` invites to other plans in its sentence; a service line about it does not say it."""
    overage = {"bill.overage": {"n": 2, "amount": 40_000}}
    line = written(chooser, content, candidate(reasons=overage, target="complaint", p=0.3))
    assert line["reasons"][0]["code"] == "bill.overage"
    assert line["reasons"][0]["say"] is None


def test_at_most_three_reasons_and_two_of_one_dimension(chooser, content):
    """What the action answers comes first; the fourth reason and the third of a dimension stay away."""
    reasons = {
        "bill.jump": {"month": "2026-05", "amount": 90_000, "diff": 40_000},
        "bill.overage": {"n": 2, "amount": 40_000},
        "bill.unknown_charge": {"item": "x", "amount": 10_000},
        "calls.frequent": {"n": 4},
        "usage.falling": {"pct": 30},
    }
    scores = {"churn": TargetScore(0.3, 99.5, 15.0, "very_high", ("usage.falling", "calls.frequent", "bill.jump"))}
    line = written(chooser, content, candidate(reasons=reasons, scores=scores))
    codes = [reason["code"] for reason in line["reasons"]]
    assert codes == ["bill.unknown_charge", "usage.falling", "calls.frequent"]
    assert "原因2不得对客户说" in line["must_not_say"]["zh"]


def test_bands_numbers_and_ids_read_well():
    """Rank in words, masked numbers, and a line id that shows a slip."""
    assert band_text("churn", "high", 97.4, 2.43, "en") == "retention: high, top 3 %, 2.4 x average"
    assert band_text("churn", "very_high", 99.96, 9.0, "zh") == "留存关注：极高，前0.1%，平均的9.0倍"
    assert band_text("churn", "raised", 81.2, 1.02, "zh") == "留存关注：前19%"
    assert band_text("churn", "high", 97.4, 1.2, "zh") == "留存关注：前3%，平均的1.2倍"
    assert band_text("churn", "normal", 55.0, 1.31, "en") == "retention: normal, top 45 %"
    assert [address_text(one, "en") for one in ("王女士", "先生", "Dr Wu", None)] == ["Ms 王", "Mr", "Dr Wu", ""]
    assert address_text("王女士", "zh") == "王女士"
    assert [masked(one) for one in ("13812341234", "+8613812341234", "138****1234", None)] == [
        "138****1234", "138****1234", "138****1234", "-",
    ]  # fmt: skip
    one = line_id_of("P1", AS_OF)
    slips = {one[:k] + other + one[k + 1 :] for k in (0, 3, 5, 8) for other in "0123ABCZ" if other != one[k]}
    assert is_line_id(one)
    assert not any(is_line_id(slip) for slip in slips)


def test_the_control_group_is_stable_and_grows_only():
    """About five in a hundred, the same on every call; a larger share keeps everybody in it."""
    control = load_settings().control
    group = {f"P{k}" for k in range(20_000) if drawn(control.salt, f"P{k}") < lots_of(control)}
    larger = control.model_copy(update={"share": 0.1})
    assert 900 < len(group) < 1100
    assert all(drawn(larger.salt, person) < lots_of(larger) for person in group)


def test_the_calendar_knows_festivals_and_local_habit():
    """Spring Festival 2026 runs from Sunday 15 to Monday 23 February; Xinjiang eats two hours later."""
    policy = load_settings().policy
    spring = [day for day in festival_days(policy.holidays, 2026) if day.month == 2]
    assert spring == [date(2026, 2, day) for day in range(15, 24)]
    assert open_hours(policy.quiet_hours, None) == [(time(9), time(12)), (time(14), time(21))]
    assert open_hours(policy.quiet_hours, "新疆") == [(time(11), time(14)), (time(16), time(23))]
    assert best_open_hours(policy.quiet_hours, None, [11, 19]) == [(time(11), time(12)), (time(14), time(19))]
    assert best_open_hours(policy.quiet_hours, None, [12, 14]) == open_hours(policy.quiet_hours, None)


def test_an_operator_elsewhere_has_its_own_festivals():
    """1 October is the National Day of China and an ordinary day in California, where 4 July is none."""
    here = load_settings()
    there = here.for_operator("America/Los_Angeles")
    assert is_festival(here.policy.holidays, date(2019, 10, 1))
    assert not is_festival(there.policy.holidays, date(2019, 10, 1))
    assert is_festival(there.policy.holidays, date(2019, 7, 4))


def test_no_cell_is_a_formula_and_dispositions_have_a_drop_down(tmp_path):
    """An item called `=1+1` stays text in both files; the sheet freezes its panes and offers the dispositions."""
    town = Town(tmp_path)
    town.customer("C0001")
    town.land()
    evil = card(city="=1+1", plan_zh="+cmd")
    write_people(
        town.home, {"C0001": {"reasons": {"service.ticket_overdue": {"ticket": "=1+1", "hours": 3}}, "card": evil}}
    )
    write_scores(town.home, "churn", {"C0001": {"p": 0.1, "band": "high"}})
    released = draw_list(town.home, ListRequest(AS_OF))
    with ZipFile(released.xlsx) as book:
        sheet = book.read("xl/worksheets/sheet2.xml").decode()
        assert all("<f>" not in book.read(name).decode() for name in book.namelist() if "/worksheets/sheet" in name)
    assert 'state="frozen"' in sheet
    assert "<dataValidation " in sheet
    text = released.csv.read_text(encoding="utf-8-sig")
    assert ",'=1+1," in text
    assert ",'+cmd," in text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("outreach.yaml", ("- service.ticket_overdue", "- service.ticket_overdu"), "duties: unknown 'service.ticket_overdu'; did you mean 'service.ticket_overdue'?"),
        ("outreach.yaml", ("refusals: [terminated,", "refusals: [terminatd,"), "unknown 'terminatd'; did you mean 'terminated'?"),
        ("outreach.yaml", ("fit_not_proven]", "fit_not_provn]"), "not_when.codes: unknown 'fit_not_provn'; did you mean 'fit_not_proven'?"),
        ("outreach.yaml", ("topics: [network,", "topics: [netwrk,"), "not_when.topics: unknown 'netwrk'; did you mean 'network'?"),
        ("reasons.yaml", ("  calls.repeat_topic:", "  calls.repeat_topik:"), "reasons: unknown 'calls.repeat_topik'; did you mean 'calls.repeat_topic'?"),
    ],
)  # fmt: skip
def test_a_misspelt_value_is_named_with_the_one_that_was_meant(tmp_path, monkeypatch, name, change, message):
    """Codes, topics and duties come from closed sets; a list is never drawn with one of them lost in silence."""
    shipped = config_path("outreach.yaml").parent
    (tmp_path / "configs").mkdir()
    for path in shipped.glob("*.yaml"):
        (tmp_path / "configs" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    text = (shipped / name).read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "configs" / name).write_text(text.replace(*change), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert message in refused.value.message
    assert name in refused.value.message
