"""Shadow scoring: a challenger scores the same portraits as the champion; the difference is reported, never served.

    challenger.json --> its scorer --> <home>/scores/<target>/<challenger>/as_of=DATE/{shadow.parquet, shadow.json}

Nothing that serves reads these files: lists, API and rank tables know only the champion's. Whatever goes wrong with a
challenger stands in the report, and the champion's scores stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from features.kit.arrays import Floats, Rows
from features.kit.errors import InsightError
from features.kit.files import write_json, write_parquet
from features.kit.home import Home
from serving.scoring.batch.blocks import Job
from serving.scoring.ranks import scores_folder
from serving.scoring.scorer import Scorer
from training.bundle import LoadedBundle, challenger, load

if TYPE_CHECKING:
    import pyarrow as pa

Margins = tuple[Floats, Floats]
SHADOW, REPORT = "shadow.parquet", "shadow.json"
TOP_SHARE = 0.05


def challenger_of(
    home: Home, target: str, scorer_of: Callable[[LoadedBundle], Scorer], *, check_in_child: bool = True
) -> tuple[str, Job | str] | None:
    """Returns the version of a target's challenger with its model, or why there is none; None without a challenger."""
    version = ""
    try:
        folder = challenger(home.bundles, target)
        if folder is None:
            return None
        version = folder.name
        return version, Job(scorer_of(load(folder, check_in_child=check_in_child)), explain=False)
    except InsightError as error:
        return version, error.message


def write_shadow(
    home: Home, target: str, as_of: date, versions: tuple[str, str], customers: pa.ChunkedArray, served: Margins,
    beside: Margins,
) -> dict[str, Any]:  # fmt: skip
    """Writes what the challenger would have scored and returns the difference.

    Args:
        home: The state.
        target: What is predicted.
        as_of: The as-of date.
        versions: The champion's and the challenger's.
        customers: The scored customers, n.
        served: The champion's raw scores and propensities of them, float64 [n] each; NaN where there is none.
        beside: The challenger's.
    """
    import pyarrow as pa

    champion, version = versions
    both = ~np.isnan(served[1]) & ~np.isnan(beside[1])
    report = {"challenger": version, "champion": champion, "as_of": as_of.isoformat()} | compare(
        served[1][both], beside[1][both], served[0][both], beside[0][both]
    )
    folder = scores_folder(home, target, version, as_of)
    table = pa.table(
        {
            "customer_id": customers,
            "propensity": pa.array(beside[1], from_pandas=True),
            "champion_propensity": pa.array(served[1], from_pandas=True),
        }
    )
    write_parquet(folder / SHADOW, table)
    write_json(folder / REPORT, report)
    return report


def compare(served: Floats, beside: Floats, margins: Floats, beside_margins: Floats) -> dict[str, Any]:
    """Returns how far two models differ on customers that both score.

    Args:
        served: The champion's propensities, float64 [n].
        beside: The challenger's.
        margins: The champion's raw scores, by which its order goes.
        beside_margins: The challenger's.
    """
    count = len(served)
    if not count:
        return {"rows": 0}
    difference = beside - served
    top = max(1, int(TOP_SHARE * count))
    first, second = _places(margins), _places(beside_margins)
    both = int(((first >= count - top) & (second >= count - top)).sum())
    spread = float(first.std() * second.std())
    correlation = float(((first - first.mean()) * (second - second.mean())).mean() / spread) if spread else None
    return {
        "rows": count,
        "champion_mean": round(float(served.mean()), 6),
        "challenger_mean": round(float(beside.mean()), 6),
        "mean_difference": round(float(difference.mean()), 6),
        "mean_absolute_difference": round(float(np.abs(difference).mean()), 6),
        "largest_difference": round(float(np.abs(difference).max()), 6),
        "rank_correlation": None if correlation is None else round(correlation, 4),
        "same_in_top_5_percent": round(both / top, 4),
    }


def summary_line(report: dict[str, Any]) -> str:
    """Returns the report as one line for a person."""
    who = f"in its shadow {report['challenger']}"
    if not report["rows"]:
        return f"{who}: no score, {report.get('reason', 'nobody had enough data for both')}"
    return (
        f"{who}: mean {100 * report['challenger_mean']:.2f} % against {100 * report['champion_mean']:.2f} %, mean "
        f"difference {100 * report['mean_absolute_difference']:.2f} points, rank correlation "
        f"{report['rank_correlation']}, {100 * report['same_in_top_5_percent']:.0f} % of the top 5 % are the same"
    )


def _places(margins: Floats) -> Rows:
    """Returns each row's place from the lowest score, ties by row."""
    places = np.empty(len(margins), dtype=np.intp)
    places[np.argsort(margins, kind="stable")] = np.arange(len(margins))
    return places
