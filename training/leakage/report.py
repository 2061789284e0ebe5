"""The leakage audit of one target as a report: every kind by name, found or not, with evidence and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from features.kit.errors import NotReadyError
from features.kit.language import Locale
from features.kit.terminal.progress import SILENT, Progress
from training.dataset.prepare import prepare
from training.labels.history import Records
from training.labels.spine import labelled
from training.labels.targets import Target
from training.leakage.audit import audit, gate
from training.leakage.findings import KINDS
from training.leakage.provenance import dates_to_replay


@dataclass(frozen=True)
class AuditRequest:
    """What one audit is asked to look at."""

    target: Target
    as_of: date | None = None  # pretend that nothing later has been delivered; None means all that has
    seed: int = 7
    threads: int = 1


def audit_target(records: Records, request: AuditRequest, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Returns what the gate would say to a training of this target; trains nothing and writes nothing.

    Raises:
        NotReadyError: If there is no labelled row to look at.
    """
    target, seed, threads = request.target, request.seed, request.threads
    chosen = labelled(records, target, request.as_of, progress=progress)
    if not chosen.labels.any():
        raise NotReadyError(f"{target.name}: no customer has the event", remedy="land the feeds that carry it")
    prepared = prepare(records.home, target, chosen, seed=seed)
    with progress.step(f"{target.name}: leakage audit"):
        leaks = audit(records, target, prepared, seed=seed, threads=threads)
    passed = gate(prepared, leaks, records.portraits)
    replayed = [] if records.history.snapshot else dates_to_replay(records.feeds, records.portraits, chosen.dates)
    return {
        "target": target.name,
        "rows": len(prepared.data.labels),
        "positives": int(prepared.data.labels.sum()),
        "features": len(prepared.data.features),
        "as_of": [str(prepared.data.as_of.min()), str(prepared.data.as_of.max())],
        "folds": prepared.split.kind,
        "is_snapshot": records.history.snapshot,
        "replayed": [day.isoformat() for day in replayed],
        "found": len(leaks),
        "findings": [found.as_dict() for found in leaks],
        "kinds": {kind: sum(found.kind == kind for found in leaks) for kind in KINDS},
        "refused": passed.refused or "",
        "why": passed.why,
    }


def as_text(report: dict[str, Any], locale: Locale = "en") -> str:
    """Returns the report for a person; the kinds are named in their language."""
    lines = [
        (
            f"{report['target']}: {report['features']} features over {report['rows']:,} rows "
            f"({report['positives']:,} positive), {report['as_of'][0]} to {report['as_of'][1]}, {report['folds']} folds"
        )
    ]
    if report["is_snapshot"]:
        lines.append("  a snapshot has no earlier state: whether a value was written later, the files cannot show")
    elif not report["replayed"]:
        lines.append("  no portrait is up to date: where values come from was not checked  -> insight build")
    for kind, count in report["kinds"].items():
        lines.append(f"  {kind:<22} {count or '-':>3}  {KINDS[kind].zh if locale == 'zh' else kind.replace('_', ' ')}")
    for found in report["findings"]:
        lines += [
            f"{found['name']}  [{found['kind']}, {found['effect'].replace('_', ' ')}]",
            f"  {found['evidence']}",
            f"  {found['explanation']}",
            f"  -> {found['remedy']}",
        ]
    if report["refused"]:
        lines.append(f"training would be refused ({report['refused']}): {report['why']}")
    return "\n".join(lines)
