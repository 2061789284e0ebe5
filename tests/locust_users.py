"""The users of a load on the API, as locust runs them: who scores, who scores in batches, who pulls lists, who reports.

Each user begins at a random moment of its pace, so that so many a second are spread over the second. What came of each
request goes into one JSON: kind -> status -> [seconds, whether the answer has Retry-After].
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_pacing, events, task

PLAN = json.loads(os.environ["LOAD_PLAN"])
"""`keys` (Authorization headers), `ids`, `users` (kind -> how many), `pace` (kind -> seconds), `warm` (seconds), `out`."""
_began = time.monotonic()
_came: dict[str, dict[str, list[tuple[float, bool]]]] = defaultdict(lambda: defaultdict(list))


class _User(FastHttpUser):  # type: ignore[misc]
    """One user of a kind; the API's refusals are answers, not failures of the tool."""

    abstract = True
    kind = ""

    def on_start(self) -> None:
        """Waits for the user's own moment."""
        self.key = {"Authorization": random.choice(PLAN["keys"])}
        time.sleep(random.random() * PLAN["pace"][self.kind])

    def wait_time(self) -> float:
        """Returns the seconds until the next request is due."""
        return float(constant_pacing(PLAN["pace"][self.kind])(self))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        """Sends one request; any status is an answer."""
        with self.client.request(
            method, path, name=self.kind, json=body, headers=self.key | headers, catch_response=True
        ) as response:
            response.success()


class Single(_User):
    """Scores one customer with three reasons."""

    kind = "single"
    fixed_count = PLAN["users"].get(kind, 0)
    abstract = not fixed_count

    @task
    def score(self) -> None:
        """One request."""
        self.ask("POST", "/v1/scores", {"targets": ["churn"], "ids": [random.choice(PLAN["ids"])], "reasons": 3})


class Batch(_User):
    """Scores 1,000 customers."""

    kind = "batch"
    fixed_count = PLAN["users"].get(kind, 0)
    abstract = not fixed_count

    @task
    def score(self) -> None:
        """One request."""
        ids = PLAN["ids"][: PLAN["batch"]]
        self.ask("POST", "/v1/scores", {"targets": ["churn"], "ids": ids})


class Puller(_User):
    """Pulls lists, and counts an audience."""

    kind = "list"
    fixed_count = PLAN["users"].get(kind, 0)
    abstract = not fixed_count

    @task
    def lists(self) -> None:
        """The newest lists."""
        self.ask("GET", "/v1/outreach/lists")

    @task
    def audience(self) -> None:
        """How many a campaign may reach."""
        self.ask("GET", "/v1/audiences?target=churn&purpose=retention&channel=call&view=count")


class Reporter(_User):
    """Reports a contact."""

    kind = "contact"
    fixed_count = PLAN["users"].get(kind, 0)
    abstract = not fixed_count

    @task
    def report(self) -> None:
        """One contact."""
        at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        contact = {"contact_id": secrets.token_hex(8), "customer_id": random.choice(PLAN["ids"]), "at": at,
                   "action": "service_review", "channel": "call"}  # fmt: skip
        self.ask("POST", "/v1/contacts", {"contacts": [contact]}, **{"Idempotency-Key": secrets.token_hex(8)})


@events.request.add_listener
def _note(name: str, response_time: float, response: Any, **_: Any) -> None:
    if time.monotonic() - _began >= PLAN["warm"]:
        status = 0 if response is None else int(response.status_code or 0)
        told = bool(status) and "retry-after" in {header.lower() for header in response.headers or {}}
        _came[name][str(status)].append((response_time / 1000, told))


@events.quitting.add_listener
def _write(**_: Any) -> None:
    Path(PLAN["out"]).write_text(json.dumps(_came), encoding="utf-8")
