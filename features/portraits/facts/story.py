"""The portrait's story beside its numbers: class, facts and card as one canonical JSON text per customer.

Keys are sorted and nothing is padded, so equal portraits give equal text. DuckDB writes it, a million at a time.
"""

from __future__ import annotations

import orjson

from features.kit.sql import literal, timestamp
from features.portraits.facts.classes import class_rules, holding_sql
from features.portraits.facts.declared import own_facts
from features.portraits.facts.details import DETAILS, detail_sql
from features.portraits.facts.facts import NO_SINGLE_CAUSE, Fact, facts
from features.portraits.facts.festivals import next_festival
from features.portraits.feature_list import definitions
from features.portraits.sources.engines import Engine
from features.portraits.sources.request import Request, from_months, is_present
from features.portraits.sources.sources import SOURCES
from features.portraits.sources.staging import Moment

_CARD = {
    "arrears": "coalesce(arrears, 0)",
    "arrears_due": "arrears_due",
    "best_channel": "preferred_channel",
    "best_hours": "CAST(best_hours AS JSON)",
    "birth_year": "person_birth_year",
    "city": "city",
    "contract_end": "contract_end",
    "grid": "grid",
    "kind": "person_kind",
    "language": "language",
    "last_bill": "last_bill",
    "last_contact": "CAST(last_contact AS JSON)",
    "mean_bill": "mean_bill",
    "months_with_us": "months_with_us",
    "needs": (
        "json_object('data_mb', CAST(round(data_mb_90d / 3) AS BIGINT), "
        "'over_use_months', CAST(over_use_months_count_90d AS BIGINT), "
        "'pack_orders', CAST(packs_count_90d AS BIGINT), "
        "'roaming_days', CAST(roaming_days_180d AS BIGINT), "
        "'throttled_months', CAST(throttled_months_count_90d AS BIGINT), "
        "'voice_minutes', CAST(round(voice_minutes_90d / 3) AS BIGINT))"
    ),
    "open_tickets": "CAST(coalesce(open_tickets, '[]') AS JSON)",
    "plan_en": "plan_en",
    "plan_id": "plan_id",
    "plan_zh": "plan_zh",
    "porting_step": "porting_step",
    "province": "person_province",
    "status": "person_status",
    "vip_tier": "person_vip_tier",
}


def write_story(engine: Engine, request: Request, moment: Moment, present: frozenset[str], missing: list[str]) -> None:
    """Keeps `portrait_story`: customer_id, primary_class, also_classes, facts, for every row of the features."""
    limits = request.settings.limits
    sources = frozenset(name for name in SOURCES if is_present(name, present))
    for detail in DETAILS:
        instant, unsatisfied = timestamp(moment.instant), limits.unsatisfied_score
        sql = detail_sql(detail, present=sources, day=moment.as_of, instant=instant, unsatisfied=unsatisfied)
        engine.keep(f"detail_{detail.name}", sql)
    rules = class_rules(request.settings.classes, request.money_scale)
    festival = next_festival(moment.as_of, limits.festival_days, request.country)
    ours = facts(limits, day=moment.as_of, money_scale=request.money_scale, festival=festival)
    own = own_facts(request.attributes)
    ours = tuple(sorted((*ours, *(declared.fact for declared in own)), key=lambda fact: fact.code))
    joins = " ".join(
        f"LEFT JOIN detail_{detail.name} ON detail_{detail.name}.customer_id = own.customer_id" for detail in DETAILS
    )
    # Rules and facts name columns alone. An operator's attributes may be named like details, so they stay outside.
    features = ", ".join(
        [*(definition.feature.name for definition in definitions()), *(declared.columns for declared in own)]
    )
    inner = (
        f"SELECT own.customer_id, {holding_sql(rules, present)} AS held, {_reasons(ours)} AS reasons, "
        f"{_object(_CARD)} AS card FROM (SELECT customer_id, {features} FROM portrait_features) AS own {joins}"
    )
    by_month = from_months(request.definitions, present)
    marked = f'"from_months":{orjson.dumps(sorted(by_month)).decode()},' if by_month else ""
    members = literal(f'",{marked}"missing":{orjson.dumps(missing).decode()},"reasons":{{')
    story = (
        '\'{"also":\' || CAST(to_json(held[2:]) AS VARCHAR) || \',"card":\' || card || \',"class":"\' || held[1] || '
        f"{members} || CASE WHEN reasons = '' THEN '\"{NO_SINGLE_CAUSE}\":{{}}' "
        "ELSE reasons END || '}}'"
    )
    engine.keep(
        "portrait_story",
        f"SELECT customer_id, held[1] AS primary_class, array_to_string(held[2:], '|') AS also_classes, "
        f"{story} AS facts FROM ({inner})",
    )


def _object(columns: dict[str, str]) -> str:
    """Returns SQL for a compact JSON object with sorted keys."""
    pairs = ", ".join(f"'{key}', {sql}" for key, sql in sorted(columns.items()))
    return f"CAST(json_object({pairs}) AS VARCHAR)"


def _reasons(ours: tuple[Fact, ...]) -> str:
    """Returns SQL for the members of the reasons object, sorted by code; empty text where no fact holds."""
    parts = [
        f"CASE WHEN {fact.condition} THEN '\"{fact.code}\":' || {_object(fact.slots | fact.tense)} END" for fact in ours
    ]
    return f"concat_ws(',', {', '.join(parts)})"
