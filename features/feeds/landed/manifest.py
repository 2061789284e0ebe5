"""The one pointer of the landed feeds: which files are active, what they hold, and what was landed before."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field

from features.feeds.mapping.sources import Attribute, Source
from features.kit.config import Config, parse_config
from features.kit.errors import ConfigurationError, NotReadyError, StateError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from features.kit.homes.identity import FEEDS, OWN_FILE, Backend, gone, remember, remembered
from features.kit.language import Locale

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
_CHINESE_ZONES = (
    "Asia/Shanghai",
    "Asia/Urumqi",
    "Asia/Chongqing",
    "Asia/Harbin",
    "Asia/Macau",
    "Asia/Hong_Kong",
    "PRC",
)


class Operator(Config):
    """What readers need to know of the operator."""

    name: str
    time_zone: str  # the zone of its civil dates
    currency: str  # ISO 4217 code
    money_scale: int  # decimals of landed money
    attributes: tuple[Attribute, ...] = ()  # the operator's own declared columns
    snapshot_on: date | None = None  # the civil date of a snapshot source, else None
    locale: Locale | None = None  # the declared language of pages and lists
    country: str = ""  # ISO 3166 code of the country whose holidays count, if declared

    @property
    def language_of_lists(self) -> Locale:
        """Returns the declared language, else Chinese on China's clock and English elsewhere."""
        return self.locale or ("zh" if self.time_zone in _CHINESE_ZONES else "en")

    @classmethod
    def of(cls, source: Source) -> Operator:
        """Returns the operator of a mapping."""
        return cls(
            name=source.operator.name,
            time_zone=source.operator.time_zone,
            currency=source.operator.currency.code,
            money_scale=source.operator.currency.scale,
            attributes=source.attributes,
            snapshot_on=source.snapshot_at.date() if source.snapshot_at else None,
            locale=source.operator.locale,
            country=source.operator.country,
        )


FORM = 1
"""Raised whenever landed identifiers or free text are kept in another form: files of another are written again."""


class Part(Config):
    """One immutable Parquet file."""

    path: str  # relative to the home
    month: str  # the operator's civil month, "2026-05", or "all"
    rows: int  # versions in it
    delivered_at: str | None = None  # the newest `delivered_at` landed for the month, where the mapping gives one


class LandedFeed(Config):
    """The active files of one feed; `refused` counts under "" what a SELECT does not tell the file of."""

    parts: tuple[Part, ...]  # one file a month, or one for feeds without months
    columns: tuple[str, ...]  # contract columns in the files, in order
    first_day: date | None = None  # the first civil day that a delivered row speaks of
    last_day: date | None = None  # the last such day (the last day of the month for monthly rows)
    signature: str = ""  # hash of mapping and source files of the last landing; equal means nothing to do
    mapping: str = ""  # hash of the mapping alone
    files: dict[str, str] = Field(default_factory=dict)  # source file -> sha256, of all landed under this mapping
    form: int = 0  # which `FORM` of identifiers and free text the files have; 0 of a release that had none
    report: dict[str, Any] = Field(default_factory=dict)  # counts of the last landing that read anything
    refused: dict[str, dict[str, int]] = Field(default_factory=dict)  # file -> month -> rows in quarantine

    @property
    def rows(self) -> int:
        """Returns the number of versions."""
        return sum(part.rows for part in self.parts)


class Manifest(Config):
    """Everything a reader may rely on; written whole, switched by one rename.

    Attributes:
        first_day: The first civil day that the event feeds cover.
        latest_as_of: The last date on which the feeds are complete up to that day's beginning.
        derived: Views without numbers and names, made from the personal feeds; and what people wrote, for its owner
            alone.
    """

    format_version: int = FORMAT_VERSION
    operator: Operator
    first_day: date
    latest_as_of: date
    feeds: dict[str, LandedFeed]
    derived: dict[str, Part] = Field(default_factory=dict)

    def active_paths(self) -> set[str]:
        """Returns every file that this manifest names, relative to the home."""
        parts = [part for feed in self.feeds.values() for part in feed.parts]
        return {part.path for part in (*parts, *self.derived.values())}


def manifest_path(home: Home) -> Path:
    """Returns where the manifest lies."""
    return home.feeds / MANIFEST_NAME


def read_manifest(home: Home) -> Manifest | None:
    """Returns the active manifest, or None if nothing has landed.

    Raises:
        NotReadyError: If a later version of this system wrote it.
        HomeError: If it is gone although feeds had landed.
    """
    path = manifest_path(home)
    if not path.exists():
        if remembered(home, FEEDS) is not None:
            raise gone(home, FEEDS, f"{path} is not there")
        # Older releases remember nothing: there a first landing that was killed leaves files, but never portraits.
        if (home.portraits / "current.json").exists() and any(home.feeds.glob("*/*.parquet")):
            raise gone(home, FEEDS, f"{path} is not there, but {home.feeds} holds files and {home.portraits} portraits")
        return None
    content = read_json(path)
    if content.get("format_version") != FORMAT_VERSION:
        raise NotReadyError(f"{path}: format {content.get('format_version')}, this version reads {FORMAT_VERSION}")
    return parse_config(Manifest, content, source=str(path))


def check_whole(home: Home, manifest: Manifest) -> None:
    """Reads the footer of every file that a manifest names: a damaged one is refused before anything builds on it.

    Raises:
        StateError: Naming the first file that is missing, cut or holds another number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [part for feed in manifest.feeds.values() for part in feed.parts]
    for part in sorted((*parts, *manifest.derived.values()), key=lambda part: part.path):
        path = home.root / part.path
        try:
            rows = pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError):
            rows = -1
        if rows != part.rows:
            found = "missing" if not path.exists() else "not a whole Parquet file" if rows < 0 else f"{rows} rows"
            raise StateError(
                f"{path}: {found}; {part.rows} rows had landed",
                remedy="restore it from a backup, or land every delivery again into a new --home",
            )


def version_of(manifest: Manifest) -> str:
    """Returns the identity of everything landed: 16 hex digits."""
    return hashlib.sha256(orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def switch_manifest(home: Home, manifest: Manifest) -> None:
    """Makes a manifest the active one, in one rename."""
    write_json(manifest_path(home), orjson.loads(manifest.model_dump_json()))
    if remembered(home, FEEDS) is None:
        remember(home, FEEDS, Backend(place=OWN_FILE))


def remove_orphans(home: Home, manifest: Manifest | None) -> None:
    """Removes Parquet files that no manifest names: leftovers of a killed run, or of the generation before."""
    active = manifest.active_paths() if manifest else set()
    for folder in (home.feeds, home.personal):
        for path in folder.glob("*/*.parquet") if folder.exists() else ():
            if path.parent.name != "quarantine" and path.relative_to(home.root).as_posix() not in active:
                path.unlink()


def check_same_operator(old: Operator, new: Operator) -> None:
    """Refuses a second operator, calendar or currency in one home. Raises ConfigurationError naming the difference."""
    for name in ("name", "time_zone", "currency", "money_scale", "snapshot_on"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            raise ConfigurationError(
                f"this home holds feeds of operator.{name} '{before}', the mapping says '{after}'",
                remedy="use another --home",
            )
