"""The twelve customer classes: one rule each over the customer's own portrait, the first that holds is primary.

No rule looks at other customers, so one portrait gives one class, alone or in the batch. A rule whose feeds are
missing is not evaluable: it is skipped and named in the class report. The last two split the rest; without any feed
of contacts the rest is `unclassified`.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.kit.errors import ConfigurationError
from features.kit.language import Text
from features.portraits.settings import ClassRules

UNCLASSIFIED = "unclassified"
CLASS_NAMES: dict[str, Text] = {
    "complaint_sensitive": Text(zh="投诉敏感型", en="complaint sensitive"),
    "repeat_caller": Text(zh="反复来电型", en="repeat caller"),
    "arrears_prone": Text(zh="欠费风险型", en="arrears prone"),
    "frequent_traveller": Text(zh="国际常旅型", en="frequent traveller"),
    "occasional_traveller": Text(zh="国际偶用型", en="occasional traveller"),
    "contract_ending": Text(zh="合约临期型", en="contract ending"),
    "data_hungry": Text(zh="流量饥渴型", en="data hungry"),
    "high_value": Text(zh="高价值稳定型", en="high value"),
    "over_provisioned": Text(zh="套餐闲置型", en="over provisioned"),
    "bundled": Text(zh="融合在约型", en="bundled"),
    "assisted": Text(zh="人工依赖型", en="assisted"),
    "self_served": Text(zh="自助静默型", en="self served"),
    "unclassified": Text(zh="未分类", en="unclassified"),
}
"""What each class is called; `unclassified` is who has no class."""
_CONTACT_FEEDS = ("channel_contacts", "hotline_calls")


@dataclass(frozen=True)
class ClassRule:
    """One class.

    Attributes:
        name: Its code.
        needs: Any of these feeds must be there.
        holds: SQL over the features.
    """

    name: str
    needs: tuple[str, ...]
    holds: str


def class_rules(rules: ClassRules, money_scale: int) -> tuple[ClassRule, ...]:
    """Returns the rules in the configured order.

    Raises:
        ConfigurationError: If the order names an unknown class or leaves one out.
    """
    tiers = ", ".join(f"'{tier}'" for tier in rules.high_value_tiers)
    ends = f"BETWEEN {-rules.contract_ended_within_days} AND {rules.contract_ends_within_days}"
    known = (
        ClassRule(
            "complaint_sensitive", ("tickets",),
            f"complaints_count_90d >= {rules.complaints_90d} OR complaints_count_180d >= {rules.complaints_180d}",
        ),
        ClassRule(
            "repeat_caller", ("hotline_calls",),
            f"repeat_topic_calls_count_60d >= {rules.repeat_calls_7d} OR busiest_month_calls_count_60d >= "
            f"{rules.frequent_calls_30d}",
        ),
        ClassRule(
            "arrears_prone", ("bills",),
            f"arrears_amount > 0 OR late_payments_count_180d >= {rules.late_payments}",
        ),
        ClassRule(
            "frequent_traveller", ("roaming_sessions",),
            f"roaming_months_count_180d >= {rules.travel_months}",
        ),
        ClassRule(
            "occasional_traveller", ("roaming_sessions", "hotline_calls"),
            "roaming_months_count_180d >= 1 OR roaming_enquiries_count_30d >= 1",
        ),
        ClassRule(
            "contract_ending", ("subscriptions",),
            f"contract_left_days {ends} OR discount_left_days {ends}",
        ),
        ClassRule(
            "data_hungry", ("pack_orders", "bills", "usage_monthly"),
            f"packs_count_90d >= {rules.packs_90d} OR bill_overage_months_count_90d >= {rules.use_months} OR "
            f"throttled_months_count_90d >= {rules.use_months}",
        ),
        ClassRule(
            "high_value", ("bills",),
            f"bill_mean_amount_90d >= {rules.high_value_amount * 10**money_scale} OR vip_tier IN ({tiers})",
        ),
        ClassRule(
            "over_provisioned", ("usage_monthly",),
            f"low_use_months_count_90d >= {rules.low_use_months}",
        ),
        ClassRule(
            "bundled", ("persons", "fixed_services"),
            f"contract_left_days > {rules.bundled_contract_left_days} AND "
            "(household_lines_count >= 1 OR has_fixed_service = 1)",
        ),
        ClassRule(
            "assisted", _CONTACT_FEEDS,
            f"assisted_contacts_count_180d >= 1 AND assisted_share_180d >= {rules.assisted_share}",
        ),
        ClassRule("self_served", _CONTACT_FEEDS, "true"),
    )  # fmt: skip
    by_name = {rule.name: rule for rule in known}
    wrong = set(rules.order) ^ set(by_name)
    if wrong or len(rules.order) != len(by_name) or rules.order[-1] != "self_served":
        named = min(wrong) if wrong else rules.order[-1]
        raise ConfigurationError(
            f"portraits.yaml: 'classes.order' must name each of the {len(by_name)} classes once, `self_served` last; "
            f"see '{named}'"
        )
    return tuple(by_name[name] for name in rules.order)


def not_evaluable(rules: tuple[ClassRule, ...], present: frozenset[str]) -> list[str]:
    """Returns the classes whose feeds are missing."""
    return [rule.name for rule in rules if not any(feed in present for feed in rule.needs)]


def holding_sql(rules: tuple[ClassRule, ...], present: frozenset[str]) -> str:
    """Returns SQL for the list of classes that hold, in order; the rest (`self_served`) only if nothing else does.

    A class whose feeds are missing never holds; if nothing holds the list is `['unclassified']`.
    """
    lost = set(not_evaluable(rules, present))
    usable = [rule for rule in rules if rule.name not in lost]
    parts = [f"CASE WHEN {rule.holds} THEN '{rule.name}' END" for rule in usable if rule.name != "self_served"]
    rest = UNCLASSIFIED if "self_served" in lost else "self_served"
    held = f"list_filter([{', '.join(parts)}], lambda held: held IS NOT NULL)" if parts else "[]::VARCHAR[]"
    return f"CASE WHEN len({held}) = 0 THEN ['{rest}'] ELSE {held} END"
