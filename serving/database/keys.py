"""API keys: made once, shown once, stored only as a hash.

A key reads `ik_<key id>_<secret>`. The id is public (logs, audit); the secret has 256 random bits, so one sha256
is as good as a slow password hash and costs a microsecond per request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from features.kit.clock import utc_now
from features.kit.errors import ConfigurationError, NotFoundError
from serving.database.audit import record
from serving.database.session import reading, writing
from serving.database.tables_access import ApiKeyRow

SCOPES: dict[str, str] = {
    "scores:read": "scores, reasons (what the agent reads) and audiences",
    "portraits:read": "a customer's portrait and product fit",
    "care:read": "also the sentences for the customer's ear (`say`)",
    "outreach:read": "outreach lists",
    "outreach:write": "make outreach lists",
    "handover": "full numbers of a list, for the dialler; audited",
    "contacts:write": "tell which contacts a campaign tool made",
    "outcomes:write": "tell what came of a contact",
    "models:read": "models and their metrics",
    "lookups": "find a customer by number; audited",
}
"""What a key may do; a key has at least one of these."""


@dataclass(frozen=True)
class ApiKey:
    """Who is asking, and what they may see."""

    key_id: str  # the public part of the key
    name: str  # whose key it is
    scopes: frozenset[str]  # what it may do
    province: str | None  # rows of this province only, if set
    city: str | None  # rows of this city only, if set
    created_at: datetime
    expires_at: datetime | None  # when it stops working, if ever
    revoked_at: datetime | None  # when it was taken back, if it was

    def works_at(self, instant: datetime) -> bool:
        """Returns whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or instant < self.expires_at)


def create_key(
    engine: Engine,
    name: str,
    scopes: frozenset[str],
    *,
    province: str | None = None,
    city: str | None = None,
    valid_days: int | None = None,
    actor: str,
) -> tuple[ApiKey, str]:
    """Returns a new key and its full text, which is never to be had again; the audit names the `actor`.

    Raises:
        ConfigurationError: For no scope, an unknown scope, a validity of no days, or a city without its province.
    """
    unknown = sorted(scopes - SCOPES.keys())
    if unknown or not scopes:
        what = f"unknown scope '{unknown[0]}'" if unknown else "a key needs at least one scope"
        raise ConfigurationError(what, remedy="scopes: " + ", ".join(SCOPES))
    if valid_days is not None and valid_days < 1:
        raise ConfigurationError(f"a validity of {valid_days} days", remedy="give at least one day")
    if city and not province:
        raise ConfigurationError(f"city '{city}' without its province", remedy="give the province too")
    now = utc_now()
    row = ApiKeyRow(
        key_id=secrets.token_hex(6),
        name=name,
        scopes=" ".join(sorted(scopes)),
        province=province,
        city=city,
        created_at=now,
        expires_at=None if valid_days is None else now + timedelta(days=valid_days),
        revoked_at=None,
    )
    secret = secrets.token_urlsafe(32)
    row.secret_hash = _hash(secret)
    with writing(engine) as session:
        session.add(row)
        record(session, actor=actor, action="keys.create", subject=row.key_id, detail={"scopes": row.scopes})
    return _key(row), f"ik_{row.key_id}_{secret}"


def find_key(engine: Engine, presented: str) -> ApiKey | None:
    """Returns the key whose full text was presented, or None if there is none that works now."""
    parts = presented.split("_", 2)
    if len(parts) != 3 or parts[0] != "ik":
        return None
    with reading(engine) as session:
        row = session.get(ApiKeyRow, parts[1])
    expected = row.secret_hash if row else _hash("")
    if not hmac.compare_digest(_hash(parts[2]), expected) or row is None:
        return None
    key = _key(row)
    return key if key.works_at(utc_now()) else None


def list_keys(engine: Engine) -> list[ApiKey]:
    """Returns every key ever made, oldest first."""
    with reading(engine) as session:
        return [
            _key(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.key_id))
        ]


def revoke_key(engine: Engine, key_id: str, *, actor: str) -> ApiKey:
    """Returns the key after taking it back; a second time changes nothing. Raises NotFoundError."""
    with writing(engine) as session:
        row = session.get(ApiKeyRow, key_id)
        if row is None:
            raise NotFoundError(f"no key '{key_id}'", remedy="`insight keys list` shows the ids")
        if row.revoked_at is None:
            row.revoked_at = utc_now()
            record(session, actor=actor, action="keys.revoke", subject=key_id)
    return _key(row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: ApiKeyRow) -> ApiKey:
    values = {field.name: getattr(row, field.name) for field in fields(ApiKey)}
    return ApiKey(**values | {"scopes": frozenset(row.scopes.split())})
