"""The model card: what a person must know before trusting a model, one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.targets import Target

USE = (
    "Propensity is the calibrated probability of this event in the label window. It ranks customers for care; it is no "
    "statement about a person, and it must not be shown or told to the customer."
)


def model_card(
    target: Target,
    *,
    version: str,
    data: Mapping[str, Any],
    folds: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    importance: Mapping[str, float],
    left_out: Mapping[str, str],
    skipped: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """Returns the card.

    Args:
        target: The target's configuration.
        version: The bundle's version.
        data: Plain facts about the rows.
        folds: The splitter's log.
        metrics: The evaluation.
        importance: Mean absolute contribution by feature, strongest first.
        left_out: Leaking features with their evidence.
        skipped: Cohort rules and events that could not be applied, with the reason.
        notes: Anything else that must be said.
    """
    window = f"[as-of + {target.lead_days}, as-of + {target.lead_days + target.horizon_days})"
    events = ", ".join(f"{event.name} ({event.kind})" for event in target.events)
    parts = [
        f"# {target.name} {version}",
        target.description,
        USE,
        "## Definition",
        _list(
            {
                "events": events,
                "label window": f"{window} days, half-open",
                "label delay": f"{target.label_delay_days} days",
                "embargo": f"{target.embargo_days} days between training and test as-of dates",
                "cohort": target.cohort.model_dump_json(),
                "features": target.features,
            }
        ),
        "## Rows",
        _list(data),
        "## Folds",
        _folds(folds),
        "## Figures on rows that the judged model never saw",
        _figures(metrics),
    ]
    if metrics.get("by_kind"):
        parts += ["### By kind of event, each against all customers without one", _table(metrics["by_kind"], "kind")]
    if metrics.get("by_class"):
        parts += ["### By customer class", _table(metrics["by_class"], "class")]
    parts += ["## What moves the raw score most (mean absolute contribution)", _list(importance)]
    parts += ["## Left out because they leak", _list(left_out) if left_out else "Nothing."]
    parts += ["## Not applied", _list(skipped) if skipped else "Nothing."]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _list(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _folds(folds: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for fold in folds:
        dates = ""
        if "train_as_of" in fold:
            train, test = fold["train_as_of"], fold["test_as_of"]
            dates = f", trained on {train[0]} to {train[-1]}, judged on {', '.join(test)}"
        lines.append(
            f"- {fold['fold']}: {fold['train_rows']:,} rows ({fold['train_positives']:,} positive) to learn from, "
            f"{fold['test_rows']:,} ({fold['test_positives']:,}) to judge{dates}"
        )
    return "\n".join(lines)


def _figures(metrics: Mapping[str, Any]) -> str:
    lines = ["| figure | value | 95 % interval |", "|---|---|---|"]
    for name, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            interval = metrics.get(f"{name}_ci")
            lines.append(f"| {name} | {value} | {'' if interval is None else f'{interval[0]} to {interval[1]}'} |")
    return "\n".join(lines)


def _table(groups: Mapping[str, Mapping[str, Any]], name: str) -> str:
    columns = list(dict.fromkeys(column for cell in groups.values() for column in cell))
    lines = [f"| {name} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for group, cell in groups.items():
        lines.append(f"| {group} | {' | '.join(str(cell.get(column, '')) for column in columns)} |")
    return "\n".join(lines)
