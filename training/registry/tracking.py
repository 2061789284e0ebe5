"""The one place that talks to MLflow: what each training did, and which version is champion (a mirror of the bundles).

MLflow is used as a client library on SQLite, or on the server or database that `MLFLOW_TRACKING_URI` names, with
telemetry off and explicit logging (autolog costs seconds).
The truth is `champion.json`; the alias here follows it and is repaired by every `models`, `promote` and `rollback`.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from features.kit.home import Home
from features.kit.homes.moved import follow_folder
from training.bundle import MANIFEST

P = ParamSpec("P")
R = TypeVar("R")
CHAMPION, CHALLENGER = "champion", "challenger"
_VERSION_TAG = "bundle_version"
_LONGEST = 500
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The tag by which MLflow's pages know training runs; without it they show traces of language models."""
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
GROUPS = "figures_by_group.json"
"""The table of a run with the figures of every kind, class and slice; as metrics they would hide the others."""


def _quiet(call: Callable[P, R]) -> Callable[P, R]:
    """Returns a call during which MLflow's libraries may not warn about their own future."""

    @wraps(call)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings(action="ignore"):
            return call(*args, **kwargs)

    return quiet


@_quiet
def log_training(
    home: Home,
    target: str,
    version: str,
    *,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, Any],
    tags: Mapping[str, str],
    folder: Path | None,
) -> None:
    """Records one training: parameters, metrics, tags and, if there is one, the whole bundle as a model version.

    Figures of the whole are metrics; those of kinds, classes and slices are the table `figures_by_group.json`.

    Logging the same version again adds a run and keeps the one registered version.
    """
    import pandas as pd
    from mlflow.entities import Metric, Param, RunTag

    client = _client(home)
    run = client.create_run(_experiment(home, target), run_name=version or "refused")
    now = int(time.time() * 1000)
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, float(value), now, 0) for name, value in _numbers(metrics).items()],
        params=[Param(name, str(value)[:_LONGEST]) for name, value in parameters.items()],
        tags=[RunTag(name, str(value)) for name, value in tags.items()],
    )
    if groups := _groups(metrics):
        client.log_table(run.info.run_id, pd.DataFrame(groups), GROUPS)
    if folder is not None:
        client.log_artifacts(run.info.run_id, str(folder), artifact_path="bundle")
        if _registered(client, target, version) is None:
            _register(client, target, version, folder, run)
    client.set_terminated(run.info.run_id)


@_quiet
def log_pictures(home: Home, folder: Path, names: Sequence[str]) -> None:
    """Copies pictures that came after a bundle, and the manifest that knows them, to the run that made its version."""
    client = _client(home)
    found = _registered(client, folder.parent.name, folder.name)
    for name in (*names, MANIFEST) if found and found.run_id else ():
        client.log_artifact(found.run_id, str(folder / name), artifact_path="bundle")


@_quiet
def mirror(home: Home, target: str, version: str | None, *, alias: str = CHAMPION) -> bool:
    """Points an alias (`champion`, `challenger`) at a bundle's version and returns whether anything had to change.

    A bundle that MLflow never saw (a copied home, a run that was killed) is registered first.
    """
    from mlflow.exceptions import MlflowException

    client = _client(home)
    _experiment(home, target)
    try:
        now = client.get_model_version_by_alias(target, alias)
    except MlflowException:
        now = None
    if version is None:
        if now is not None:
            client.delete_registered_model_alias(target, alias)
        return now is not None
    wanted = _registered(client, target, version)
    if wanted is None:
        folder, run = home.bundles / target / version, None
        if _is_server(client.tracking_uri):  # it takes only what lies with it
            run = client.create_run(_experiment(home, target), run_name=version)
            client.log_artifacts(run.info.run_id, str(folder), artifact_path="bundle")
            client.set_terminated(run.info.run_id)
        wanted = _register(client, target, version, folder, run)
    if now is not None and now.version == wanted.version:
        return False
    client.set_registered_model_alias(target, alias, wanted.version)
    return True


def _register(client: Any, target: str, version: str, folder: Path, run: Any) -> Any:
    """Makes a model version of a bundle: of its folder, or on a server of the run that brought it there."""
    source = f"{run.info.artifact_uri}/bundle" if _is_server(client.tracking_uri) else str(folder.resolve())
    run_id = run.info.run_id if run is not None else None
    return client.create_model_version(target, source, run_id=run_id, tags={_VERSION_TAG: version})


def _is_server(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _registered(client: Any, target: str, version: str) -> Any:
    found = client.search_model_versions(f"name = '{target}' and tags.{_VERSION_TAG} = '{version}'")
    return found[0] if found else None


@lru_cache(maxsize=64)
def _experiment_of(database: str, artifacts: str | None, target: str) -> str:
    from mlflow.exceptions import MlflowException

    client = _client_of(database)
    known = client.get_experiment_by_name(target)
    if known is None:
        identity = client.create_experiment(target, artifact_location=artifacts, tags={KIND: TRAINING})
    else:
        identity = known.experiment_id
        if known.tags.get(KIND) != TRAINING:  # of a home from before the tag
            client.set_experiment_tag(identity, KIND, TRAINING)
    try:
        client.get_registered_model(target)
    except MlflowException:
        client.create_registered_model(target)
    return str(identity)


def _experiment(home: Home, target: str) -> str:
    database = _database(home)
    # a server says itself where its artifacts lie
    artifacts = None if _is_server(database) else (home.mlruns / "artifacts" / target).resolve().as_uri()
    return _experiment_of(database, artifacts, target)


def _client(home: Home) -> Any:
    home.mlruns.mkdir(parents=True, exist_ok=True)
    if not os.environ.get(TRACKING_VARIABLE):
        follow_folder(home.mlruns / "mlflow.db")
    return _client_of(_database(home))


def _database(home: Home) -> str:
    """Returns the address of the tracking store and registry: MLflow's own variable, else the home's file."""
    return os.environ.get(TRACKING_VARIABLE) or f"sqlite:///{(home.mlruns / 'mlflow.db').resolve()}"


@lru_cache(maxsize=8)
def _client_of(database: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # MLflow says on stderr how it creates its tables; a person who trains a model need not know.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client = MlflowClient(database, database)
    client.search_experiments(max_results=1)
    return client


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the plain numbers of an evaluation; intervals become `_low` and `_high`, parts of it stay away."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            found[name] = float(value)
        elif isinstance(value, list | tuple) and name.endswith("_ci") and len(value) == 2 and None not in value:
            found[f"{name[:-3]}_low"], found[f"{name[:-3]}_high"] = float(value[0]), float(value[1])
    return {name: number for name, number in found.items() if number == number}  # noqa: PLR0124 - drops NaN


def _groups(metrics: Mapping[str, Any], above: str = "") -> list[dict[str, Any]]:
    """Returns a row of numbers for each part of an evaluation, under its dotted name. Example: `by_class.loyal`."""
    rows: list[dict[str, Any]] = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            numbers = _numbers(value)
            rows += [{"group": above + name, **numbers}] if numbers else []
            rows += _groups(value, f"{above}{name}.")
    return rows
