"""Erases one person: every room removes its own rows, then every file is searched, then a receipt is written.

    find who it is -> order (kept until the end) -> suppression -> ledger -> feeds -> portraits -> store -> scores
    -> product fit -> lists -> database -> models -> simulation -> search -> receipt -> the order goes

The order holds the identifiers, so that a run that died anywhere completes when it is repeated: every step finds
nothing to do the second time. Suppression comes first: from then on nothing of the person lands any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from features.erasure.rewriting import remove_from_files, remove_leftovers
from features.erasure.traces import search
from features.feeds import erasure as feeds
from features.feeds.landed.subject import Subject, find_subject
from features.feeds.landing.suppression import Suppression
from features.kit.clock import utc_now
from features.kit.errors import DataError, NotFoundError
from features.kit.files import read_json, write_bytes, write_json
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from features.portraits import erasure as portraits
from features.store import erasure as store
from serving.database import erasure as database
from serving.database.session import opened
from serving.outreach import erasure as outreach
from serving.product_fit import erasure as product_fit
from serving.scoring.batch import erasure as scoring
from training.bundle import forget

KEPT = {
    "suppression": "salted hashes that refuse later deliveries",
    "do_not_contact": "salted hashes that forbid contacts",
    "audit": "entries without the identifiers, chained again",
    "aggregates": "class reports, rank tables and totals, which hold no rows of anybody",
    "servers": "backups, logs and replicas of a PostgreSQL or Redis server; its own files if `store` lacks `rewritten`",
    "models": "weights and nameless check rows of models trained before; the next training is without the person",
}
"""What stays, and why it names nobody."""


@dataclass(frozen=True)
class _Order:
    """An erasure under way; the file with the identifiers goes when it is complete."""

    subject: Subject
    content: dict[str, Any]

    @property
    def receipt_id(self) -> str:
        return str(self.content["receipt_id"])

    def done(self, home: Home, room: str, removed: dict[str, Any]) -> None:
        """Adds what a room removed; counts of a run that died are kept, but for a room killed before it came here."""
        earlier = self.content["removed"].get(room, {})
        self.content["removed"][room] = _sum(earlier, removed)
        _save(home, self.content)
        hit(f"erase.after_{room}")


def erase(
    home: Home, person_id: str, *, by: str, reason: str = "", progress: Progress = SILENT
) -> tuple[dict[str, Any], bool]:
    """Erases a person and returns the receipt, and whether the person had been erased before.

    An erasure of somebody else that was interrupted is completed first. The caller holds the run lock.

    Where no person is linked to a subscription, `person_id` is the subscription. The `reason`, for the receipt, holds
    no personal data.

    Raises:
        NotReadyError: If nothing has landed, or another process keeps a database busy; repeat the command then.
        NotFoundError: If nobody of that id is known.
        DataError: If files of this home still name the person; the receipt lists them, and the order stays.
    """
    content = _pending(home)
    if content is not None and content["subject"]["person_id"] != person_id:
        _complete(home, _Order(Subject.from_dict(content["subject"]), content), progress)
        content = None
    if content is None:
        record = Suppression.load(home)
        try:
            subject = find_subject(home, person_id)
        except NotFoundError:
            earlier = _receipt_of(home, record.hashed(person_id))
            if earlier is None:
                raise
            return earlier, True
        content = {
            "receipt_id": f"E{secrets.token_hex(6)}", "by": by, "reason": reason,
            "started_at": utc_now().isoformat(), "subject": subject.as_dict(), "removed": {}, "runs": 0,
        }  # fmt: skip
    order = _Order(Subject.from_dict(content["subject"]), content)
    return _complete(home, order, progress), False


def _complete(home: Home, order: _Order, progress: Progress) -> dict[str, Any]:
    order.content["runs"] += 1
    _save(home, order.content)
    hit("erase.after_order")
    subject = order.subject
    record = Suppression.load(home).with_subject(subject)
    record.save(home)
    hit("erase.after_suppression")
    with opened(home) as engine:
        receipt = _clear_rooms(home, order, record, engine, progress)
    write_json(home.erasures / f"{order.receipt_id}.json", receipt)
    hit("erase.after_receipt")
    if receipt["still_named_in"]:
        naming = receipt["still_named_in"]
        raise DataError(
            f"{len(naming)} files still name the person, first {naming[0]}; receipt {order.receipt_id} lists them",
            remedy="remove or clean them, then run the same command again",
        )
    _order_path(home).unlink()
    hit("erase.after_all")
    return receipt


def _clear_rooms(home: Home, order: _Order, record: Suppression, engine: Engine, progress: Progress) -> dict[str, Any]:
    """Lets every room remove its rows, searches every file, and returns the receipt."""
    subject = order.subject
    rooms: dict[str, Callable[[], dict[str, Any]]] = {
        "ledger": lambda: outreach.erase_ledger(engine, subject, record),
        "feeds": lambda: feeds.erase(home, subject, order.receipt_id),
        "portraits": lambda: portraits.erase(home, subject),
        "store": lambda: store.erase(home, subject),
        "scores": lambda: scoring.erase(home, subject),
        "product_fit": lambda: product_fit.erase(home, subject),
        "lists": lambda: outreach.erase_files(home, engine, subject),
        "database": lambda: _database(home, engine, order),
        "models": lambda: forget(home.mlruns, subject.customers),
        "simulation": lambda: remove_from_files(home.simulation, subject.names, subject.customers),
    }
    for room, work in rooms.items():
        with progress.step(f"erase: {room}"):
            order.done(home, room, work())
    with progress.step("search every file"):
        remove_leftovers([home.lists, home.personal])
        found = search([home.root, home.mlruns], subject.names, skip=[_order_path(home), home.root / "run.lock"])
    return {
        "format_version": 1,
        "receipt_id": order.receipt_id,
        "person": record.hashed(subject.person_id),
        "by": order.content["by"],
        "reason": order.content["reason"],
        "started_at": order.content["started_at"],
        "ended_at": utc_now().isoformat(),
        "runs": order.content["runs"],
        "subscriptions": len(subject.holdings),
        "removed": order.content["removed"],
        "kept": KEPT,
        "handed_over_outside": outreach.outside(home, engine),
        "searched_files": found.files,
        "still_named_in": list(found.naming),
        "is_complete": not found.naming,
    }


def _database(home: Home, engine: Engine, order: _Order) -> dict[str, int]:
    actor, names = f"cli:{order.content['by']}", order.subject.names
    changed = database.erase(engine, names, actor=actor, receipt_id=order.receipt_id)
    database.compact(home, engine)
    return changed


def _order_path(home: Home) -> Any:
    return home.personal / "erasure_order.json"


def _pending(home: Home) -> dict[str, Any] | None:
    path = _order_path(home)
    return read_json(path) if path.exists() else None


def _save(home: Home, content: dict[str, Any]) -> None:
    import orjson

    home.personal.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_bytes(_order_path(home), orjson.dumps(content, option=orjson.OPT_SORT_KEYS), mode=0o600)


def _receipt_of(home: Home, hashed: str) -> dict[str, Any] | None:
    """Returns the receipt of a person erased before, found by the salted hash."""
    receipts = (read_json(path) for path in sorted(home.erasures.glob("*.json")))
    found: dict[str, Any] | None = next((one for one in receipts if one["person"] == hashed), None)
    return found


def _sum(earlier: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Returns two counts added, branch by branch."""
    added = dict(earlier)
    for name, value in more.items():
        before = earlier.get(name)
        added[name] = _sum(before or {}, value) if isinstance(value, dict) else (before or 0) + value
    return added
