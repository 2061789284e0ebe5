"""What a person reading the portrait wants to see by name: one row per customer and subject, from the sources.

Facts and the card are filled from these rows: the topic, the month, the ticket behind a number. DuckDB SQL over the
kept sources of one as-of date; a subject whose sources are missing gives no row, so its slots stay NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Detail:
    """One subject.

    Attributes:
        name: The table's name after `detail_`.
        sources: The sources that it reads; without one of them it is left out.
        columns: Column -> DuckDB type, besides customer_id.
        sql: The query; `{day}` is the as-of date as SQL, `{instant}` its first instant.
    """

    name: str
    sources: tuple[str, ...]
    columns: dict[str, str]
    sql: str


_HALF_UP_MEAN = "(2 * sum({value}) FILTER ({where}) + count(*) FILTER ({where})) // (2 * count(*) FILTER ({where}))"


def _mean(value: str, where: str) -> str:
    """Returns the mean of whole numbers, rounded half up to a whole number, without leaving whole numbers."""
    return f"CAST({_HALF_UP_MEAN.format(value=value, where='WHERE ' + where)} AS BIGINT)"


DETAILS: tuple[Detail, ...] = (
    Detail(
        "person",
        ("customer",),
        {
            "person_kind": "VARCHAR", "person_status": "VARCHAR", "city": "VARCHAR", "person_province": "VARCHAR",
            "grid": "VARCHAR", "person_birth_year": "BIGINT", "person_vip_tier": "VARCHAR", "language": "VARCHAR",
            "months_with_us": "BIGINT",
        },
        "SELECT customer_id, kind AS person_kind, status AS person_status, city, province AS person_province, grid, "
        "birth_year AS person_birth_year, vip_tier AS person_vip_tier, language, "
        "datesub('month', activated_on, {day}) AS months_with_us FROM source_customer",
    ),
    Detail(
        "topic",
        ("hotline_calls",),
        {"topic": "VARCHAR", "topic_calls": "BIGINT", "topic_solved": "BOOLEAN"},
        "SELECT customer_id, topic, calls AS topic_calls, topic_solved FROM (SELECT customer_id, topic, count(*) AS "
        "calls, arg_max_null(resolved, (event_at, event_id)) AS topic_solved FROM source_hotline_calls WHERE agent AND "
        "days_ago <= 7 AND topic IS NOT NULL GROUP BY customer_id, topic) "
        "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY calls DESC, topic) = 1",
    ),
    Detail(
        "charge_call",
        ("hotline_calls",),
        {"charge_calls": "BIGINT", "roaming_calls": "BIGINT"},
        "SELECT customer_id, count(*) FILTER (WHERE topic = 'unknown_charge') AS charge_calls, "
        "count(*) FILTER (WHERE topic = 'roaming') AS roaming_calls "
        "FROM source_hotline_calls WHERE days_ago <= 30 GROUP BY customer_id",
    ),
    Detail(
        "failed",
        ("channel_contacts",),
        {"failed_item": "VARCHAR", "failed_then_done": "BOOLEAN"},
        "SELECT customer_id, failed_item, EXISTS (SELECT 1 FROM source_channel_contacts d WHERE d.customer_id = "
        "f.customer_id AND d.succeeded AND d.event_at > failed_at AND (failed_item IS NULL OR d.purpose IS NULL OR "
        "d.purpose = failed_item)) AS failed_then_done FROM (SELECT customer_id, max(event_at) AS failed_at, "
        "arg_max(purpose, (event_at, event_id)) AS failed_item FROM source_channel_contacts "
        "WHERE NOT succeeded AND channel <> 'hall' AND days_ago <= 30 GROUP BY customer_id) f",
    ),
    Detail(
        "bill",
        ("bills",),
        {
            "bill_month": "VARCHAR", "last_bill": "BIGINT", "mean_bill": "BIGINT", "mean_before": "BIGINT",
            "overage_months": "BIGINT", "overage_amount": "BIGINT", "new_item": "VARCHAR", "new_amount": "BIGINT",
            "new_days": "BIGINT", "added_item": "VARCHAR", "added_amount": "BIGINT", "arrears": "BIGINT",
            "arrears_due": "VARCHAR", "overdue_days": "BIGINT", "lost_discount": "BIGINT", "jump_item": "VARCHAR",
            "first_month": "VARCHAR",
        },
        "SELECT customer_id, strftime(max(period) FILTER (WHERE rank = 1), '%Y-%m') AS bill_month, "
        "max(total) FILTER (WHERE rank = 1) AS last_bill, "
        f"{_mean('total', 'rank <= 3')} AS mean_bill, "
        f"{_mean('total', 'total >= 0 AND rank BETWEEN 2 AND 4')} AS mean_before, "  # a credit note is not usual
        "count(*) FILTER (WHERE rank <= 3 AND overage_fee > 0) AS overage_months, "
        "CAST(sum(overage_fee) FILTER (WHERE rank <= 3) AS BIGINT) AS overage_amount, "
        "max(value_added_item) FILTER (WHERE rank = 1 AND new_charge > 0) AS new_item, "
        "max(new_charge) FILTER (WHERE rank = 1 AND new_charge > 0) AS new_amount, "
        "max(days_ago - 30) FILTER (WHERE rank = 1) AS new_days, "
        "strftime({day} - CAST(max(first_days_ago) FILTER (WHERE rank = 1 AND was_without) AS INTEGER), '%Y-%m') AS "
        "first_month, "
        "max(value_added_item) FILTER (WHERE rank = 1 AND value_added_fee > 0) AS added_item, "
        "max(value_added_fee) FILTER (WHERE rank = 1 AND value_added_item IS NOT NULL) AS added_amount, "
        "CAST(sum(overdue_amount) AS BIGINT) AS arrears, "
        "strftime({day} - CAST(max(days_since_due_at) FILTER (WHERE overdue_amount > 0) AS INTEGER), '%Y-%m-%d') "
        "AS arrears_due, max(days_since_due_at) FILTER (WHERE overdue_amount > 0) AS overdue_days, "
        "max(discount) FILTER (WHERE rank BETWEEN 2 AND 4) - max(discount) FILTER (WHERE rank = 1) AS lost_discount, "
        "arg_max(CASE greatest(overage_fee, roaming_fee, pack_fee, value_added_fee, 0) WHEN 0 THEN 'plan_fee' "
        "WHEN overage_fee THEN 'overage_fee' WHEN roaming_fee THEN 'roaming_fee' WHEN pack_fee THEN 'pack_fee' "
        "ELSE 'value_added_fee' END, -rank) AS jump_item "
        "FROM source_bills GROUP BY customer_id",
    ),
    Detail(
        "plan",
        ("plan_in_force",),
        {"plan_id": "VARCHAR", "plan_zh": "VARCHAR", "plan_en": "VARCHAR"},
        "SELECT customer_id, plan_id, name_zh AS plan_zh, name_en AS plan_en FROM source_plan_in_force",
    ),
    Detail(
        "contract",
        ("contract",),
        {"contract_end": "VARCHAR", "discount_end": "VARCHAR"},
        "SELECT customer_id, strftime(contract_end, '%Y-%m-%d') AS contract_end, "
        "strftime(discount_end, '%Y-%m-%d') AS discount_end FROM source_contract",
    ),
    Detail(
        "pack",
        ("pack_orders",),
        {"pack_amount": "BIGINT"},
        "SELECT customer_id, CAST(sum(price) AS BIGINT) AS pack_amount FROM source_pack_orders WHERE days_ago <= 90 "
        "GROUP BY customer_id",
    ),
    Detail(
        "roaming",
        ("roaming_sessions",),
        {"roaming_amount": "BIGINT", "roaming_area": "VARCHAR"},
        "SELECT customer_id, CAST(sum(fee) FILTER (WHERE NOT with_pack AND days_ago <= 60) AS BIGINT) AS "
        "roaming_amount, arg_max(area, (event_at, event_id)) AS roaming_area FROM source_roaming_sessions "
        "GROUP BY customer_id",
    ),
    Detail(
        "fault",
        ("grid_faults",),
        {"fault_id": "VARCHAR", "fault_repair": "VARCHAR"},
        "SELECT customer_id, arg_max(fault_id, (expected_repair_on, fault_id)) AS fault_id, "  # the last ends them all
        "strftime(max(expected_repair_on), '%Y-%m-%d') AS fault_repair FROM source_grid_faults "
        "WHERE expected_repair_on IS NOT NULL GROUP BY customer_id",
    ),
    Detail(
        "complaint",
        ("tickets",),
        {
            "complaint_on": "VARCHAR", "complaint_topic": "VARCHAR", "complaint_open": "BOOLEAN",
            "complaint_unsatisfied": "BOOLEAN",
        },
        "SELECT customer_id, strftime({day} - CAST(arg_min(days_ago, (days_ago, ticket_id)) AS INTEGER), '%Y-%m-%d') "
        "AS complaint_on, arg_min(topic, (days_ago, ticket_id)) AS complaint_topic, "
        "arg_min(is_open, (days_ago, ticket_id)) AS complaint_open, "
        "arg_min(coalesce(is_unsatisfied, false), (days_ago, ticket_id)) AS complaint_unsatisfied FROM source_tickets "
        "WHERE kind = 'complaint' AND topic IS NOT NULL AND ((closed_days_ago <= 30 AND (is_unsatisfied OR "
        "was_reopened)) OR (is_open AND status = 'reopened')) GROUP BY customer_id",
    ),
    Detail(
        "overdue",
        ("tickets",),
        {
            "overdue_ticket": "VARCHAR", "overdue_hours": "BIGINT", "overdue_due": "VARCHAR",
            "overdue_topic": "VARCHAR",
        },
        "SELECT customer_id, arg_min(ticket_id, (due_at, ticket_id)) AS overdue_ticket, "
        "strftime({day} - CAST(max(days_since_due_at) AS INTEGER), '%Y-%m-%d') AS overdue_due, "
        "arg_min_null(topic, (due_at, ticket_id)) AS overdue_topic, "
        "datesub('hour', min(due_at), {instant}) AS overdue_hours FROM source_tickets WHERE is_overdue "
        "GROUP BY customer_id",
    ),
    Detail(
        "open_ticket",
        ("tickets",),
        {"open_tickets": "VARCHAR", "open_count": "BIGINT", "open_topics": "VARCHAR[]"},
        "SELECT customer_id, count(*) AS open_count, list(DISTINCT topic) AS open_topics, '[' || "
        "string_agg(CAST(json_object('due_at', strftime(due_at, '%Y-%m-%dT%H:%M:%SZ'), "
        "'id', ticket_id, 'kind', kind, 'overdue_hours', CASE WHEN is_overdue THEN datesub('hour', due_at, {instant}) "
        "ELSE 0 END, 'topic', topic) AS VARCHAR), ',' ORDER BY ticket_id) || ']' AS open_tickets "
        "FROM source_tickets WHERE is_open GROUP BY customer_id",
    ),
    Detail(
        "survey",
        ("surveys",),
        {"low_score": "BIGINT", "low_score_on": "VARCHAR", "low_is_newest": "BOOLEAN"},
        "SELECT customer_id, arg_min(score, rank) AS low_score, strftime({day} - CAST(arg_min(days_ago, rank) AS "
        "INTEGER), '%Y-%m-%d') AS low_score_on, bool_or(is_newest) AS low_is_newest FROM source_surveys WHERE "
        "days_ago <= 30 AND score <= {unsatisfied} GROUP BY customer_id",
    ),
    Detail(
        "port",
        ("port_requests",),
        {"porting_step": "VARCHAR", "has_applied": "BOOLEAN", "porting_enquiries": "BIGINT"},
        "SELECT customer_id, arg_max(step, (event_at, event_id)) AS porting_step, bool_or(step <> 'enquiry') AS "
        "has_applied, count(*) FILTER (WHERE step = 'enquiry' AND days_ago <= 30) AS porting_enquiries "
        "FROM source_port_requests GROUP BY customer_id",
    ),
    Detail(
        "hours",
        ("touches",),
        {"best_hours": "VARCHAR"},
        "SELECT customer_id, '[' || string_agg(civil_hour, ',' ORDER BY civil_hour) || ']' AS best_hours FROM (SELECT "
        "customer_id, civil_hour FROM source_touches GROUP BY customer_id, civil_hour QUALIFY row_number() OVER "
        "(PARTITION BY customer_id ORDER BY count(*) DESC, civil_hour) <= 2) GROUP BY customer_id",
    ),
    Detail(
        "contact",
        ("contacts",),
        {"last_contact": "VARCHAR"},
        "SELECT customer_id, CAST(json_object('action', action, 'on', strftime({day} - CAST(days_ago AS INTEGER), "
        "'%Y-%m-%d'), 'outcome', outcome) AS VARCHAR) AS last_contact FROM (SELECT c.customer_id, c.action, "
        "c.days_ago, o.outcome FROM source_contacts c LEFT JOIN staged_outcomes o USING (contact_id) WHERE c.arm IS "
        "DISTINCT FROM 'control' QUALIFY row_number() OVER (PARTITION BY c.customer_id ORDER BY c.event_at DESC, "
        "c.event_id DESC, o.event_at DESC, o.event_id DESC) = 1)",
    ),
)  # fmt: skip


def detail_sql(detail: Detail, *, present: frozenset[str], day: date, instant: str, unsatisfied: int) -> str:
    """Returns a detail's query, or one of no rows if a source of it is missing."""
    if all(source in present for source in detail.sources):
        return detail.sql.format(day=f"DATE '{day}'", instant=instant, unsatisfied=unsatisfied)
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in detail.columns.items())
    return f"SELECT CAST(NULL AS VARCHAR) AS customer_id, {nothing} WHERE false"
