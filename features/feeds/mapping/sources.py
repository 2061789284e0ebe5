"""A source mapping: one YAML file that says how an operator's files become feeds.

    operator:   who, which time zone, which currency
    files:      each glob of CSV or Parquet files becomes one view (CSV: every column is text)
    feeds:      one SELECT per feed over those views, and how its rows became known
    attributes: the operator's own columns, declared by name, kind and meaning

Every view also has `_file` and `_row` (row 1 is the first row below the header). A SELECT that names them (or `*`)
gets its bad rows reported by file and row; one that aggregates gets them reported by key.
The guide for a new operator is `configs/sources/README.md`.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from features.feeds.contracts import FEEDS
from features.feeds.costs import taken_names
from features.feeds.mapping.expectations import Expectations
from features.feeds.mapping.layout import Database, File, Table
from features.feeds.schema import Column, Feed, Kind
from features.feeds.units import MONEY_UNITS, UNITS
from features.kit.config import Config, load_yaml, parse_config
from features.kit.errors import ConfigurationError
from features.kit.language import Locale
from features.kit.terminal.spelling import did_you_mean

COMMON_COLUMNS = ("event_id", "customer_id", "event_at", "known_at", "superseded_at", "arrived_at")
"""The columns of every landed feed besides the contract's own."""
_LANDING_READS = ("delivered_at", "number", "ordered_at", "valid_from")
"""Names that mean something in a SELECT whatever the feed."""


UNDECIDED = "TODO"
"""The word that `insight map` writes where only a person can decide; a mapping that still holds it is refused."""

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def is_free_name(name: str) -> bool:
    """Tells whether an attribute may have a name, as far as landing is concerned."""
    reserved = (*COMMON_COLUMNS, *_LANDING_READS)
    return bool(_IDENTIFIER.fullmatch(name)) and not keyword.iskeyword(name) and name not in reserved


def parse_duration(text: str) -> timedelta:
    """Returns an ISO 8601 duration of weeks, days and clock time. Example: `P5D` is five days, `PT2H` two hours.

    Raises:
        ValueError: If it is no such duration, or uses months or years, whose length is not fixed.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text.rstrip("T") == "P":
        raise ValueError(f"'{text}' is not a duration such as P5D or PT2H (months and years have no fixed length)")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


class Currency(Config):
    """The currency: its ISO 4217 code, and the decimals of the landed integer (CNY 3 means li, 1/1000 yuan)."""

    code: str = Field(pattern="^[A-Z]{3}$")
    scale: int = Field(ge=0, le=6)


class OperatorBlock(Config):
    """Who delivers, on which calendar, in which money."""

    name: str = Field(min_length=1)
    time_zone: str = "Asia/Shanghai"
    currency: Currency = Currency(code="CNY", scale=3)
    locale: Locale | None = None
    country: str = Field(default="", pattern="^([A-Z]{2})?$")

    @property
    def has_holidays(self) -> bool:
        """Tells whether the public holidays of the declared country are known."""
        import holidays

        return self.country in holidays.list_supported_countries()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones() - {"localtime"}:
            raise ValueError(f"'{value}' is not a time zone of the IANA database, such as Asia/Shanghai")
        return value


class Attribute(Config):
    """A column of the operator that no feed has; its English snake_case name becomes the feature's name."""

    name: str
    kind: Literal["number", "category"]
    description: str = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _identifier(cls, value: str) -> str:
        if not is_free_name(value):
            raise ValueError(f"'{value}' is not a free English snake_case name")
        return value


class FeedMapping(Config):
    """How one feed arises; `configs/sources/README.md` says what each key means.

    With `replace: period` a delivery of a day or month (calendar month for single events) replaces it entirely.
    """

    select: str = Field(min_length=1)
    known_after: str | None = None
    at: str | None = None
    keyed_by: Literal["customer", "number"] = "customer"
    replace: Literal["none", "period"] = "none"
    units: dict[str, str] = Field(default_factory=dict)
    max_quarantine_share: float = Field(default=0.01, ge=0, le=1)

    @field_validator("known_after")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @field_validator("at", mode="before")
    @classmethod
    def _clock_time(cls, value: object) -> object:
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value)):
            raise ValueError('write the time of day in quotes, as "06:00"')
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.at is not None and self.known_after is None:
            raise ValueError("'at' needs 'known_after'")
        return self

    @property
    def delay(self) -> timedelta | None:
        """Returns the delivery lag, if one is declared."""
        return None if self.known_after is None else parse_duration(self.known_after)

    @property
    def clock_time(self) -> time | None:
        """Returns the local time of day at which the lag ends, if one is declared."""
        return None if self.at is None else time.fromisoformat(self.at)


class Source(Config):
    """A whole source mapping; `configs/sources/README.md` says what each key means."""

    operator: OperatorBlock
    snapshot_at: datetime | None = None
    delivered_from: date | None = None
    delivered_until: date | None = None
    file_defaults: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, File] = Field(default_factory=dict)
    database: Database | None = None
    tables: dict[str, Table] = Field(default_factory=dict)
    feeds: dict[str, FeedMapping] = Field(min_length=1)
    lacks: dict[str, str] = Field(default_factory=dict)
    attributes: tuple[Attribute, ...] = ()
    deliveries: Expectations = Expectations()

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        defaults, files = (content.get(name) for name in ("file_defaults", "files"))
        if isinstance(defaults, dict) and isinstance(files, dict):
            filled = {name: defaults | file if isinstance(file, dict) else file for name, file in files.items()}
            return content | {"files": filled}
        return content

    @field_validator("files", "tables")
    @classmethod
    def _view_names(cls, value: dict[str, File]) -> dict[str, File]:
        for name in value:
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"'{name}' is not a view name (lower-case letters, digits, underscores)")
        return value

    @model_validator(mode="after")
    def _has_views(self) -> Self:
        if not self.views:
            raise ValueError("files: there is none, and no table; the feeds need at least one view")
        both = sorted(set(self.files) & set(self.tables))
        if both:
            raise ValueError(f"tables.{both[0]}: 'files' has a view of that name")
        if bool(self.tables) != (self.database is not None):
            raise ValueError("'tables' needs 'database', which names the environment variable with the address")
        for name, mapping in self.feeds.items():
            parted = self.read_in_parts(mapping)
            if parted and mapping.replace == "period":
                raise ValueError(
                    f"feeds.{name}: 'replace: period' needs whole periods; '{parted[0]}' brings only rows beyond its "
                    "watermark; drop one of the two"
                )
        return self

    def read_in_parts(self, mapping: FeedMapping) -> list[str]:
        """Returns the tables of a feed of which a load brings only the rows beyond the watermark."""
        views = self.views_in(mapping.select)
        return [view for view in views if view in self.tables and self.tables[view].watermark]

    @property
    def views(self) -> dict[str, File]:
        """Returns every view by name: files, then tables."""
        return self.files | self.tables

    def views_in(self, select: str) -> list[str]:
        """Returns the views that a SELECT names."""
        words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", select))
        return [name for name in self.views if name in words]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.lacks:
            self.contract(name)
        for name, mapping in self.feeds.items():
            feed = self.contract(name)
            for column, unit in mapping.units.items():
                _check_unit(feed, column, unit)
            if mapping.replace == "period" and FEEDS[name].has_own_rows:
                raise ValueError(f"feeds.{name}: 'replace: period' would remove the rows that this system adds itself")
            if mapping.keyed_by == "number" and (feed.reference or feed.personal):
                raise ValueError(f"feeds.{name}: 'keyed_by: number' needs a feed of events of one customer")
        if "customers" not in self.feeds:
            raise ValueError("feeds: 'customers' is missing; it is the one feed that every source must have")
        if any(mapping.keyed_by == "number" for mapping in self.feeds.values()) and "numbers" not in self.feeds:
            raise ValueError("feeds: 'numbers' is missing; a feed with 'keyed_by: number' needs it")
        if ("attributes" in self.feeds) != bool(self.attributes):
            raise ValueError("'attributes' needs both the list of declared columns and a SELECT under 'feeds'")
        if self.snapshot_at is not None and self.snapshot_at.tzinfo is not None:
            raise ValueError("snapshot_at: write the operator's local time, without an offset")
        return self

    @field_validator("attributes")
    @classmethod
    def _distinct(cls, value: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
        names = [attribute.name for attribute in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"'{twice}' is declared twice; give one of them another name")
        return value

    @model_validator(mode="after")
    def _expects_what_is_mapped(self) -> Self:
        for name in self.deliveries.feeds:
            if name not in self.feeds:
                raise ValueError(f"deliveries.feeds.{name}: the mapping has no such feed")
        return self

    def contract(self, name: str) -> Feed:
        """Returns the contract of a feed, with the declared columns for `attributes`. Raises ValueError if unknown."""
        if name not in FEEDS:
            raise ValueError(f"feeds.{name}: there is no such feed{did_you_mean(name, FEEDS)}")
        return attributes_contract(self.attributes) if name == "attributes" else FEEDS[name]

    @property
    def zone(self) -> ZoneInfo:
        """Returns the operator's time zone."""
        return ZoneInfo(self.operator.time_zone)


def attributes_contract(attributes: tuple[Attribute, ...]) -> Feed:
    """Returns the contract of the feed `attributes` with its declared columns."""
    base = FEEDS["attributes"]
    kinds = {"number": Kind.NUMBER, "category": Kind.CATEGORY}
    columns = tuple(Column(attribute.name, kinds[attribute.kind]) for attribute in attributes)
    return replace(base, columns=columns)


def load_source(path: Path) -> Source:
    """Returns the mapping in a YAML file. Raises ConfigurationError naming the file and the key."""
    content = load_yaml(path)
    open_points = undecided(content)
    if open_points:
        more = f" (and {len(open_points) - 1} more)" if len(open_points) > 1 else ""
        raise ConfigurationError(
            f"{path}: '{open_points[0]}' still says {UNDECIDED}{more}",
            remedy=f"decide it; see the comments marked {UNDECIDED}",
        )
    source = parse_config(Source, content, source=str(path))
    taken = taken_names() if source.attributes else frozenset()
    for place, attribute in enumerate(source.attributes):
        if attribute.name in taken:
            raise ConfigurationError(
                f"{path}: attributes.{place}.name: the portrait has a feature or column '{attribute.name}' of its own",
                remedy=f"give it another name, as 'own_{attribute.name}', there and in feeds.attributes.select",
            )
    return source


def undecided(content: Any, key: str = "") -> list[str]:
    """Returns the keys whose values `insight map` left to a person, in the order of the file."""
    if isinstance(content, str):
        return [key] if re.search(rf"\b{UNDECIDED}\b", content) else []
    if isinstance(content, dict):
        inside = [(f"{key}.{name}" if key else str(name), value) for name, value in content.items()]
        return [found for name, value in inside if name != "attributes" for found in undecided(value, name)]
    return []


def _check_unit(feed: Feed, column: str, unit: str) -> None:
    known = feed.by_name.get(column)
    if known is None:
        raise ValueError(f"feeds.{feed.name}.units: there is no column '{column}'")
    fits = unit in MONEY_UNITS if known.kind is Kind.MONEY else UNITS.get(unit, ("", 0))[0] == known.unit
    if not fits:
        target = "money" if known.kind is Kind.MONEY else known.unit or "a plain number"
        raise ValueError(f"feeds.{feed.name}.units.{column}: '{unit}' does not convert to {target}")
