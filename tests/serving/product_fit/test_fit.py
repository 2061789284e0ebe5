"""Product fit on small tables: who gets which offer, who gets none, and why."""

import json
from datetime import date

import pytest

from features.kit.errors import NotFoundError, NotReadyError
from serving.product_fit.fit import Fitter
from serving.product_fit.settings import read_settings
from tests.serving.product_fit.world import AS_OF, GB, KNOWN, PERIODS, World, catalogue, fit, moment, told


def test_an_over_user_is_offered_the_plan_that_costs_less():
    """Twice 5 GB beyond a 5 GB plan costs 64 yuan; the 59 yuan plan carries it."""
    row = fit(catalogue().customer("1", "A39", 10, 10, 10, 10, bills=(64, 64, 64, 64)))
    assert (row["status"], row["reproduced"], row["current_cost"], row["saving"]) == ("ok", True, 64_000, 5_000)
    assert told(row) == [("B59", None, 59.0, "over_use")]
    assert row["needs"]["over_use"] == {"months": 3, "amount": 75_000}
    assert row["offers"][0]["effective_on"] == "2026-07-01"


@pytest.mark.parametrize(
    ("status", "bill"),
    [("ok", 65), ("ok", 63), ("bill_not_reproduced", 65.001), ("bill_not_reproduced", 62.999)],
)
def test_bills_must_be_reproduced_within_the_larger_of_one_yuan_and_one_percent(status, bill):
    """One yuan off a 64 yuan bill is tolerated to the minor unit; beyond it there is no offer at all."""
    row = fit(catalogue().customer("1", "A39", 10, 10, 10, bills=(64, 64, bill)))
    assert (status, status == "ok") == (row["status"], bool(row["offers"]))


def test_one_percent_counts_on_large_bills():
    """A 500 yuan bill may differ by 5 yuan, not by more."""
    big = {"minutes": 4710}
    assert fit(catalogue().customer("1", "A39", 1, 1, 1, bills=(500, 495.05, 505.05), **big))["reproduced"]
    assert not fit(catalogue().customer("1", "A39", 1, 1, 1, bills=(500, 500, 505.06), **big))["reproduced"]


def test_without_a_bill_feed_the_rating_is_reported_and_no_offer_may_be_made():
    """Every offer is `bill_unknown`, nothing is counted as a saving, and the months under each plan are shown."""
    row = fit(catalogue().customer("1", "A39", 10, 10, 10))
    assert (row["status"], row["reproduced"], row["saving"]) == ("bill_unknown", None, None)
    assert [offer["status"] for offer in row["offers"]] == ["bill_unknown"]
    assert {plan["plan_id"]: plan["total"] for plan in row["rated"]} == {"B59": 177_000, "A39": 192_000, "C99": 297_000}


def test_nothing_is_offered_that_costs_more_without_a_need():
    """A customer whose plan fits is told so."""
    row = fit(catalogue().customer("1", "A39", 3, 3, 3, bills=(39, 39, 39)))
    assert (row["status"], row["offers"]) == ("no_better_plan", [])


def test_a_throttled_customer_may_pay_more_for_the_need():
    """Slowed down in each month: the plan without the limit comes first although it costs 20 yuan more."""
    world = catalogue().plan("T79", 79, None, throttle_after_kb=10 * GB)
    row = fit(world.customer("1", "T79", 20, 20, 20, bills=(79, 79, 79)))
    assert told(row) == [("C99", None, 99.0, "throttling")]
    assert (row["offers"][0]["saving"], row["saving"]) == (-20_000, None)


def test_a_saving_that_would_slow_the_customer_down_is_no_offer():
    """A cheaper plan that throttles, or charges for over-use, where today's does neither, is never offered."""
    world = catalogue().plan("T49", 49, None, throttle_after_kb=8 * GB).plan("D79", 79, 15)
    assert told(fit(world.customer("1", "C99", 15, 15, 15, bills=(99, 99, 99)))) == [("D79", None, 79.0, "cheaper")]


def test_an_idle_customer_gets_a_smaller_plan_only_on_request():
    """2 of 30 GB used in each month: the smaller plans wait until the customer asks."""
    row = fit(catalogue().customer("1", "C99", 2, 2, 2, bills=(99, 99, 99)))
    assert (row["status"], row["saving"], row["best_plan_id"]) == ("on_request", None, None)
    assert [(o["plan_id"], o["on_request"], o["need"]) for o in row["offers"]] == [
        ("A39", True, "unused_allowance"), ("B59", True, "unused_allowance"),
    ]  # fmt: skip


def test_at_most_three_offers_largest_saving_first():
    """Five plans would save; the three that save most are told, equal savings in plan order."""
    world = World().plan("C99", 99, 30).plan("D40", 40, 10).plan("E40", 40, 10).plan("F50", 50, 14).plan("G41", 41, 12)
    row = fit(world.plan("H60", 60, 20).customer("1", "C99", 10, 10, 10, bills=(99, 99, 99)))
    assert [offer["plan_id"] for offer in row["offers"]] == ["D40", "E40", "G41"]


@pytest.mark.parametrize(
    "closed",
    [
        {"on_sale_until": date(2026, 6, 1)},
        {"on_sale_from": date(2026, 6, 2)},
        {"valid_until": date(2026, 6, 1)},
        {"audience": "legacy"},
        {"audience": "new"},
        {"audience": "senior"},
        {"audience": "student"},
        {"generation": "5G"},
        {"known_at": moment(2026, 6, 1)},
        {"voice_overage_price": None},
    ],
)
def test_never_a_plan_that_is_not_on_sale_or_not_open_to_this_customer(closed):
    """A plan that would save 50 yuan is not offered where its sale, its audience or its price forbids it."""
    cheap = World().plan("C99", 99, 30).plan("X49", 49, 30)
    customer = {"device_generation": "4G", "bills": (99, 99, 99)}
    assert told(fit(cheap.customer("1", "C99", 10, 10, 10, **customer))) == [("X49", None, 49.0, "cheaper")]
    shut = World().plan("C99", 99, 30).plan("X49", 49, 30, **closed)
    assert told(fit(shut.customer("1", "C99", 10, 10, 10, **customer))) == []


def test_open_audiences_by_what_is_known():
    """A senior plan opens at 60 for certain, a new-customer plan in the first 30 days, a 5G plan with a 5G handset."""

    def offers(terms, **facts):
        world = World().plan("C99", 99, 30).plan("X49", 49, 30, **terms)
        return [o["plan_id"] for o in fit(world.customer("1", "C99", 9, 9, 9, bills=(99,) * 3, **facts))["offers"]]

    assert offers({"audience": "senior"}, birth_year=1965) == ["X49"]
    assert offers({"audience": "senior"}, birth_year=1966) == []
    assert offers({"audience": "new"}, activated_on=date(2026, 5, 20)) == ["X49"]
    assert offers({"generation": "5G"}, device_generation="5G") == ["X49"]
    assert offers({"generation": "5G"}, device_generation=None) == []


def test_nobody_is_led_back_to_an_older_network():
    """A 5G customer with a 5G handset is not offered a cheaper 4G plan; with a 4G handset it is open."""

    def offers(handset):
        world = World().plan("C99", 99, 30, generation="5G").plan("X49", 49, 30, generation="4G")
        customer = world.customer("1", "C99", 9, 9, 9, bills=(99,) * 3, device_generation=handset)
        return [offer["plan_id"] for offer in fit(customer)["offers"]]

    assert (offers("5G"), offers("4G")) == ([], ["X49"])


def test_an_offer_never_rests_on_more_over_use():
    """A capped small plan that would cost less, all of it over-use fees, is no offer to an over-user."""
    world = World().plan("F69", 69, 15).plan("L08", 8, 0, overage_cap=60_000)
    assert told(fit(world.customer("1", "F69", 20, 20, 20, bills=(94, 94, 94)))) == []


def test_a_correction_among_older_bills_does_not_count():
    """Only the last three bills must be reproduced."""
    row = fit(catalogue().customer("1", "A39", 10, 10, 10, 10, bills=(30, 64, 64, 64)))
    assert (row["reproduced"], row["months"]) == (True, 4)


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("not_consumer", {"kind": "corporate"}),
        ("not_active", {"status": "suspended_arrears"}),
        ("plan_unknown", {"plan": "Z"}),
        ("too_few_months", {"months": 2}),
    ],
)
def test_customers_who_get_no_offer(status, facts):
    """Cards that are not a consumer's, suspended lines, unknown plans and short histories get none, each with its code."""
    months = facts.pop("months", 3)
    world = catalogue().customer("1", facts.pop("plan", "A39"), *[10] * months, bills=[64] * months, **facts)
    row = fit(world)
    assert (status, []) == (row["status"], row["offers"])


def test_porting_and_pending_changes_stop_every_offer():
    """Nobody who applied to leave with the number, and nobody who has just ordered a plan, is pitched another."""

    def world():
        return catalogue().customer("1", "A39", 10, 10, 10, bills=(64, 64, 64))

    assert fit(world().add("port_requests", customer_id="1", step="enquiry"))["status"] == "ok"
    assert fit(world().add("port_requests", customer_id="1", step="application"))["status"] == "porting_applied"
    ordered = {"customer_id": "1", "plan_id": "B59", "ordered_at": KNOWN, "effective_on": date(2026, 7, 1)}
    assert fit(world().add("subscriptions", **ordered))["status"] == "change_pending"


def test_an_early_exit_fee_counts():
    """60 yuan of exit fee over 12 months eats a saving of 5 yuan a month; after the contract it does not."""

    def world(end):
        base = World().plan("A39", 39, 5, early_exit_fee=60_000).plan("B59", 59, 10)
        return base.customer("1", "A39", 10, 10, 10, bills=(64, 64, 64), contract_end=end)

    assert told(fit(world(date(2026, 12, 1)))) == []
    assert told(fit(world(date(2026, 7, 1)))) == [("B59", None, 59.0, "over_use")]


def test_what_is_left_of_a_discount_counts():
    """20 yuan off for 3 more of 12 months makes 99 yuan 94 on average; the bills are reproduced with it."""
    terms = {"discount_amount": 20_000, "discount_end": date(2026, 10, 1)}
    world = World().plan("C99", 99, 30).plan("X90", 90, 30)
    row = fit(world.customer("1", "C99", 10, 10, 10, bills=(79, 79, 79), **terms))
    assert (row["current_cost"], row["saving"]) == (94_000, 4_000)


def test_packs_that_renew_themselves_are_compared_with_plans():
    """5 GB over each month: the 10-yuan pack of 5 GB on the own plan beats both over-use and the larger plan."""
    row = fit(catalogue().pack("D5", 10, 5).customer("1", "A39", 10, 10, 10, bills=(64, 64, 64)))
    assert told(row)[0] == ("A39", "D5", 49.0, "over_use")
    assert row["offers"][0]["kind"] == "pack"


def test_packs_and_roaming_on_the_bill_are_reproduced():
    """A pack bought at 00:30 local time on 1 May belongs to May's bill, roaming fees and value-added fees too."""
    world = catalogue().add(
        "packs", pack_id="D5", scope="domestic", data_kb=5 * GB, price=10_000, valid_from=date(2020, 1, 1),
        on_sale_until=date(2021, 1, 1),
    )  # fmt: skip
    world.customer("1", "A39", 5, 5, 10, bills=(39, 39, 39 + 10 + 7 + 3))
    world.add(
        "pack_orders",
        customer_id="1",
        pack_id="D5",
        data_kb=5 * GB,
        price=10_000,
        event_at=moment(2026, 4, 30, 16, 30),
    )
    world.add("roaming_sessions", customer_id="1", area="Japan", fee=7_000, event_at=moment(2026, 5, 9))
    world.rows["bills"][-1]["value_added_fee"] = 3_000
    row = fit(world)
    assert (row["reproduced"], row["needs"]) == (True, {"roaming": {"months": 1, "amount": 7_000}})


def test_what_was_not_known_does_not_count():
    """Use and bills known on or after the as-of date leave the answer as it was."""
    world = catalogue().customer("1", "A39", 10, 10, 10, bills=(64, 64, 64))
    before = fit(world)
    world.add(
        "usage_monthly",
        customer_id="1",
        period=date(2026, 2, 1),
        data_kb=0,
        billed_minutes=0,
        sms_count=0,
        known_at=moment(2026, 6, 1),
    )
    world.add("bills", customer_id="1", period=date(2026, 2, 1), total=1, known_at=moment(2026, 6, 1))
    assert before == fit(world)


def test_daily_use_is_summed_to_months_where_no_monthly_feed_exists():
    """A source with days only is rated on the days of each civil month."""
    world = catalogue().customer("1", "A39", bills=None)
    for month in PERIODS[-3:]:
        for day in (3, 17):
            world.add(
                "usage_daily",
                customer_id="1",
                day=month.replace(day=day),
                data_kb=5 * GB,
                billed_minutes=5,
                sms_count=0,
            )
    assert fit(world)["rated"][0]["months"] == {str(period): 59_000 for period in PERIODS[-3:]}


def test_a_month_whose_minutes_were_not_recorded_is_not_rated():
    """Missing units are unknown, not zero: the month does not count."""
    world = catalogue().customer("1", "A39", 10, 10, 10, 10, bills=(64,) * 4)
    world.rows["usage_monthly"][0]["billed_minutes"] = None
    assert fit(world)["months"] == 3


def test_an_ended_subscription_is_not_fitted():
    """Nobody is offered a plan for a line that has ended, however its status reads."""
    world = catalogue().customer("1", "A39", 10, 10, 10, bills=(64, 64, 64))
    world.add("terminations", customer_id="1", reason="cancel")
    with pytest.raises(NotFoundError):
        fit(world)


def test_totals_of_a_run():
    """The totals count every customer once under one status, and reproduce what the rows say."""
    world = catalogue()
    for number in range(40):
        bill = 64 if number % 4 else 90
        world.customer(f"{number:02}", "A39", 10, 10, 10, bills=(64, 64, bill))
    fitter = Fitter(world, AS_OF, read_settings())
    rows = [row for table in fitter.tables() for row in table.to_pylist()]
    summary = fitter.summary()
    assert (len(rows), summary["customers"], summary["offers"], summary["total_saving"]) == (40, 40, 30, 150_000)
    assert summary["by_status"] == {"bill_not_reproduced": 10, "ok": 30}
    assert summary["reproduced_share"] == 0.75
    assert json.loads(rows[1]["offers"])[0]["plan_id"] == "B59"


def test_buckets_change_nothing(monkeypatch):
    """The same customers in one bucket or in many get the same rows."""
    world = catalogue()
    for number in range(30):
        world.customer(f"{number:02}", "A39", number % 7, 9, 12, bills=(39, 59, 74))

    def rows():
        tables = Fitter(world, AS_OF, read_settings()).tables()
        return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: row["customer_id"])

    whole = rows()
    monkeypatch.setattr("serving.product_fit.fit.BUCKET_CUSTOMERS", 7)
    assert whole == rows()


def test_what_is_missing_is_said():
    """An unknown customer, a source without a catalogue and a date before any use are told in one line."""
    with pytest.raises(NotFoundError, match="customer 9 is not known"):
        fit(catalogue().customer("1", "A39", 1, 1, 1), "9")
    with pytest.raises(NotReadyError, match="no feed `plans`"):
        fit(World(rows={"usage_monthly": [{}], "subscriptions": [{}]}))
    with pytest.raises(NotReadyError, match="no complete month"):
        fit(catalogue().customer("1", "A39", 1, 1, 1), as_of=date(2025, 1, 1))
