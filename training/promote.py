"""Promotion by a written rule, one pointer, and the way back.

`bundles/<target>/champion.json` is the truth: `{"version", "previous", "promoted_at", "history"}`, switched by one
rename. The MLflow alias is its mirror and is written afterwards; a kill between the two is repaired by the next
`models`, `promote` or `rollback`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.kit.clock import utc_now
from features.kit.errors import BundleError, ConflictError, NotFoundError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from features.kit.runs import hit
from training import bundle, tracking
from training.card import INCOMPLETE, missing_in
from training.targets import PromotionRule

TOO_FEW = "too_few_positives"
HISTORY = 20


def verdict(rule: PromotionRule, metrics: dict[str, Any], champion: dict[str, Any] | None) -> tuple[bool, str]:
    """Returns whether a candidate becomes champion, and the reason as a stable code.

    Codes: `promoted`, `auc_too_low`, `poorly_calibrated`, `worse_than_champion`.

    Args:
        rule: The target's rule.
        metrics: The candidate's evaluation.
        champion: The present champion's own evaluation, or None.
    """
    if not metrics["auc_ci"][0] >= rule.min_auc_low:
        return False, "auc_too_low"
    if not metrics["calibration_error"] <= rule.max_calibration_error * metrics["base_rate"]:
        return False, "poorly_calibrated"
    if champion is not None and metrics["auc"] < champion.get("auc", 0.0) - rule.max_auc_loss:
        return False, "worse_than_champion"
    return True, "promoted"


def champion_metrics(home: Home, target: str, portrait_identity: str) -> dict[str, Any] | None:
    """Returns the evaluation of the present champion, or None if there is none that can serve these portraits."""
    try:
        folder = bundle.champion(home.bundles, target)
        manifest = None if folder is None else bundle.verify(folder)
    except BundleError:
        return None
    if manifest is None or manifest.portrait_identity != portrait_identity:
        return None
    return manifest.metrics


def promote(home: Home, target: str, version: str) -> bool:
    """Makes a version the champion once it has passed every check, and returns whether the pointer moved.

    Raises:
        NotFoundError: If there is no such version.
        BundleError: If the bundle must not be loaded; the present champion stays.
        ConflictError: If its model card lacks a section.
    """
    folder = home.bundles / target / version
    if Path(version).name != version or not folder.is_dir():
        known = ", ".join(versions(home, target)) or "none"
        raise NotFoundError(f"{target}: there is no version '{version}'", remedy=f"known versions: {known}")
    bundle.load(folder)
    refuse_incomplete(folder)
    before = pointer(home, target)
    moved = before.get("version") != version
    if moved:
        past = [*before.get("history", []), before["version"]] if before.get("version") else []
        _point(home, target, version, [one for one in past if one != version])
    _mirror(home, target, version)
    return moved


def refuse_incomplete(folder: Path) -> None:
    """Refuses a version whose model card lacks a section. Raises ConflictError naming what it lacks."""
    lacking = missing_in(folder)
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise ConflictError(
            f"{INCOMPLETE}: {folder} lacks {', '.join(lacking[:3])}{more}",
            remedy="complete configs/cards.yaml, then train again",
        )


def rollback(home: Home, target: str) -> str:
    """Makes the version before the champion serve again and returns its name; the present one leaves the history.

    Raises:
        ConflictError: If there is no earlier version that passes every check.
    """
    before = pointer(home, target)
    history = list(before.get("history", []))
    while history:
        version = history.pop()
        try:
            bundle.load(home.bundles / target / version)
        except BundleError:
            continue
        _point(home, target, version, history)
        _mirror(home, target, version)
        return str(version)
    raise ConflictError(f"{target}: there is no earlier version to go back to", remedy="insight models")


def models(home: Home, *, repair: bool = True) -> list[dict[str, Any]]:
    """Returns every version of every target, champions marked, damaged bundles named; repairs MLflow's mirror."""
    found: list[dict[str, Any]] = []
    targets = sorted(path.name for path in home.bundles.glob("*") if path.is_dir())
    for target in targets:
        now = pointer(home, target).get("version")
        for version in versions(home, target):
            line: dict[str, Any] = {"target": target, "version": version, "champion": version == now}
            try:
                manifest = bundle.verify(home.bundles / target / version)
            except BundleError as error:
                line |= {"state": "damaged", "error": error.message}
            else:
                line |= {
                    "state": "whole",
                    "created_at": manifest.created_at,
                    "auc": manifest.metrics.get("auc"),
                    "auc_ci": manifest.metrics.get("auc_ci"),
                    "features": len(manifest.features),
                    "portraits": manifest.portrait_identity,
                }
            found.append(line)
        if repair:
            tracking.mirror_champion(home, target, now)
    return found


def versions(home: Home, target: str) -> list[str]:
    """Returns the versions of a target, sorted by name."""
    folders = (home.bundles / target).glob("*")
    return sorted(path.name for path in folders if path.is_dir() and not path.name.startswith("."))


def newest(home: Home, target: str) -> str:
    """Returns the version written last among those whose files are whole. Raises NotFoundError if there is none."""
    whole: list[tuple[str, str]] = []
    for version in versions(home, target):
        try:
            whole.append((bundle.verify(home.bundles / target / version).created_at, version))
        except BundleError:
            continue
    if not whole:
        raise NotFoundError(f"{target}: there is no whole version", remedy=f"insight train {target}")
    return max(whole)[1]


def pointer(home: Home, target: str) -> dict[str, Any]:
    """Returns the content of the champion pointer; empty without one. Raises BundleError if it is damaged."""
    if bundle.champion(home.bundles, target) is None:
        return {}
    content: dict[str, Any] = read_json(home.bundles / target / "champion.json")
    return content


def _point(home: Home, target: str, version: str, history: list[str]) -> None:
    hit("promote.before_champion")
    write_json(
        home.bundles / target / "champion.json",
        {
            "version": version,
            "previous": history[-1] if history else None,
            "promoted_at": utc_now().isoformat(),
            "history": history[-HISTORY:],
        },
    )
    hit("promote.after_champion")


def _mirror(home: Home, target: str, version: str) -> None:
    tracking.mirror_champion(home, target, version)
    hit("promote.after_mirror")
