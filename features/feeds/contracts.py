"""The feeds: every typed event table of an operator, with its columns, units, key, grain and times.

Every feed carries, besides the columns declared here:

    event_id      text      the operator's id, or a hash of the declared natural key
    customer_id   text      one subscription (not on reference feeds and on `persons` only as the link)
    event_at      instant   when it happened; for a day's or a month's row the start of that period
    known_at      instant   when the operator's systems knew it
    superseded_at instant   when a newer version or a removal of the same event became known, else NULL
    arrived_at    instant   when this system landed the row (bookkeeping, never used for what was known)

What was known on an as-of date is one condition, `known_before` in `features.feeds.landed.reading`.

Instants are UTC in whole seconds, dates are the operator's civil dates, money is an integer in the currency's
declared scale (CNY: li, 1/1000 yuan).
"""

from __future__ import annotations

from functools import partial

from features.feeds.schema import Column, Feed, Grain, Kind, Link

_text = partial(Column, kind=Kind.TEXT)
_flag = partial(Column, kind=Kind.FLAG)
_date = partial(Column, kind=Kind.DATE)
_instant = partial(Column, kind=Kind.INSTANT, unit="UTC")
_money = partial(Column, kind=Kind.MONEY, unit="minor", low=0)


def _category(name: str, *allowed: str, required: bool = False) -> Column:
    return Column(name, Kind.CATEGORY, allowed=allowed, required=required)


def _count(name: str, unit: str = "", *, required: bool = False, high: float | None = None) -> Column:
    return Column(name, Kind.INTEGER, unit=unit, low=0, high=high, required=required)


CUSTOMER_KINDS = ("consumer", "corporate", "machine")
STATUSES = ("active", "suspended_arrears", "suspended_request", "suspended_authority", "closed")
VIP_TIERS = ("none", "silver", "gold", "platinum", "diamond")
PERSON_ROLES = ("main", "secondary", "broadband", "tv")
PORT_STEPS = ("enquiry", "application", "code", "completed")
PURPOSES = ("marketing", "retention", "service", "personalisation")
CONSENT_CHANNELS = ("call", "message", "app", "hall", "all")
TICKET_KINDS = ("complaint", "enquiry", "request", "fault")
TICKET_STATES = ("open", "closed", "reopened")
TOPICS = (
    "network", "data_plan", "unknown_charge", "billing", "broadband_tv", "roaming", "attitude",
    "porting", "cancelling", "contract", "recharge", "other",
)  # fmt: skip


def _use(days: int) -> tuple[Column, ...]:
    """Returns the use of so many days; the limits are twice what fits, so only a wrong unit exceeds them."""
    return (
        _count("voice_seconds", "s", high=days * 172_800),
        _count("billed_minutes", "min", high=days * 20_000),
        _count("offnet_seconds", "s", high=days * 172_800),
        _count("data_kb", "KB", high=days * 2_147_483_648),
        _count("night_data_kb", "KB", high=days * 2_147_483_648),
        _count("sms_count", high=days * 100_000),
    )


_PERSON_LINKS = Link(
    "person_links",
    (
        _text("person_id"), _text("account_id"), _category("role"), _date("valid_from"), _date("valid_until"),
        _flag("is_deceased"),
    ),
)  # fmt: skip
_NUMBER_FLAGS = Link(
    "number_flags",
    (
        _instant("valid_from"), _instant("valid_until"), _date("ported_in_on"), _date("ported_out_on"),
        _flag("is_verified"), _flag("is_reissued"),
    ),
)  # fmt: skip
_FEEDS = (
    Feed(
        "customers",
        "a customer as known",
        ("customer_id", "event_at"),
        (
            _date("activated_on"),
            _category("kind", *CUSTOMER_KINDS),
            _category("status", *STATUSES),
            _category("province"),
            _category("city"),
            _category("grid"),
            Column("birth_year", Kind.INTEGER, low=1900, high=2100),
            _category("vip_tier", *VIP_TIERS),
            _category("device_generation", "2G", "3G", "4G", "5G"),
            _date("device_since"),
            _category("language", "zh", "en"),
        ),
        is_state=True,
        is_timeless=True,
        stays_with_line=True,
        holder_columns=("birth_year", "language", "vip_tier"),
    ),
    Feed(
        "persons",
        "a person's link to one subscription, with validity",
        ("customer_id", "person_id", "valid_from"),
        (
            _text("person_id", required=True),
            _text("account_id"),
            _category("role", *PERSON_ROLES),
            _text("form_of_address"),
            _date("valid_from", required=True),
            _date("valid_until"),
            _flag("is_deceased"),
        ),
        personal=True,
        is_state=True,
        is_timeless=True,
        link=_PERSON_LINKS,
    ),
    Feed(
        "numbers",
        "a phone number's owner, with validity",
        ("number", "customer_id", "valid_from"),
        (
            _text("number", required=True),
            _instant("valid_from", required=True),
            _instant("valid_until"),
            _date("ported_in_on"),
            _date("ported_out_on"),
            _flag("is_verified"),
        ),
        personal=True,
        is_state=True,
        is_timeless=True,
        link=_NUMBER_FLAGS,
    ),
    Feed(
        "subscriptions",
        "a plan or contract change",
        ("customer_id", "ordered_at", "plan_id"),
        (
            _text("plan_id", required=True),
            _instant("ordered_at", required=True),
            _date("effective_on", required=True),
            _category("contract_type", "none", "handset", "discount", "bundle"),
            _date("contract_start"),
            _date("contract_end"),
            _date("discount_end"),
            _money("discount_amount"),
        ),
        is_state=True,
        stays_with_line=True,
    ),
    Feed(
        "bills",
        "a month's bill",
        ("customer_id", "period"),
        (
            _date("period", required=True),
            _text("plan_id"),
            _money("plan_fee", low=None),  # a credit note is a bill: its parts and its total may be negative
            _money("overage_fee", low=None),
            _money("pack_fee", low=None),
            _money("roaming_fee", low=None),
            _money("value_added_fee", low=None),
            _text("value_added_item"),
            _money("discount"),
            _money("total", required=True, low=None),
            _instant("due_at"),
            _instant("paid_at"),
            _money("arrears"),
        ),
        grain=Grain.MONTH,
        period="period",
    ),
    Feed(
        "usage_daily",
        "a day's use",
        ("customer_id", "day"),
        (_date("day", required=True), *_use(1)),
        grain=Grain.DAY,
        period="day",
    ),
    Feed(
        "usage_monthly",
        "a month's use",
        ("customer_id", "period"),
        (_date("period", required=True), *_use(31), _flag("is_throttled")),
        grain=Grain.MONTH,
        period="period",
    ),
    Feed(
        "port_requests",
        "a step towards leaving with the number",
        ("customer_id", "event_at", "step"),
        (_category("step", *PORT_STEPS, required=True),),
    ),
    Feed(
        "fixed_services",
        "broadband or TV state",
        ("customer_id", "service", "event_at"),
        (
            _category("service", "broadband", "tv", required=True),
            _category("status", "active", "closed"),
            _count("contracted_kbps", "kbit/s"),
            _count("measured_kbps", "kbit/s"),
            _date("last_active_on"),
            _count("faults"),
        ),
        is_state=True,
        stays_with_line=True,
    ),
    Feed(
        "pack_orders",
        "a data pack bought",
        ("customer_id", "event_at", "pack_id"),
        (_text("pack_id", required=True), _count("data_kb", "KB"), _money("price"), _category("channel")),
    ),
    Feed(
        "hotline_calls",
        "a call to the hotline",
        ("call_id",),
        (
            _text("call_id", required=True),
            _count("ivr_seconds", "s"),
            _count("wait_seconds", "s"),
            _count("talk_seconds", "s"),
            _category("topic"),
            _flag("agent"),
            _flag("resolved"),
            _flag("transferred"),
        ),
    ),
    Feed(
        "channel_contacts",
        "a touch in app, web, hall, IVR or message",
        ("customer_id", "event_at", "channel"),
        (
            _category("channel", "app", "web", "hall", "ivr", "message", required=True),
            _category("purpose"),
            _flag("succeeded"),
        ),
    ),
    Feed(
        "roaming_sessions",
        "roaming use",
        ("customer_id", "event_at", "area"),
        (
            _category("area", required=True),
            _flag("international"),
            _count("seconds", "s"),
            _count("data_kb", "KB"),
            _money("fee"),
            _flag("with_pack"),
        ),
    ),
    Feed(
        "network_experience",
        "a day's quality",
        ("customer_id", "day"),
        (
            _date("day", required=True),
            _count("drops"),
            _count("stalls"),
            _count("weak_signal_minutes", "min", high=2_880),
            _category("cell_id"),
        ),
        grain=Grain.DAY,
        period="day",
    ),
    Feed(
        "network_faults",
        "a fault or upgrade of a grid, each state change",
        ("fault_id", "event_at"),
        (
            _text("fault_id", required=True),
            _category("grid", required=True),
            _date("expected_repair_on"),
            _instant("repaired_at"),
        ),
        reference=True,
    ),
    Feed(
        "tickets",
        "a complaint or request, each state change",
        ("ticket_id", "event_at", "status"),
        (
            _text("ticket_id", required=True),
            _category("kind", *TICKET_KINDS, required=True),
            _category("topic"),
            _category("channel"),
            _text("text"),
            _category("status", *TICKET_STATES, required=True),
            _text("owner"),
            _instant("opened_at"),
            _instant("due_at"),
            _instant("closed_at"),
            Column("satisfaction", Kind.INTEGER, low=1, high=10),
        ),
        has_own_rows=True,
    ),
    Feed(
        "surveys",
        "an answer",
        ("customer_id", "event_at", "survey"),
        (
            _category("survey", required=True),
            Column("score", Kind.INTEGER, low=0, high=10, required=True),
            _text("comment"),
        ),
    ),
    Feed(
        "consents",
        "a consent given or withdrawn",
        ("customer_id", "event_at", "purpose", "channel"),
        (
            _category("purpose", *PURPOSES, required=True),
            _category("channel", *CONSENT_CHANNELS, required=True),
            _flag("granted", required=True),
        ),
        is_state=True,
        has_own_rows=True,
    ),
    Feed(
        "contacts",
        "an outreach made by the operator",
        ("contact_id",),
        (
            _text("contact_id", required=True),
            _text("campaign"),
            _category("action", required=True),
            _category("channel"),
            _category("arm", "treated", "control"),
            Column("propensity", Kind.NUMBER, low=0, high=1),
        ),
        has_own_rows=True,
        is_own=True,
    ),
    Feed(
        "outcomes",
        "what came of a contact or offer",
        ("contact_id", "event_at", "outcome"),
        (
            _text("contact_id", required=True),
            _category("outcome", required=True),
            _flag("accepted"),
            _text("order_reference"),
        ),
        has_own_rows=True,
        is_own=True,
    ),
    Feed(
        "terminations",
        "the end of a customer",
        ("customer_id", "event_at"),
        (
            _category("reason", "cancel", "port_out", "arrears", "deceased", "other", required=True),
            _flag("voluntary"),
            _date("last_used_on"),
        ),
    ),
    Feed(
        "attributes",
        "any further columns of the operator, declared in the source mapping",
        ("customer_id", "event_at"),
        (),
        is_state=True,
    ),
    Feed(
        "plans",
        "a plan of the catalogue, with validity",
        ("plan_id", "valid_from"),
        (
            _text("plan_id", required=True),
            _text("name_zh"),
            _text("name_en"),
            _category("generation", "2G", "3G", "4G", "5G"),
            _money("monthly_fee", required=True),
            _count("voice_minutes", "min"),
            _count("data_kb", "KB"),
            _count("sms_count"),
            _money("voice_overage_price"),  # per billed minute
            _money("data_overage_price"),  # per block
            _count("data_block_kb", "KB"),
            _money("sms_overage_price"),  # per message
            _money("overage_cap"),  # the most data overage in a month
            _count("throttle_after_kb", "KB"),  # beyond it slowed down, not charged
            _count("rollover_months"),  # unused data allowance is used after the current month's, then lapses
            _money("minimum_spend"),
            _count("shared_lines"),  # secondary lines that draw on the same allowance
            _count("contract_months"),
            _money("early_exit_fee"),
            _money("discount_amount"),
            _count("discount_months"),
            _category("audience", "all", "new", "senior", "student", "legacy"),
            _category("effective", "immediate", "next_month"),
            _date("on_sale_from"),
            _date("on_sale_until"),
            _date("valid_from", required=True),
            _date("valid_until"),
        ),
        reference=True,
    ),
    Feed(
        "packs",
        "a data or roaming pack of the catalogue, with validity",
        ("pack_id", "valid_from"),
        (
            _text("pack_id", required=True),
            _text("name_zh"),
            _text("name_en"),
            _category("scope", "domestic", "roaming"),
            _count("data_kb", "KB", required=True),
            _money("price", required=True),
            _flag("renews"),
            _date("on_sale_from"),
            _date("on_sale_until"),
            _date("valid_from", required=True),
            _date("valid_until"),
        ),
        reference=True,
    ),
)

FEEDS: dict[str, Feed] = {feed.name: feed for feed in _FEEDS}
"""Every feed by name, in the order in which they land: who, then what, then the catalogue."""

LINKS: dict[str, Link] = {feed.link.name: feed.link for feed in _FEEDS if feed.link}
"""The views without numbers and names, by name: always there, empty without their feed."""
