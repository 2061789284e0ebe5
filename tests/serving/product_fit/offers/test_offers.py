"""An offer that one dares to make: it covers the worst month, is not dominated, and rests on bills of the present plan."""

import json
from datetime import date

import pytest

from serving.product_fit.fit import Fitter
from serving.product_fit.offers.compare import _Charges
from serving.product_fit.offers.wording import lost_text
from serving.product_fit.settings import read_settings
from tests.serving.product_fit.world import AS_OF, GB, KNOWN, PERIODS, World, catalogue, fit, moment, told

JUNE_20 = date(2026, 6, 20)


def offered(row):
    """Returns the plans offered, with the pack if there is one."""
    return [one["plan_id"] + (f"+{one['pack_id']}" if one["pack_id"] else "") for one in row["offers"]]


def keep_number():
    """Returns a world with a capped 8-yuan plan of 200 MB beside a plan of 30 GB for 129 yuan."""
    tiny = {"data_kb": 200 * 1024, "data_overage_price": 29_000, "overage_cap": 60_000, "name_zh": "8元保号套餐"}
    return World().plan("L08", 8, 0, **tiny).plan("C129", 129, 30)


# 14: a normal month and the worst of six


def test_a_cap_on_over_use_fees_makes_no_small_plan_fit(monkeypatch):
    """21 GB on 200 MB would cost 68 yuan by its cap against 129: no offer, unless use is not held against allowance."""

    def heavy():
        return keep_number().customer("1", "C129", 21, 21, 21, 21, bills=(129,) * 4)

    row = fit(heavy())
    assert (row["status"], row["offers"], row["saving"]) == ("no_better_plan", [], None)
    assert {plan["plan_id"]: plan["months"]["2026-05-01"] for plan in row["rated"]} == {"L08": 68_000, "C129": 129_000}
    summary = run_all(heavy())
    assert (summary["offers"], summary["total_saving"]) == (0, 0)
    monkeypatch.setattr(_Charges, "covers", lambda self, *_: self.throttled[:, 0] | True)
    monkeypatch.setattr("serving.product_fit.catalogue.Plan.only_keeps_number", lambda *_: False)
    assert offered(fit(heavy())) == ["L08"]


def run_all(world):
    """Returns the totals of a run over everybody."""
    fitter = Fitter(world, AS_OF, read_settings())
    assert sum(table.num_rows for table in fitter.tables()) > 0
    return fitter.summary()


@pytest.mark.parametrize(
    ("expected", "months"),
    [
        (["D59"], (9, 9, 9, 9, 9, 9)),
        (["D59"], (10, 3, 3, 3, 3, 3)),
        ([], (10.5, 3, 3, 3, 3, 3)),
        ([], (3, 3, 3, 3, 3, 11)),
    ],
)
def test_the_worst_of_six_months_is_covered(expected, months):
    """10 GB carry a worst month of 10 GB, not one of 10.5 six months ago that cost one block, nor one of 11 just now."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 10)
    assert offered(fit(world.customer("1", "C99", *months, bills=(99,) * 6))) == expected


def test_the_worst_month_may_be_one_without_a_bill():
    """A month of 25 GB whose bill never came counts against a plan of 10 GB."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 10)
    world.customer("1", "C99", 25, 9, 9, 9, 9, bills=(99,) * 4)
    row = fit(world)
    assert (row["months"], row["offers"]) == (4, [])
    assert row["left_out"] == [{"month": "2026-01-01", "why": "no_bill"}]


def test_what_rolls_over_does_not_cover_a_month():
    """14 GB after a month of 4 cost nothing on 10 GB with roll-over; the next such month would."""
    world = World().plan("C99", 99, 30).plan("R49", 49, 10, rollover_months=1)
    world.customer("1", "C99", 4, 14, 4, bills=(99, 99, 99))
    row = fit(world)
    assert {plan["plan_id"]: plan["months"]["2026-04-01"] for plan in row["rated"]}["R49"] == 49_000
    assert row["offers"] == []


def test_minutes_and_messages_are_covered_too():
    """80 minutes and no message fit 100 and 100; a plan of 60 minutes saves most and is not offered."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 30).plan("V29", 29, 30, voice_minutes=60)
    assert offered(fit(world.customer("1", "C99", 9, 9, 9, minutes=80, bills=(99,) * 3))) == ["D59"]
    for row in world.rows["usage_monthly"]:
        row["sms_count"] = 101
    world.rows["bills"] = [bill | {"total": 99_100} for bill in world.rows["bills"]]
    assert offered(fit(world)) == []


def test_a_throttled_plan_covers_what_it_carries_at_full_speed():
    """An unlimited plan slowed down beyond 20 GB is offered for 20 GB a month, not for 21."""
    for worst, expected in ((20, ["T59"]), (21, [])):
        world = World().plan("C99", 99, 30).plan("T59", 59, None, throttle_after_kb=20 * GB)
        assert offered(fit(world.customer("1", "C99", 9, 9, worst, bills=(99,) * 3))) == expected


@pytest.mark.parametrize("terms", [{"name_zh": "停机保号"}, {"name_en": "Keep-Number basic"}, {"data_kb": 300 * 1024}])
def test_a_keep_number_plan_is_for_idle_lines_on_request(terms):
    """An idle line may ask for it; a line with 150 MB in one month, or 11 minutes, is not even shown it."""

    def row(gb, minutes=0):
        world = World().plan("C39", 39, 5).plan("K8", 8, 1, **terms)
        return fit(world.customer("1", "C39", gb, 0, 0, minutes=minutes, bills=(39, 39, 39)))

    idle = row(0.05)
    assert (idle["status"], idle["saving"], idle["best_plan_id"]) == ("on_request", None, None)
    assert [(one["plan_id"], one["on_request"]) for one in idle["offers"]] == [("K8", True)]
    assert (row(0.15)["offers"], row(0, minutes=11)["offers"]) == ([], [])


def test_a_keep_number_plan_waits_for_the_question_whatever_the_plan_today():
    """Of unlimited data no share is unused, and still an idle line is not pitched a plan that only keeps its number."""
    world = World().plan("U39", 39, None).plan("K8", 8, 1, name_zh="停机保号")
    row = fit(world.customer("1", "U39", 0, 0, 0, minutes=0, bills=(39, 39, 39)))
    assert (row["status"], [(one["plan_id"], one["on_request"]) for one in row["offers"]]) == (
        "on_request", [("K8", True)],
    )  # fmt: skip


def test_a_cheap_plan_that_can_be_used_is_no_keep_number_plan():
    """Without the name and with 1 GB the same fee is an ordinary small plan: shown to a line that is hardly used."""
    world = World().plan("C39", 39, 5).plan("K8", 8, 1)
    row = fit(world.customer("1", "C39", 0.15, 0.15, 0.15, bills=(39, 39, 39)))
    assert offered(row) == ["K8"]


def test_a_saving_too_small_for_a_change_is_no_headline():
    """A throttled customer's plan for 1 yuan less is offered for the speed; the run's saving does not count it."""
    world = World().plan("T79", 79, None, throttle_after_kb=10 * GB).plan("C78", 78, 30)
    world.customer("1", "T79", 20, 20, 20, bills=(79, 79, 79))
    row = fit(world)
    assert told(row) == [("C78", None, 78.0, "throttling")]
    assert (row["saving"], run_all(world)["total_saving"]) == (None, 0)


# 15: nothing that is dominated


def test_a_plan_with_a_pack_gives_way_to_the_plan_without_it():
    """59 + 20 yuan carry 12 GB; the same plan alone costs 69 by over-use and is never slowed down: no offer with a pack."""
    world = World().plan("C99", 99, 30).plan("L59", 59, 10).pack("D10", 20, 10)
    assert offered(fit(world.customer("1", "C99", 12, 12, 12, bills=(99,) * 3))) == []


def test_a_plan_with_a_pack_is_offered_where_nothing_is_cheaper():
    """With 10 yuan for each GB beyond, the plan alone costs 79 and the pack at 15 is the cheapest way: 74."""
    world = World().plan("C99", 99, 30).plan("L59", 59, 10, data_overage_price=10_000).pack("D10", 15, 10)
    assert offered(fit(world.customer("1", "C99", 12, 12, 12, bills=(99,) * 3))) == ["L59+D10"]


def test_a_plan_with_a_pack_gives_way_to_any_cheaper_combination():
    """59 + 15 yuan is the cheapest way to use L59; M69 with 14 GB costs 69, and only it is offered."""
    world = World().plan("C99", 99, 30).plan("L59", 59, 10, data_overage_price=10_000).pack("D10", 15, 10)
    world.plan("M69", 69, 14)
    assert offered(fit(world.customer("1", "C99", 12, 12, 12, bills=(99,) * 3))) == ["M69"]


def test_a_plan_that_would_be_slowed_down_dominates_nothing():
    """A plan for 49 that is slowed down in each month, with a pack or without, is cheaper than 59 + 15, and worse."""
    world = World().plan("C99", 99, 30).plan("L59", 59, 10, data_overage_price=10_000).pack("D2", 15, 2)
    world.plan("T49", 49, None, throttle_after_kb=9 * GB)
    assert offered(fit(world.customer("1", "C99", 12, 12, 12, bills=(99,) * 3))) == ["L59+D2"]


@pytest.mark.parametrize("renews", [False, None])
def test_a_pack_bought_by_hand_is_not_every_month(renews):
    """5 GB beyond each month: the pack that renews itself is offered, the one that must be bought each time is not."""
    kept = catalogue().pack("D5", 10, 5).customer("1", "A39", 10, 10, 10, bills=(64, 64, 64))
    assert offered(fit(kept))[0] == "A39+D5"
    by_hand = catalogue().pack("D5", 10, 5, renews=renews).customer("1", "A39", 10, 10, 10, bills=(64, 64, 64))
    assert offered(fit(by_hand)) == ["B59"]


def test_packs_bought_by_hand_do_not_carry_another_plan():
    """Who buys 5 GB by hand each month is not offered a plan that would need them again."""
    world = World().plan("C60", 60, 10).plan("L50", 50, 10).plan("M58", 58, 15).pack("D5", 15, 5, renews=False)
    world.customer("1", "C60", 15, 15, 15, bills=(75, 75, 75))
    for month in PERIODS[-3:]:
        at = moment(month.year, month.month, 9)
        world.add("pack_orders", customer_id="1", pack_id="D5", data_kb=5 * GB, price=15_000, event_at=at)
    assert told(fit(world)) == [("M58", None, 58.0, "over_use")]


def test_a_plan_gives_way_to_one_that_is_cheaper_and_gives_as_much():
    """40 yuan for 10 GB leave nothing for 45 yuan with 10 GB; 45 with 12 GB, or with a second line, is another choice."""

    def plans(**terms):
        world = World().plan("C99", 99, 30).plan("D40", 40, 10).plan("E45", 45, terms.pop("gb", 10), **terms)
        return offered(fit(world.customer("1", "C99", 9, 9, 9, bills=(99,) * 3)))

    assert plans() == ["D40"]
    assert plans(gb=12) == plans(shared_lines=1) == ["D40", "E45"]


def test_needless_packs_are_no_reason_to_change_the_plan():
    """Who buys 20-yuan packs that 30 GB do not need pays 119; without them 99, so a plan for 100 saves nothing."""
    world = World().plan("C99", 99, 30).plan("E100", 100, 40).pack("D10", 20, 10, renews=False)
    world.customer("1", "C99", 9, 9, 9, bills=(119,) * 3)
    for month in PERIODS[-3:]:
        at = moment(month.year, month.month, 9)
        world.add("pack_orders", customer_id="1", pack_id="D10", data_kb=10 * GB, price=20_000, event_at=at)
    row = fit(world)
    assert (row["reproduced"], row["current_cost"], row["offers"]) == (True, 119_000, [])


# 16: the present plan's own bills, and recent use first


def changed(on, as_of=JUNE_20):
    """Returns the fit of a customer who came from a 129-yuan plan to 99 yuan, where 59 would do, on a day."""
    world = World().plan("C129", 129, 40).plan("C99", 99, 30).plan("D59", 59, 10)
    bills = [129 if month < on else 99 for month in PERIODS[-6:]]
    world.customer("1", "C129", *[9] * 6, bills=bills)
    world.add("subscriptions", customer_id="1", plan_id="C99", ordered_at=KNOWN, effective_on=on)
    return fit(world, as_of=as_of)


@pytest.mark.parametrize(
    ("status", "on"),
    [
        ("plan_changed", date(2026, 6, 5)),
        ("plan_changed", date(2026, 5, 1)),
        ("plan_changed", date(2026, 4, 2)),
        ("ok", date(2026, 4, 1)),
        ("ok", date(2026, 2, 1)),
    ],
)
def test_a_plan_of_less_than_two_months_is_not_argued(status, on):
    """Two whole months of the present plan must be billed before another one is offered."""
    row = changed(on)
    assert (row["status"], offered(row)) == (status, ["D59"] if status == "ok" else [])


def test_bills_of_the_old_plan_say_nothing_about_the_new_one():
    """Two months on the plan: cost, months and proof rest on these two alone; the others are named as another plan's."""
    row = changed(date(2026, 4, 1))
    assert (row["months"], row["current_cost"], row["saving"]) == (2, 99_000, 40_000)
    assert row["left_out"] == [{"month": f"2026-0{m}-01", "why": "other_plan"} for m in (3, 2, 1)] + [
        {"month": "2025-12-01", "why": "other_plan"}
    ]


def test_a_plan_left_and_taken_again_has_changed_lately():
    """Away in May and back on 3 June: every first of a month but one shows the present plan, and yet it changed."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 10).plan("Z1", 99, 30)
    world.customer("1", "C99", *[9] * 6, bills=(99,) * 6)
    assert fit(world, as_of=JUNE_20)["status"] == "ok"
    for plan, on in (("Z1", date(2026, 5, 12)), ("C99", date(2026, 5, 30))):
        world.add("subscriptions", customer_id="1", plan_id=plan, ordered_at=KNOWN, effective_on=on)
    assert fit(world, as_of=JUNE_20)["status"] == "plan_changed"


@pytest.mark.parametrize(("status", "fee"), [("ok", 99), ("plan_changed", 89)])
def test_new_terms_of_the_same_plan_are_a_change(status, fee):
    """A version of May with another fee has no bill of its own yet; one with the same terms under a new date changes nothing."""
    world = World().plan("D59", 59, 10).plan("C99", 99, 30, valid_until=date(2026, 5, 1))
    world.plan("C99", fee, 30, valid_from=date(2026, 5, 1), name_zh="新名")
    world.customer("1", "C99", *[9] * 5, bills=(99, 99, 99, 99, fee))
    assert fit(world, as_of=JUNE_20)["status"] == status


def test_the_same_plan_ordered_again_is_no_change():
    """A contract renewed in May keeps the plan: offers go on."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 10).customer("1", "C99", 9, 9, 9, bills=(99,) * 3)
    world.add("subscriptions", customer_id="1", plan_id="C99", ordered_at=KNOWN, effective_on=date(2026, 5, 20))
    assert fit(world, as_of=JUNE_20)["status"] == "ok"


def test_recent_months_weigh_double():
    """Three months at 139 yuan and the newest three at 39: (3 x 139 + 2 x 3 x 39) / 9 is 72.33 a month, not 89."""
    world = World().plan("A39", 39, 5)
    row = fit(world.customer("1", "A39", 25, 25, 25, 5, 5, 5, bills=(139, 139, 139, 39, 39, 39)))
    assert (row["reproduced"], row["current_cost"]) == (True, 72_333)
    world = World().plan("A39", 39, 5)
    row = fit(world.customer("1", "A39", 5, 5, 5, 25, 25, 25, bills=(39, 39, 39, 139, 139, 139)))
    assert row["current_cost"] == 105_667


# 17: whose use it is, and which bills count


def family(**terms):
    """Returns a world with a plan of 60 GB for three lines, one of 20 GB, and one for secondary lines."""
    world = World().plan("F199", 199, 60, **{"shared_lines": 2} | terms).plan("F99", 99, 20, shared_lines=2)
    return world.plan("SEC", 10, 0)


def with_lines(world, *lines, gb=20):
    """Adds a main line of 18 GB and further lines of the account."""
    world.customer("M", "F199", 18, 18, 18, bills=(199,) * 3)
    for line in lines:
        world.customer(line, "SEC", gb, gb, gb, bills=(10,) * 3)
    return world


def test_the_pool_of_an_account_is_rated():
    """Three lines use 58 of 60 GB: 20 GB would cost 99 + 38 x 5 = 289 against 199, so the main line gets no offer."""
    row = fit(with_lines(family(), "S1", "S2").account("H", M="main", S1="secondary", S2="secondary"), "M")
    assert (row["status"], row["lines"], row["reproduced"], row["current_cost"]) == ("no_better_plan", 3, True, 199_000)
    assert {one["plan_id"]: one["months"]["2026-05-01"] for one in row["rated"]}["F99"] == 289_000


def test_a_pool_that_fits_is_offered_only_plans_for_as_many_lines():
    """With little use the smaller plan for three lines saves 100; one without shared lines is never offered."""
    world = with_lines(family().plan("X49", 49, 60), "S1", "S2", gb=0.5)
    row = fit(world.account("H", M="main", S1="secondary", S2="secondary"), "M")
    assert (offered(row), row["offers"][0]["saving"]) == (["F99"], 100_000)


def test_minutes_of_a_pool_fit_or_do_not_shrink():
    """Three lines talk 150 minutes on 300: a plan of 100 might not carry them and is not offered, one of 150 is."""
    for minutes, expected in ((100, []), (150, ["F99"])):
        world = World().plan("F199", 199, 60, shared_lines=2, voice_minutes=300).plan("SEC", 10, 0)
        world.plan("F99", 99, 30, shared_lines=2, voice_minutes=minutes)
        with_lines(world, "S1", "S2", gb=1).account("H", M="main", S1="secondary", S2="secondary")
        assert offered(fit(world, "M")) == expected


def test_a_line_alone_on_its_account_is_rated_alone():
    """The same plan and use with nobody else on the account: 20 GB carry 18, and 100 yuan are saved."""
    row = fit(with_lines(family()).account("H", M="main"), "M")
    assert (row["status"], row["lines"], offered(row)) == ("ok", 1, ["F99"])


@pytest.mark.parametrize(
    ("what", "terms", "roles", "line"),
    [
        ("a secondary line draws on another's allowance", {}, {"M": "main", "S1": "secondary"}, "S1"),
        ("a line without a role", {}, {"M": "main", "S1": None}, "M"),
        ("no role at all", {}, {"M": None, "S1": None}, "M"),
        (
            "more lines than the plan feeds",
            {"shared_lines": 1},
            {"M": "main", "S1": "secondary", "S2": "secondary"},
            "M",
        ),
        ("lines not stated", {"shared_lines": None}, {"M": "main", "S1": "secondary"}, "M"),
        ("two main lines and a secondary one", {}, {"M": "main", "N": "main", "S1": "secondary"}, "M"),
        ("nobody knows the account", {}, {}, "M"),
    ],
)
def test_where_it_is_open_who_draws_on_what_nothing_is_proven(what, terms, roles, line):
    """No offer, no need and no cost is named where the lines of a pool are not certain."""
    world = with_lines(family(**terms), *(one for one in ("S1", "S2", "N") if one in roles or not roles))
    if roles:
        world.account("H", **roles)
    row = fit(world, line)
    assert (row["status"], row["offers"], row["needs"], row["rated"]) == ("fit_not_proven", [], {}, []), what
    assert (row["current_cost"], row["saving"]) == (None, None)


def test_two_main_lines_have_each_their_own_allowance():
    """A household of two main lines on one account shares no allowance; each is rated alone."""
    world = with_lines(family()).customer("N", "F199", 9, 9, 9, bills=(199,) * 3).account("H", M="main", N="main")
    assert [(fit(world, line)["lines"], offered(fit(world, line))) for line in "MN"] == [(1, ["F99"]), (1, ["F99"])]


def test_a_pool_with_a_line_of_unknown_use_is_not_proven():
    """A secondary line whose use is never delivered leaves the pool unknown."""
    world = with_lines(family(), "S1").account("H", M="main", S1="secondary")
    world.rows["usage_monthly"] = [row for row in world.rows["usage_monthly"] if row["customer_id"] != "S1"]
    assert fit(world, "M")["status"] == "fit_not_proven"


def test_an_ended_line_draws_no_more():
    """A secondary line that has left is not in the pool."""
    world = with_lines(family(), "S1").account("H", M="main", S1="secondary")
    assert fit(world, "M")["lines"] == 2
    assert fit(world.add("terminations", customer_id="S1", reason="cancel"), "M")["lines"] == 1


def test_a_credit_note_is_a_bill():
    """A bill of -20 yuan among the last three is not what the plan costs: no offer, and no month drops out."""
    world = catalogue().customer("1", "C99", 9, 9, 9, 9, bills=(99, 99, -20, 99))
    row = fit(world)
    assert (row["status"], row["months"], row["left_out"], row["offers"]) == ("bill_not_reproduced", 4, [], [])


def test_a_month_that_drops_out_is_said():
    """April's bill is missing: it is named with the reason, beside a month without use; not the months before the start."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 10)
    world.customer("1", "C99", 9, 9, 9, 9, 9, bills=(99,) * 5, activated_on=date(2026, 1, 9))
    world.customer("2", "C99", 9, 9, 9, 9, 9, 9, bills=(99,) * 6)
    world.rows["bills"] = [b for b in world.rows["bills"] if (b["customer_id"], b["period"].month) != ("1", 4)]
    world.rows["usage_monthly"] = [
        u for u in world.rows["usage_monthly"] if (u["customer_id"], u["period"].month) != ("1", 2)
    ]
    assert fit(world)["left_out"] == [
        {"month": "2026-04-01", "why": "no_bill"},
        {"month": "2026-02-01", "why": "no_use"},
    ]
    assert fit(world, "2")["left_out"] == []


@pytest.mark.parametrize("is_infinite", [True, False])
def test_a_discount_without_an_end_never_ends(is_infinite):
    """`infinity`, which a DATE may hold, and no date at all: the discount of 40 yuan goes on, and what is saved is small."""
    world = World().plan("C99", 99, 30).plan("D52", 52, 10)
    world.customer("1", "C99", 9, 9, 9, bills=(59,) * 3, discount_amount=40_000, discount_end=None)
    base = world.connect()
    if is_infinite:
        base.execute("UPDATE subscriptions SET discount_end = DATE 'infinity', contract_end = DATE 'infinity'")
        base.execute("UPDATE customers SET activated_on = DATE '-infinity'")
    world.connect = lambda **_: base
    row = fit(world)
    assert (row["reproduced"], row["current_cost"], row["current_worst_month_cost"]) == (True, 59_000, 59_000)
    assert (row["saving"], row["offers"][0]["lost"]["discount"]) == (7_000, {"now": 40_000, "then": 0})


# 18: the offer by name


def test_an_offer_names_plan_fee_loss_and_worst_month():
    """From an unlimited plan of 99 to 20 GB for 59, with a roaming fee of 7 yuan in April: all of it is told."""
    world = World().plan("C99", 99, None, throttle_after_kb=30 * GB, name_zh="畅享99", generation="5G")
    world.plan(
        "D59", 59, 20, name_zh="飞享59", name_en="Easy 59", voice_minutes=90, generation="5G", contract_months=12
    )
    world.customer("1", "C99", 9, 9, 9, bills=(99, 106, 99))
    world.add("roaming_sessions", customer_id="1", area="Japan", fee=7_000, event_at=moment(2026, 4, 9))
    row = fit(world)
    offer = row["offers"][0]
    assert (row["current_plan_zh"], row["current_fee"], row["current_worst_month_cost"]) == ("畅享99", 99_000, 106_000)
    assert (offer["plan_id"], offer["name_zh"], offer["name_en"], offer["monthly_fee"]) == (
        "D59", "飞享59", "Easy 59", 59_000,
    )  # fmt: skip
    assert (offer["worst_month_cost"], offer["contract_months"]) == (66_000, 12)
    assert offer["lost"] == {
        "data_kb": {"now": 30 * GB, "then": 20 * GB},
        "voice_minutes": {"now": 100, "then": 90},
    }
    assert json.dumps(row["offers"])


def test_an_offer_that_takes_nothing_away_says_so():
    """More data for less money: nothing is lost."""
    world = World().plan("C99", 99, 30).plan("D59", 59, 40)
    assert fit(world.customer("1", "C99", 9, 9, 9, bills=(99,) * 3))["offers"][0]["lost"] == {}


def test_what_is_lost_is_read_aloud_in_both_languages():
    """What shrinks is said from and to; what ends is said to end."""
    lost = {
        "data_kb": {"now": None, "then": int(1.5 * GB)}, "voice_minutes": {"now": 500, "then": 300},
        "rollover_months": {"now": 1, "then": 0}, "shared_lines": {"now": 2, "then": 0},
        "discount": {"now": 40_000, "then": 0},
    }  # fmt: skip
    assert lost_text(lost, "zh", lambda amount: f"{amount // 1000}元") == (
        "流量由不限量变为1.5GB，通话由500分钟变为300分钟，剩余流量不再结转，副卡不再共享流量，每月40元的优惠取消"
    )
    assert lost_text(lost, "en", lambda amount: f"{amount // 1000} yuan") == (
        "data from unlimited to 1.5 GB, calls from 500 min to 300 min, unused data no longer rolls over, "
        "no other line shares the data, the discount of 40 yuan a month ends"
    )
    assert lost_text({}, "zh", str) == ""
