"""The fact behind every reason code: when it holds, and the customer's own figures that a sentence may say.

A fact is judged on the portrait's features and details alone, with thresholds from `configs/portraits.yaml`. One
whose slots cannot all be filled does not hold. Money slots are whole minor units, dates ISO, shares whole percent.
Slots under `tense` say how the matter stands (solved, first charged, still to come); they may stay unknown (NULL), and
then no sentence takes them for granted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from features.kit.clock import add_months, month_start
from features.portraits.facts.festivals import Festival
from features.portraits.settings import Limits

NO_SINGLE_CAUSE = "mixed.no_single_cause"


@dataclass(frozen=True)
class Fact:
    """One fact.

    Attributes:
        code: The reason code.
        holds: SQL over the columns of features and details.
        slots: Slot -> SQL of its raw value.
        tense: The same for slots that may stay unknown.
    """

    code: str
    holds: str
    slots: dict[str, str] = field(default_factory=dict)
    tense: dict[str, str] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        """Returns SQL that is true where the fact holds and every slot is filled."""
        return " AND ".join(
            [f"coalesce({self.holds}, false)", *(f"({sql}) IS NOT NULL" for sql in self.slots.values())]
        )


_OPEN = "CASE WHEN overdue_tickets_count IS NOT NULL THEN coalesce(open_count, 0) END"
"""How many tickets are open; unknown where no feed tells of tickets."""


def _whole(sql: str) -> str:
    return f"CAST(round({sql}) AS BIGINT)"


def fact_slots(limits: Limits) -> dict[str, frozenset[str]]:
    """Returns the slots of all facts by code, whatever the date; of the absence of all others, none."""
    some_day = date(2000, 1, 1)
    every = facts(limits, day=some_day, money_scale=0, festival=Festival("any", some_day))
    return {NO_SINGLE_CAUSE: frozenset(), **{fact.code: frozenset(fact.slots | fact.tense) for fact in every}}


def facts(limits: Limits, *, day: date, money_scale: int, festival: Festival | None) -> tuple[Fact, ...]:
    """Returns every fact, sorted by code, for one as-of date.

    Args:
        limits: The thresholds.
        day: The as-of date.
        money_scale: Decimals of landed money.
        festival: The next festival if it is near, else None.
    """
    unit = 10**money_scale
    elapsed = (day - month_start(day)).days
    month_end = add_months(month_start(day), 1) - timedelta(days=1)
    found = (
        Fact(
            "bill.arrears", "arrears > 0",
            {"amount": "arrears", "date": "arrears_due", "days": "overdue_days"},
            {"status": "person_status"},
        ),
        Fact(
            "bill.jump",
            f"last_bill >= {limits.bill_jump_share} * mean_before AND last_bill - mean_before >= "
            f"{limits.bill_jump_amount * unit}",
            {"amount": "last_bill", "diff": "last_bill - mean_before", "item": "jump_item", "month": "bill_month"},
        ),
        Fact("bill.overage", "overage_months >= 2", {"amount": "overage_amount", "n": "overage_months"}),
        Fact(
            "bill.unknown_charge",
            f"(new_item IS NOT NULL AND new_days <= {limits.new_charge_days}) OR charge_calls >= 1",
            {"amount": "coalesce(new_amount, added_amount)", "item": "coalesce(new_item, added_item)"},
            {"asked": "charge_calls", "first_month": "first_month", "month": "bill_month"},
        ),
        Fact(
            "broadband.fault",
            f"broadband_faults_count_60d >= {limits.broadband_faults} OR (broadband_faults_count_60d >= 1 AND "
            f"broadband_speed_share < {limits.broadband_speed_share})",
            {"n": _whole("broadband_faults_count_60d")},
        ),
        Fact(
            "calls.frequent", f"manual_calls_count_30d >= {limits.frequent_calls}",
            {"n": _whole("manual_calls_count_30d")}, {"open": _OPEN},
        ),
        Fact(
            "calls.leave_enquiry",
            "(leave_enquiry_calls_count_30d >= 1 OR porting_enquiries >= 1) AND NOT coalesce(has_applied, false)",
            {"n": "CAST(coalesce(leave_enquiry_calls_count_30d, 0) AS BIGINT) + coalesce(porting_enquiries, 0)"},
        ),
        Fact(
            "calls.repeat_topic", f"topic_calls >= {limits.repeat_calls}", {"n": "topic_calls", "topic": "topic"},
            {
                "is_unsolved": "CASE WHEN list_contains(open_topics, topic) OR NOT topic_solved THEN true "
                "WHEN topic_solved THEN false END",
                "open": _OPEN,
            },
        ),
        Fact(
            "channel.self_service_failed", f"failed_self_service_count_30d >= {limits.failed_attempts}",
            {"n": _whole("failed_self_service_count_30d")}, {"is_done": "failed_then_done", "purpose": "failed_item"},
        ),
        Fact(
            "contract.discount_ended",
            "discount_left_days BETWEEN -60 AND -1 AND lost_discount > 0 AND last_bill > mean_before",
            {"date": "discount_end", "diff": "lost_discount"},
        ),
        Fact("contract.ending", "contract_left_days BETWEEN 0 AND 60", {"date": "contract_end"}),
        Fact(
            "data.near_cap",
            f"month_used_share >= {limits.near_cap_share} AND {elapsed} <= {limits.near_cap_day}",
            {"pct": _whole("month_used_share * 100"), "until": f"'{month_end}'"},
        ),
        Fact("data.throttled", "throttled_months_count_90d >= 2", {"n": _whole("throttled_months_count_90d")}),
        Fact(
            "device.5g_on_old_plan", f"is_5g_device_on_old_plan = 1 AND device_days >= {limits.device_days}",
            {"days": _whole("device_days")},
        ),
        Fact(
            "household.line_closed", "household_closed_count_90d >= 1",
            {"n": _whole("household_closed_count_90d")},
        ),
        Fact("network.grid_fault", f"fault_repair >= '{day}'", {"date": "fault_repair", "ticket": "fault_id"}),
        Fact(
            "network.poor_quality", f"poor_network_days_14d >= {limits.poor_days}",
            {"n": _whole("poor_network_days_14d")},
        ),
        Fact("packs.frequent", "packs_count_90d >= 2", {"amount": "pack_amount", "n": _whole("packs_count_90d")}),
        Fact(
            "roaming.bill_shock", f"roaming_amount >= {limits.roaming_shock_amount * unit}",
            {"amount": "roaming_amount"},
        ),
        Fact(
            "roaming.trip_expected", "has_roamed_this_season = 1 OR roaming_calls >= 1",
            {"asked": "CAST(coalesce(roaming_calls, 0) AS BIGINT)"},
        ),
        Fact(
            "service.low_satisfaction", "low_score IS NOT NULL", {"date": "low_score_on", "score": "low_score"},
            {"is_newest": "low_is_newest"},
        ),
        Fact(
            "service.recent_complaint", "complaint_on IS NOT NULL",
            {"date": "complaint_on", "topic": "complaint_topic"},
            {"is_unsatisfied": "complaint_unsatisfied", "is_unsolved": "complaint_open", "open": _OPEN},
        ),
        Fact(
            "service.ticket_overdue", "overdue_hours >= 1",
            {"hours": "overdue_hours", "ticket": "overdue_ticket"},
            {"date": "overdue_due", "topic": "overdue_topic"},
        ),
        *_festival(limits, festival),
        Fact(
            "usage.falling",
            f"coalesce(data_trend_90d, 0) < {limits.falling_share} AND coalesce(voice_trend_90d, 0) < "
            f"{limits.falling_share} AND tenure_days >= 90",
            {"pct": _whole("greatest(data_trend_90d, voice_trend_90d) * 100")},
        ),
        Fact(
            "usage.idle_allowance", "low_use_months_count_90d >= 3",
            {"pct": _whole("allowance_used_share_90d * 100")},
        ),
    )  # fmt: skip
    return tuple(sorted(found, key=lambda fact: fact.code))


def _festival(limits: Limits, festival: Festival | None) -> tuple[Fact, ...]:
    if festival is None:
        return ()
    slots = {"date": f"'{festival.on}'", "days": _whole("tv_idle_days"), "festival": f"'{festival.code}'"}
    return (Fact("tv.idle_before_festival", f"tv_idle_days >= {limits.tv_idle_days}", slots),)
