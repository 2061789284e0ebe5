"""The verdict as it lies in a bundle: `evaluation.json` for programs, `evaluation.md` for people, the judged rows.

verdict, evaluation, rules --files--> evaluation.json  evaluation.md  judged.parquet
evaluation.json --read_evaluation--> what `promote` and `models` go by
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from features.kit.errors import ConflictError, DataError
from features.kit.files import read_json
from features.kit.pages.pages import render
from training.bundle import EVALUATION, JUDGED
from training.dataset.dataset import Dataset
from training.evaluation import stored
from training.evaluation.evaluate import Judged
from training.evaluation.verdict import CODES, Champion, Verdict, judge
from training.labels.targets import PromotionRule, Target, ValueRules

PAGE = "evaluation.md"
FORMAT = 1


def files(
    target: Target, verdict: Verdict, judged: Judged, metrics: Mapping[str, Any], data: Dataset, labels_known_by: str
) -> dict[str, bytes]:
    """Returns the verdict's files by name, to be hashed with the bundle.

    `data` are all rows that the served model could learn from, `labels_known_by` is the day by which all their labels
    were known.
    """
    content = {
        "format": FORMAT,
        "target": target.name,
        **verdict.plain(),
        "meaning": CODES[_kind(verdict.rule)][verdict.rule],
        "learned_from": {
            "first_as_of": str(data.as_of.min()),
            "last_as_of": str(data.as_of.max()),
            "labels_known_by": labels_known_by,
        },
        "judged_on": {
            "as_of": [] if judged.as_of is None else [str(day) for day in np.unique(judged.as_of)],
            "rows": len(judged.labels),
            "positives": int(judged.labels.sum()),
        },
        "promotion": target.promotion.model_dump(),
        "value": target.value.model_dump(),
        "prior": None if target.prior is None else target.prior.model_dump(),
        "metrics": metrics,
    }
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    return {
        EVALUATION: orjson.dumps(content, option=options),
        PAGE: page(content).encode(),
        JUDGED: stored.to_parquet(judged),
    }


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Returns the written verdict of a version. Raises ConflictError if it has none."""
    try:
        content = read_json(folder / EVALUATION)
    except (OSError, DataError):
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT or "rule" not in content:
        raise ConflictError(
            f"{folder.parent.name}: version '{folder.name}' has no written verdict",
            remedy=f"insight train {folder.parent.name}",
        )
    return content


def judge_again(folder: Path, champion_folder: Path) -> Verdict:
    """Returns the verdict on a version beside another champion than it was written for, from both stored rows.

    Only rows that both versions have are compared: out-of-time scores of models that saw nothing of them.

    Raises:
        ConflictError: If the version has no written verdict.
        BundleError: If one of them has no stored rows.
    """
    content = read_evaluation(folder)
    judged, before = stored.read_judged(folder), stored.read_judged(champion_folder)
    at = stored.places(stored.keys_of(judged), stored.keys_of(before))
    known = at >= 0
    theirs = np.where(known, before.propensities[np.maximum(at, 0)], np.nan)
    seen = f"{champion_folder.name}: {int(known.sum()):,} rows by its own stored out-of-time scores"
    return judge(
        PromotionRule.model_validate(content["promotion"]),
        ValueRules.model_validate(content["value"]),
        judged,
        content["metrics"],
        Champion(champion_folder.name, theirs, known, seen),
        population_rate=None if content["prior"] is None else content["prior"]["population_rate"],
    )


def page(content: Mapping[str, Any]) -> str:
    """Returns the verdict as one Markdown page: the decision first, then everything it rests on."""
    figures, metrics, least = content["figures"], content["metrics"], content["promotion"]["slice_positives"]
    rules = [
        (
            check["code"],
            _kind(check["code"]).replace("_", "-"),
            "yes" if check["holds"] else "NO",
            check["found"],
            check["limit"],
        )
        for check in content["checks"]
    ]
    profits = [
        (name, f"{figures[key]['value']:+.2f}", f"{figures[key]['low']:+.2f} to {figures[key]['high']:+.2f}")
        for name, key in (("candidate", "profit"), ("champion", "champion_profit"), ("difference", "profit_gap"))
        if key in figures
    ]
    deciles = [
        (
            place, one["rows"], one["observed"], one["expected"], f"{one['low']} to {one['high']}",
            "outside" if one["is_outside"] else "",
        )
        for place, one in enumerate(metrics["deciles"], start=1)
    ]  # fmt: skip
    slices = {
        group: [
            (
                name, *(cell[key] for key in ("rows", "positives", "observed", "expected")),
                "{} ({} to {})".format(cell["observed_expected"], *cell["observed_expected_ci"]),
                "gated" if cell["positives"] >= least else "told, not gated",
            )
            for name, cell in cells.items()
        ]
        for group, cells in metrics.get("by_slice", {}).items()
    }  # fmt: skip
    tables = {"rules": rules, "profits": profits, "deciles": deciles, "slices": slices}
    return render("training.evaluation", "evaluation.md.j2", **content, **tables)


def _kind(code: str) -> str:
    return next(kind for kind, codes in CODES.items() if code in codes)
