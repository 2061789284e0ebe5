"""What the feeds say about who may be contacted: one row per subscription, as known on the as-of date.

Most columns are named as the refusal they cause (`porting`, `minor`, ...). Consents, open complaints, porting and
past contacts hold per person: they follow the person who held the subscription when it happened, never the number
and never the next owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from features.feeds.landed.manifest import Operator
from features.feeds.landed.reading import Feeds
from features.feeds.landing.suppression import Suppression
from features.feeds.times import to_local
from features.kit.sql import literal
from serving.no_sale import no_sale_today
from serving.outreach.dispositions import REACHED_NOBODY
from serving.outreach.policy.control import drawn_sql
from serving.outreach.refusals import CHANNELS, REFUSALS
from serving.outreach.settings import OutreachSettings

if TYPE_CHECKING:
    import pyarrow as pa

CONSENT_PURPOSES = ("marketing", "retention", "service", "personalisation")


@dataclass(frozen=True)
class FeedStates:
    """What the feeds know, before the ledger's own contacts and refusals.

    Attributes:
        states: One row per subscription, sorted by customer_id.
        contacts: person_id, contact_id, action, day of every contact that reached the person in the look-back.
        declines: person_id, action, day of every refusal of an action.
        operator: Whose feeds they are.
        erased: Whom this home has erased, by hashes; None if nobody.
        unchecked: Codes of refusals whose feed has not landed.
        salt: With which each person's lot for the control group was drawn.
    """

    states: pa.Table
    contacts: pa.Table
    declines: pa.Table
    operator: Operator
    erased: Suppression | None = None
    unchecked: frozenset[str] = frozenset()
    salt: str | None = None


def read_states(feeds: Feeds, as_of: date, settings: OutreachSettings, *, threads: int = 1) -> FeedStates:
    """Returns the states of every subscription known before the as-of date."""
    import pyarrow as pa

    no_sale = pa.table({"customer_id": pa.array(sorted(no_sale_today(feeds, as_of)), pa.string())})
    with feeds.connect(threads=threads) as database:
        database.register("no_sale", no_sale)
        _Known(database, feeds, as_of, settings).make_views()
        return FeedStates(
            database.execute(_states_sql(as_of, settings, feeds.operator.time_zone)).to_arrow_table(),
            database.execute("SELECT person_id, contact_id, action, day FROM reached ORDER BY ALL").to_arrow_table(),
            database.execute("SELECT person_id, action, day FROM declines ORDER BY ALL").to_arrow_table(),
            feeds.operator,
            Suppression.load(feeds.home) or None,
            unchecked_codes(feeds),
            settings.control.salt,
        )


def unchecked_codes(feeds: Feeds) -> frozenset[str]:
    """Returns the codes of refusals whose feed has not landed."""
    return frozenset(
        code for code, refusal in REFUSALS.items() if (feed := refusal.effect.feed) and not feeds.has(feed)
    )


def consent_column(purpose: str, channel: str) -> str:
    """Returns the name of a consent column: true granted, false withdrawn, null never asked."""
    return f"consent_{purpose}_{channel}"


_COLUMNS = {
    "customers": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, kind VARCHAR, status VARCHAR, "
    "province VARCHAR, city VARCHAR, birth_year BIGINT, language VARCHAR",
    "person_links": "",
    "number_flags": "",
    "port_requests": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, step VARCHAR",
    "tickets": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, ticket_id VARCHAR, kind VARCHAR, "
    "topic VARCHAR, status VARCHAR, opened_at TIMESTAMP",
    "consents": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, purpose VARCHAR, channel VARCHAR, "
    "granted BOOLEAN",
    "contacts": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, contact_id VARCHAR, action VARCHAR, "
    "arm VARCHAR",
    "outcomes": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, contact_id VARCHAR, outcome VARCHAR",
    "terminations": "customer_id VARCHAR, event_at TIMESTAMP, known_at TIMESTAMP, reason VARCHAR",
}
"""The feeds that the policy reads, with the columns it needs where the feed has not landed."""


class _Known:
    """The views `k_<feed>` (as known, with the civil `day` and the `person_id` of that day) on one connection."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, feeds: Feeds, as_of: date, settings: OutreachSettings
    ) -> None:
        self._database = database
        self._feeds = feeds
        self._as_of = as_of
        self._settings = settings

    def make_views(self) -> None:
        """Makes every view and the two tables of contacts."""
        for feed, columns in _COLUMNS.items():
            self._database.execute(f"CREATE VIEW raw_{feed} AS {self._known_sql(feed, columns)}")
        self._database.execute(_LINKS.format(since=_civil("min(valid_from)", self._feeds.operator.time_zone)))
        for feed, columns in _COLUMNS.items():
            if columns:
                self._database.execute(f"CREATE VIEW k_{feed} AS {self._with_person(feed)}")
        since = f"DATE '{self._as_of}' - {self._settings.longest_cap_days}"
        unreached = ", ".join(map(literal, REACHED_NOBODY))
        self._database.execute(_REACHED.format(since=since, unreached=unreached))
        self._database.execute(_DECLINES.format(since=since))

    def _known_sql(self, feed: str, columns: str) -> str:
        if not columns or self._feeds.has(feed):
            return self._feeds.as_known_sql(feed, self._as_of)
        nulls = ", ".join(f"CAST(NULL AS {c.split(' ')[1]}) AS {c.split(' ')[0]}" for c in columns.split(", "))
        return f"SELECT {nulls} WHERE false"

    def _with_person(self, feed: str) -> str:
        zone = self._feeds.operator.time_zone
        return f"""
            SELECT f.*,
                coalesce(l.person_id, CASE WHEN NOT coalesce(h.has_links, false) THEN f.customer_id END) AS person_id
            FROM (SELECT *, {_civil("event_at", zone)} AS day FROM raw_{feed}) f
            LEFT JOIN links l ON l.customer_id = f.customer_id AND f.day >= l.held_from AND f.day < l.held_until
            LEFT JOIN has_links h ON h.customer_id = f.customer_id
        """


_LINKS = """
    CREATE TABLE links AS
    WITH first_number AS (
        SELECT customer_id, arg_min(is_reissued, valid_from) AS is_reissued,
            {since} AS since
        FROM raw_number_flags GROUP BY customer_id
    ), started AS (
        SELECT customer_id, person_id, valid_from, min(valid_from) OVER (PARTITION BY customer_id) AS first_from
        FROM raw_person_links
        QUALIFY row_number() OVER (PARTITION BY customer_id, valid_from ORDER BY known_at DESC, person_id DESC) = 1
    )
    SELECT s.customer_id, s.person_id,
        CASE WHEN s.valid_from > s.first_from THEN s.valid_from
            WHEN n.is_reissued THEN least(s.valid_from, n.since)
            ELSE DATE '0001-01-01' END AS held_from,
        lead(s.valid_from, 1, DATE '9999-12-31') OVER (
            PARTITION BY s.customer_id ORDER BY s.valid_from) AS held_until
    FROM started s LEFT JOIN first_number n USING (customer_id);
    CREATE TABLE has_links AS SELECT DISTINCT customer_id, true AS has_links FROM links;
"""
"""Who answers for a subscription on a day, without gaps: an opt-out belongs to somebody on every day.

A holder stays until the next one begins, even if the link ended before. The first holder also has what happened before
the link, unless the subscription began with a re-issued number: then nothing from before that number.
"""

_REACHED = """
    CREATE TABLE reached AS
    SELECT c.person_id, c.contact_id, c.action, c.day
    FROM k_contacts c
    LEFT JOIN (
        SELECT contact_id, bool_and(outcome IN ({unreached})) AS reached_nobody FROM k_outcomes GROUP BY contact_id
    ) o USING (contact_id)
    WHERE coalesce(c.arm, 'treated') = 'treated' AND c.day >= {since} AND c.person_id IS NOT NULL
        AND NOT coalesce(o.reached_nobody, false)
"""

_DECLINES = """
    CREATE TABLE declines AS
    SELECT o.person_id, c.action, max(o.day) AS day
    FROM k_outcomes o JOIN k_contacts c USING (contact_id)
    WHERE o.outcome = 'declined' AND o.day >= {since} AND o.person_id IS NOT NULL
    GROUP BY ALL
"""


def _civil(instant: str, zone: str) -> str:
    return f"CAST({to_local(instant, zone)} AS DATE)"


def _states_sql(as_of: date, settings: OutreachSettings, zone: str) -> str:
    policy = settings.policy
    consents = ",\n".join(
        f"bool_and(granted) FILTER (WHERE purpose = '{purpose}' AND channel_asked = '{channel}' AND counts) "
        f"AS {consent_column(purpose, channel)}"
        for purpose in CONSENT_PURPOSES
        for channel in CHANNELS
    )
    own_no = "false" if policy.general_yes_lifts_channel_no else "k.channel <> 'all' AND NOT granted"
    d = f"DATE '{as_of}'"
    return f"""
    WITH newest AS (
        SELECT * FROM raw_customers
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY event_at DESC, known_at DESC) = 1
    ), holder AS (
        SELECT customer_id, person_id FROM links WHERE held_until > {d}
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY held_from) = 1
    ), base AS (
        SELECT n.*, coalesce(h.person_id, n.customer_id) AS person_id
        FROM newest n LEFT JOIN holder h USING (customer_id)
    ), gone AS (
        SELECT customer_id, bool_or(reason = 'deceased') AS died FROM k_terminations WHERE day < {d} GROUP BY ALL
    ), died AS (
        SELECT person_id FROM raw_person_links WHERE is_deceased
        UNION SELECT b.person_id FROM base b JOIN gone g USING (customer_id) WHERE g.died
    ), port AS (
        SELECT DISTINCT person_id FROM k_port_requests
        WHERE step IN ('application', 'code', 'completed') AND day >= {d} - {policy.port_request_days}
    ), ticket AS (
        SELECT * FROM k_tickets
        QUALIFY row_number() OVER (PARTITION BY ticket_id ORDER BY event_at DESC, known_at DESC) = 1
    ), open_complaints AS (
        SELECT DISTINCT person_id FROM ticket WHERE kind = 'complaint' AND status IN ('open', 'reopened')
    ), matters AS (
        SELECT customer_id,
            coalesce(list_sort(list(DISTINCT topic) FILTER (WHERE status IN ('open', 'reopened'))), []) AS open_topics,
            coalesce(list_sort(list(ticket_id) FILTER (WHERE status = 'closed')), []) AS closed_tickets,
            bool_or(kind = 'complaint' AND day >= {d} - {policy.complaint_quiet_days}) AS recent_complaint
        FROM ticket GROUP BY customer_id
    ), line_number AS (
        SELECT customer_id, is_verified, is_reissued, {_civil("valid_from", zone)} AS since FROM raw_number_flags
        WHERE since <= {d}
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC, known_at DESC) = 1
    ), checked AS (
        SELECT customer_id, max(known_at) AS at FROM raw_number_flags WHERE is_verified GROUP BY ALL
    ), strangers AS (
        SELECT DISTINCT o.customer_id FROM k_outcomes o LEFT JOIN checked c USING (customer_id)
        WHERE o.outcome = 'wrong_person' AND (c.at IS NULL OR c.at <= o.event_at)
    ), dead_numbers AS (
        SELECT DISTINCT o.customer_id FROM k_outcomes o LEFT JOIN line_number n USING (customer_id)
        WHERE o.outcome = 'invalid_number' AND (n.since IS NULL OR n.since <= o.day)
    ), never AS (
        SELECT DISTINCT person_id FROM k_outcomes WHERE outcome = 'never_again'
    ), asked AS (
        SELECT person_id, purpose, c.channel AS channel_asked, granted, row_number() OVER (
            PARTITION BY person_id, purpose, c.channel ORDER BY event_at DESC, known_at DESC, granted) = 1
            OR ({own_no} AND row_number() OVER (
            PARTITION BY person_id, purpose, c.channel, k.channel ORDER BY event_at DESC, known_at DESC, granted) = 1
            ) AS counts  -- the newest answer, and the channel's own newest if it is no
        FROM k_consents k JOIN (SELECT unnest({list(CHANNELS)}) AS channel) c
            ON k.channel IN (c.channel, 'all')
        WHERE person_id IS NOT NULL
    ), consent AS (
        SELECT person_id, {consents} FROM asked GROUP BY person_id
    )
    SELECT b.customer_id, b.person_id, b.province, b.city,
        CAST(row_number() OVER (ORDER BY b.person_id, b.customer_id) - 1 AS INTEGER) AS person_rank,
        {drawn_sql(settings.control.salt, "b.person_id")} AS lot,
        coalesce(b.language, 'zh') AS language,
        (g.customer_id IS NOT NULL OR coalesce(b.status = 'closed', false)) AS terminated,
        coalesce(b.person_id IN (FROM died), false) AS deceased,
        coalesce(b.customer_id IN (FROM strangers), false) AS wrong_person,
        coalesce(b.customer_id IN (FROM dead_numbers), false) AS number_invalid,
        (coalesce(b.person_id IN (FROM never), false) OR coalesce(NOT c.consent_service_call
            AND NOT c.consent_service_message, false)) AS do_not_contact,
        coalesce(b.person_id IN (FROM port), false) AS porting,
        coalesce(b.status LIKE 'suspended%', false) AS suspended,
        coalesce(b.person_id IN (FROM open_complaints), false) AS open_complaint,
        (b.customer_id IN (FROM no_sale)) AS no_sale_today,
        coalesce({as_of.year} - b.birth_year <= {policy.adult_age}, false) AS minor,
        coalesce(NOT n.is_verified, false) AS number_unverified,
        coalesce(n.is_reissued AND n.since >= {d} - {policy.reissued_days}, false) AS number_reissued,
        coalesce(b.kind <> 'consumer', false) AS not_a_consumer,
        {_civil("k.at", zone)} AS number_checked_on,
        n.since AS number_since,
        coalesce(m.open_topics, []) AS open_topics,
        coalesce(m.closed_tickets, []) AS closed_tickets,
        coalesce(m.recent_complaint, false) AS recent_complaint,
        c.* EXCLUDE (person_id)
    FROM base b
    LEFT JOIN gone g USING (customer_id)
    LEFT JOIN matters m USING (customer_id)
    LEFT JOIN line_number n USING (customer_id)
    LEFT JOIN checked k USING (customer_id)
    LEFT JOIN consent c ON c.person_id = b.person_id
    ORDER BY b.customer_id
    """
