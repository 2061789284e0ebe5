"""No sale today: to whom nobody pitches anything on a day, on every path; `configs/no_sale.yaml` names the causes."""

from __future__ import annotations

from datetime import date

from pydantic import Field, field_validator

from features.feeds.landed.reading import Feeds
from features.feeds.times import to_local
from features.kit.config import Config, check_known, config_path, load_config
from features.kit.errors import NotReadyError
from features.kit.sql import literals, newest, parquet
from features.portraits.facts.classes import CLASS_NAMES
from features.portraits.reading import Portraits

CODE = "no_sale_today"


class NoSaleSettings(Config):
    """The causes: classes of the newest portrait, and what happened within so many days; 0 days is none."""

    classes: tuple[str, ...]
    complaint_days: int = Field(ge=0)
    leave_enquiry_days: int = Field(ge=0)

    @field_validator("classes")
    @classmethod
    def _classes_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_known("classes", names, CLASS_NAMES)
        return names


def load_no_sale() -> NoSaleSettings:
    """Returns the rule. Raises ConfigurationError naming the file and the key."""
    return load_config(NoSaleSettings, config_path("no_sale.yaml"))


def no_sale_today(feeds: Feeds, as_of: date) -> frozenset[str]:
    """Returns the subscriptions whose holder is pitched nothing on a day, from what is known on it.

    A cause on one line of a person holds for all lines of the person.
    """
    rule = load_no_sale()
    day = f"CAST({to_local('event_at', feeds.operator.time_zone)} AS DATE)"
    causes = ["SELECT CAST(NULL AS VARCHAR) AS customer_id"]
    if feeds.has("tickets"):
        causes.append(
            f"SELECT customer_id FROM ({feeds.as_known_sql('tickets', as_of)}) GROUP BY customer_id, ticket_id "
            f"HAVING bool_or(kind = 'complaint') AND greatest(min({day}), "
            f"max({day}) FILTER (WHERE status IN ('open', 'reopened'))) {_within(as_of, rule.complaint_days)}"
        )
    for feed, asked in (("hotline_calls", "topic IN ('porting', 'cancelling')"), ("port_requests", "step = 'enquiry'")):
        if feeds.has(feed):
            causes.append(
                f"SELECT customer_id FROM ({feeds.as_known_sql(feed, as_of)}) "
                f"WHERE {asked} AND {day} {_within(as_of, rule.leave_enquiry_days)}"
            )
    portrait = newest_portrait(feeds, as_of)
    if portrait is not None and rule.classes:
        causes.append(
            f"SELECT customer_id FROM {parquet([portrait], 'hive_partitioning=false')} WHERE "
            "list_has_any(list_append(string_split(coalesce(also_classes, ''), '|'), primary_class), "
            f"[{literals(rule.classes)}])"
        )
    with feeds.connect() as database:
        rows = database.execute(f"""
            WITH cause AS ({" UNION ALL ".join(causes)}), holder AS (
                SELECT customer_id, person_id FROM ({feeds.as_known_sql("person_links", as_of)})
                {newest("customer_id", "valid_from DESC, known_at DESC")}
            ), person AS (SELECT person_id FROM holder JOIN cause USING (customer_id))
            SELECT customer_id FROM cause WHERE customer_id IS NOT NULL
            UNION SELECT customer_id FROM holder WHERE person_id IN (FROM person)
        """).fetchall()
    return frozenset(customer_id for (customer_id,) in rows)


def _within(as_of: date, days: int) -> str:
    return f">= DATE '{as_of}' - {days}"


def newest_portrait(feeds: Feeds, as_of: date) -> str | None:
    """Returns the file of the newest portraits that are not of a later day, or None without any."""
    try:
        portraits = Portraits.open(feeds.home)
    except NotReadyError:
        return None
    days = [day for day in portraits.as_of_dates() if day <= as_of]
    return str(portraits.path(days[-1])) if days else None
