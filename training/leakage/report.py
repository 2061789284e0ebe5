"""The leakage audit of one target as a report: every kind by name, found or not, with evidence and remedy."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.kit.progress import SILENT, Progress
from training.dataset.dataset import spine
from training.dataset.prepare import no_dates, prepare, training_dates
from training.labels.history import History
from training.labels.targets import Target
from training.leakage.audit import audit, gate
from training.leakage.findings import KINDS
from training.leakage.provenance import dates_to_replay

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds

FOUND_EXIT = 3
"""Exit code of `insight audit` and `insight monitor` when something was found; 2 is an error."""


def audit_target(
    home: Home, target: Target, feeds: Feeds, history: History, *, as_of: date | None = None, seed: int = 7,
    threads: int = 1, progress: Progress = SILENT,
) -> dict[str, Any]:  # fmt: skip
    """Returns what a training of this target would be told by the gate; trains nothing and writes nothing.

    Args:
        home: The state.
        target: The target's configuration.
        feeds: The landed feeds.
        history: The same feeds, opened for labels and cohorts.
        as_of: Pretend that nothing later has been delivered; None means all that has.
        seed: Of draws and trial models.
        threads: Native threads.
        progress: Shown while it runs.

    Raises:
        NotReadyError: If there is no labelled row to look at.
    """
    from features.portraits.reading import Portraits

    portraits = Portraits.open(home)
    if not target.supported(feeds.names):
        raise NotReadyError(
            f"{target.name}: no feed carries its events", remedy="insight check tells what a missing feed costs"
        )
    dates = training_dates(feeds, portraits.as_of_dates(), target, as_of)
    if not dates:
        why, remedy = no_dates(portraits, as_of)
        raise NotReadyError(f"{target.name}: {why}", remedy=remedy)
    chosen = spine(history, target, dates, progress=progress)
    if not chosen.labels.any():
        raise NotReadyError(f"{target.name}: no customer has the event", remedy="land the feeds that carry it")
    prepared = prepare(home, target, chosen, seed=seed, threads=threads)
    snapshot = feeds.operator.snapshot_on is not None
    with progress.step(f"{target.name}: leakage audit"):
        leaks = audit(prepared, feeds, portraits, target.embargo_days, seed=seed, threads=threads)
    passed = gate(prepared, leaks, portraits)
    return {
        "target": target.name,
        "rows": len(prepared.data.labels),
        "positives": int(prepared.data.labels.sum()),
        "features": len(prepared.data.features),
        "as_of": [str(prepared.data.as_of.min()), str(prepared.data.as_of.max())],
        "folds": prepared.split.kind,
        "replayed": [day.isoformat() for day in dates_to_replay(feeds, portraits, dates)] if not snapshot else [],
        "found": len(leaks),
        "findings": [one.as_dict() for one in leaks],
        "kinds": {kind: sum(one.kind == kind for one in leaks) for kind in KINDS},
        "refused": passed.refused,
        "why": passed.why,
    }


def told(report: dict[str, Any]) -> str:
    """Returns the report for a person."""
    lines = [
        (
            f"{report['target']}: {report['features']} features over {report['rows']:,} rows "
            f"({report['positives']:,} positive), {report['as_of'][0]} to {report['as_of'][1]}, {report['folds']} folds"
        )
    ]
    if not report["replayed"]:
        lines.append("  no portrait is up to date: where values come from was not checked  -> insight build")
    for kind, count in report["kinds"].items():
        lines.append(f"  {kind:<22} {count or '-':>3}  {KINDS[kind].zh}")
    for one in report["findings"]:
        lines += [
            f"{one['name']}  [{one['kind']}, {one['effect'].replace('_', ' ')}]",
            f"  {one['evidence']}",
            f"  {one['explanation']}",
            f"  -> {one['remedy']}",
        ]
    if report["refused"]:
        lines.append(f"training would be refused ({report['refused']}): {report['why']}")
    return "\n".join(lines)
