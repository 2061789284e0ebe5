"""The last step of the demo: a key for this machine and three calls that work."""

from __future__ import annotations

import json
from typing import Any

from features.journey.journey import Journey
from features.kit.errors import NotReadyError
from features.kit.terminal.progress import Progress

KEY_NAME = "demo"
VALID_DAYS = 7
PORT = 8000


def access(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns a fresh key and three `curl` lines for it; the key of an earlier demo is revoked.

    Raises:
        NotReadyError: If no portrait is built for the as-of date.
    """
    from features.portraits.reading import Portraits
    from serving.database.keys import SCOPES, create_key, list_keys, revoke_key
    from serving.database.session import open_database

    if journey.as_of is None:
        raise NotReadyError("access: no as-of date", remedy="run `insight ingest` first")
    with progress.step("a key for the API"):
        ids = Portraits.open(journey.home).read(journey.as_of, ["customer_id"]).column("customer_id").to_pylist()[:3]
        engine = open_database(journey.home)
        for old in list_keys(engine):
            if old.name == KEY_NAME and old.revoked_at is None:
                revoke_key(engine, old.key_id, actor="demo")
        scopes = frozenset(SCOPES) - {"handover"}
        _, key = create_key(engine, KEY_NAME, scopes, valid_days=VALID_DAYS, actor="demo")
    return {"key": key, "valid_days": VALID_DAYS, "curl": _calls(key, [str(customer_id) for customer_id in ids])}


def _calls(key: str, ids: list[str]) -> list[str]:
    base, header = f"http://127.0.0.1:{PORT}", f"-H 'Authorization: Bearer {key}'"
    body = json.dumps({"targets": ["churn"], "ids": ids, "reasons": 3, "locale": "en"})
    return [
        f"curl -s {header} -H 'Content-Type: application/json' -d '{body}' {base}/v1/scores",
        f"curl -s {header} {base}/v1/customers/{ids[0]}/product-fit",
        f"curl -s {header} '{base}/v1/audiences?target=churn&purpose=retention&channel=call&view=count'",
    ]
