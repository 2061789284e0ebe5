"""Promotion by a written verdict, one pointer, and the way back.

`bundles/<target>/champion.json` is the truth: `{"version", "previous", "promoted_at", "history", "verdict"}`, switched
by one rename; `challenger.json` beside it names the version that scores in its shadow. The MLflow aliases are their
mirror and are written afterwards; a kill between the two is repaired by the next `models`, `promote` or `rollback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.kit.clock import utc_now
from features.kit.errors import BundleError, ConflictError, NotFoundError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from features.kit.runs import hit
from training import bundle
from training.card.card import INCOMPLETE, missing_in
from training.evaluation.verdict import GATES
from training.evaluation.written import judge_again, read_evaluation
from training.labels.targets import remedy_for
from training.registry import tracking

HISTORY = 20


def promote(
    home: Home, target: str, version: str, *, verdict: Mapping[str, Any] | None = None, override: str = ""
) -> bool:
    """Makes a version the champion if its verdict allows, and returns whether the pointer moved.

    `verdict` was just reached beside the present champion; None goes by the one written in the bundle, and reaches it
    again from the stored rows if that names another champion than the present one. `override` says why a person
    promotes it against its verdict, and is kept in the pointer.

    Raises:
        NotFoundError: If there is no such version.
        BundleError: If the bundle must not be loaded; the present champion stays.
        ConflictError: If its model card lacks a section, it has no written verdict, or its verdict refuses it.
    """
    folder = _folder(home, target, version)
    bundle.check(folder)
    refuse_incomplete(folder)
    try:
        before = pointer(home, target)
    except BundleError:
        before = {}  # a damaged pointer names nobody; its remedy is this very promotion.
    moved = before.get("version") != version
    if moved:
        found = verdict or (
            read_evaluation(folder) if override else _verdict(home, target, folder, before.get("version"))
        )
        if not found.get("promoted") and not override:
            raise ConflictError(
                f"{target}: version '{version}' is refused by {found['rule']}",
                remedy=f"read {folder / 'evaluation.md'}, or promote it with --override 'why'",
            )
        past = [*before.get("history", []), before["version"]] if before.get("version") else []
        kept = {"rule": found["rule"], "compared_with": found["compared_with"], "override": override or None}
        _point(home, target, version, [earlier for earlier in past if earlier != version], kept)
    if _pointed_at(home, target) == version:
        end_shadow(home, target)
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
            bundle.check(home.bundles / target / version)
        except BundleError:
            continue
        _point(home, target, version, history, {"rule": "rollback", "compared_with": before["version"]})
        _mirror(home, target, version)
        return str(version)
    raise ConflictError(f"{target}: there is no earlier version to go back to", remedy="insight models")


def shadow(home: Home, target: str, version: str) -> None:
    """Makes a version the challenger: batches score it beside the champion and report the difference.

    Raises:
        NotFoundError: If there is no such version.
        BundleError: If the bundle must not be loaded.
        ConflictError: If it is the champion.
    """
    folder = _folder(home, target, version)
    bundle.check(folder)
    if pointer(home, target).get("version") == version:
        raise ConflictError(f"{target}: '{version}' is the champion itself", remedy="insight models")
    write_json(
        home.bundles / target / bundle.CHALLENGER, {"version": version, "shadowing_since": utc_now().isoformat()}
    )
    tracking.mirror(home, target, version, alias=tracking.CHALLENGER)


def end_shadow(home: Home, target: str) -> bool:
    """Ends the shadow scoring of a target and returns whether there was one."""
    pointer_file = home.bundles / target / bundle.CHALLENGER
    had = pointer_file.exists()
    pointer_file.unlink(missing_ok=True)
    if had:
        tracking.mirror(home, target, None, alias=tracking.CHALLENGER)
    return had


def models(home: Home, *, repair: bool = True) -> list[dict[str, Any]]:
    """Returns every version of every target with its alias and verdict; repairs MLflow's mirror.

    A damaged bundle is named, and one without a verdict has none.
    """
    found: list[dict[str, Any]] = []
    targets = sorted(path.name for path in home.bundles.glob("*") if path.is_dir())
    for target in targets:
        pointed: dict[str, Any] = {}
        beside = damage = None
        try:
            pointed, beside = pointer(home, target), _pointed_at(home, target)
        except BundleError as error:
            damage = str(error)
        now = pointed.get("version")
        if now and not (home.bundles / target / now).is_dir():
            damage = f"{home.bundles / target / now}: the folder is gone (insight promote {target} VERSION)"
        if damage:
            found.append(_damaged(target, now or "?", damage))
        for version in versions(home, target):
            alias = tracking.CHAMPION if version == now else tracking.CHALLENGER if version == beside else None
            line: dict[str, Any] = {
                "target": target, "version": version, "champion": version == now, "alias": alias,
            }  # fmt: skip
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
                    "verdict": _written_verdict(home.bundles / target / version),
                    "override": (pointed.get("verdict") or {}).get("override") if version == now else None,
                }
            found.append(line)
        if repair and not damage:  # a list that does not know who serves takes nobody's alias away
            tracking.mirror(home, target, now)
            tracking.mirror(home, target, beside, alias=tracking.CHALLENGER)
    return found


def _damaged(target: str, champion: str, error: str) -> dict[str, Any]:
    """Returns the line of a champion that is not there: its pointer is damaged, or its folder is gone."""
    return {
        "target": target, "version": champion, "champion": True, "alias": tracking.CHAMPION, "state": "damaged",
        "error": error,
    }  # fmt: skip


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
        raise NotFoundError(f"{target}: there is no whole version", remedy=remedy_for(target))
    return max(whole)[1]


def pointer(home: Home, target: str) -> dict[str, Any]:
    """Returns the content of the champion pointer; empty without one. Raises BundleError if it is damaged."""
    if bundle.champion(home.bundles, target) is None:
        return {}
    content: dict[str, Any] = read_json(home.bundles / target / bundle.CHAMPION)
    return content


def _folder(home: Home, target: str, version: str) -> Path:
    folder = home.bundles / target / version
    if Path(version).name != version or not folder.is_dir():
        known = ", ".join(versions(home, target))
        raise NotFoundError(
            f"{target}: there is no version '{version}'",
            remedy=f"known versions: {known}" if known else remedy_for(target),
        )
    return folder


def _verdict(home: Home, target: str, folder: Path, champion: str | None) -> Mapping[str, Any]:
    """Returns the verdict on a version beside the present champion: as it is written, or reached again."""
    found = read_evaluation(folder)
    if champion is None or found["compared_with"] == champion or found["rule"] in GATES:
        return found
    return judge_again(folder, home.bundles / target / champion).plain()


def _written_verdict(folder: Path) -> dict[str, Any] | None:
    try:
        content = read_evaluation(folder)
    except ConflictError:
        return None
    return {name: content[name] for name in ("decision", "rule", "compared_with")}


def _pointed_at(home: Home, target: str) -> str | None:
    folder = bundle.challenger(home.bundles, target)
    return None if folder is None else folder.name


def _point(home: Home, target: str, version: str, history: list[str], verdict: Mapping[str, Any]) -> None:
    hit("promote.before_champion")
    write_json(
        home.bundles / target / bundle.CHAMPION,
        {
            "version": version,
            "previous": history[-1] if history else None,
            "promoted_at": utc_now().isoformat(),
            "history": history[-HISTORY:],
            "verdict": verdict,
        },
    )
    hit("promote.after_champion")


def _mirror(home: Home, target: str, version: str) -> None:
    tracking.mirror(home, target, version)
    hit("promote.after_mirror")
