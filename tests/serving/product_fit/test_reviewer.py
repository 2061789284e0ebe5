"""The strict reviewer of the bench: each of its rules refuses a planted offer, and a sound one passes."""

import json
from datetime import date

import pandas as pd
import pytest

from tests.bench.offers import Reviewer

GB = 1024 * 1024
FILES = {
    "plans": """plan_id,name_zh,generation,monthly_fee,voice_minutes,data_kb,sms_count,voice_overage_price,\
data_overage_price,data_block_kb,sms_overage_price,overage_cap,throttle_after_kb,rollover_months,minimum_spend,shared_lines
L08,8元保号套餐,4G,8,30,209715,30,.19,29,1048576,.1,60,,0,0,0
L59,飞享59,4G,59,250,10485760,30,.19,5,1048576,.1,150,,0,0,0
L88,飞享88,4G,88,400,20971520,50,.19,5,1048576,.1,200,,0,0,0
L98,飞享98,4G,98,400,20971520,50,.19,5,1048576,.1,200,,0,0,2
""",
    "packs": """pack_id,data_kb,price,renews
D10,10485760,20,false
R10,10485760,20,true
""",
    "usage_monthly": "customer_id,known_at,period,billed_minutes,data_kb,sms_count\n"
    + "".join(
        f"{customer},2026-05-02,2026-0{month}-01,{minutes},{gb * GB},1\n"
        for customer, gb, minutes in (("heavy", 12, 99), ("idle", 0, 0), ("light", 8, 99), ("extra", 8, 99))
        for month in (2, 3, 4)
    ),
    "subscriptions": """customer_id,known_at,ordered_at,effective_on,plan_id
heavy,2026-01-01,2020-01-01,2020-01-01,L88
idle,2026-01-01,2020-01-01,2020-01-01,L88
light,2026-01-01,2020-01-01,2020-01-01,L98
light,2026-05-01,2026-04-20,2026-05-01,L88
""",
    "persons": """customer_id,known_at,valid_from,account_id,role
heavy,2026-01-01,2020-01-01,A1,main
light,2026-01-01,2020-01-01,A2,main
extra,2026-01-01,2020-01-01,A2,secondary
""",
}


@pytest.fixture
def reviewer(tmp_path):
    """Returns a reviewer of three customers: 12 GB a month, none, and 8 GB on a plan that began in May."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text.replace("\\\n", ""), encoding="utf-8")
    return Reviewer(tmp_path, date(2026, 6, 1))


@pytest.mark.parametrize(
    ("rules", "customer", "held", "offer"),
    [
        (set(), "heavy", "L98", {"plan_id": "L88"}),
        (set(), "idle", "L88", {"plan_id": "L08", "on_request": True}),
        ({"keep_number"}, "idle", "L88", {"plan_id": "L08"}),
        ({"normal_month", "worst_month", "keep_number"}, "heavy", "L88", {"plan_id": "L08"}),
        ({"normal_month", "worst_month"}, "heavy", "L88", {"plan_id": "L59"}),
        ({"dominated"}, "heavy", "L88", {"plan_id": "L59", "pack_id": "R10", "monthly_fee": 79_000}),
        (
            {"normal_month", "worst_month", "pack_by_hand", "dominated"},
            "heavy", "L88", {"plan_id": "L59", "pack_id": "D10", "monthly_fee": 79_000},
        ),
        ({"plan_changed"}, "light", "L88", {"plan_id": "L59"}),
        ({"plan_changed", "pool_not_rated", "normal_month", "worst_month"}, "light", "L98", {"plan_id": "L59"}),
    ],
)  # fmt: skip
def test_each_rule_refuses_its_planted_offer(rules, customer, held, offer, reviewer):
    """What a rule is there for is refused by it, and by no rule that does not concern it."""
    kind = "plan_and_pack" if "pack_id" in offer else "plan"
    base = {"pack_id": None, "on_request": False, "kind": kind, "monthly_cost": 59_000, "monthly_fee": 59_000}
    fits = pd.DataFrame([{"customer_id": customer, "current_plan_id": held, "offers": json.dumps([base | offer])}])
    offers, refused, by_rule = reviewer.review(fits)
    assert (offers, refused, {rule for rule, count in by_rule.items() if count}) == (1, int(bool(rules)), rules)


def test_an_offer_that_another_beats_is_dominated(reviewer):
    """98 yuan for what 88 gives as well."""
    made = [
        {
            "plan_id": plan,
            "pack_id": None,
            "on_request": False,
            "kind": "plan",
            "monthly_cost": cost,
            "monthly_fee": cost,
        }
        for plan, cost in (("L88", 88_000), ("L98", 98_000))
    ]
    fits = pd.DataFrame([{"customer_id": "heavy", "current_plan_id": "L59", "offers": json.dumps(made)}])
    assert reviewer.review(fits)[:2] == (2, 1)
