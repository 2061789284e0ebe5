"""What `configs/outreach.yaml` may say: the contact policy, the actions, the teams and the value of an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from features.kit.config import Config, check_known, config_path, merged_config
from features.kit.errors import ConfigurationError
from features.kit.language import Locale, Text
from serving.outreach.refusals import Channel, codes_that
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.sentences import Openings, Sentence, slots_of

Band = Literal["very_high", "high", "raised", "normal"]
Purpose = Literal["service", "care", "retention", "marketing"]
ActionKind = Literal["S", "D", "M", "none"]
NO_CONTACT = "no_contact"
ON_REQUEST = "plan_fit_on_request"
"""`plan_fit_offer` that waits until the customer asks: no action of a list."""
WORTH = frozenset({"churn", "complaint", "dissatisfaction", "upgrade"})
"""Targets whose event has a value in `value`."""
OFFER_SLOTS: dict[str, frozenset[str]] = {
    "plan_fit_offer": frozenset({"n", "saving", "offer", "lost", "terms"}),
    "data_pack_offer": frozenset({"pack", "price"}),
    "contract_renewal": frozenset({"plan"}),
}
"""What the texts of an action may say of its offer, besides the facts of the reason that they speak of."""


class PurposeRule(Config):
    """What stops a contact of one purpose."""

    consent: Literal["none", "not_withdrawn", "explicit"]
    consent_purpose: str = ""
    refusals: tuple[str, ...]


class Cap(Config):
    """At most so many contacts of one person in so many days."""

    days: int = Field(gt=0)
    contacts: int = Field(gt=0)


class QuietHours(Config):
    """Local hours without contacts, `[start, end)`, by default and per province."""

    default: tuple[tuple[time, time], ...]
    provinces: dict[str, tuple[tuple[time, time], ...]] = Field(default_factory=dict)


class HolidayWindow(Config):
    """Days around a named festival that count as the festival."""

    name: str
    days_before: int = Field(ge=0)
    days_after: int = Field(ge=0)


class Holidays(Config):
    """Whose statutory days, and which further days."""

    country: str
    by_time_zone: dict[str, str] = Field(default_factory=dict)
    windows: tuple[HolidayWindow, ...] = ()
    also: tuple[date, ...] = ()


class PolicySettings(Config):
    """The numbers of the contact policy."""

    adult_age: int
    port_request_days: int
    reissued_days: int
    caps: tuple[Cap, ...]
    cool_down_days: int
    complaint_quiet_days: int
    general_yes_lifts_channel_no: bool = False
    quiet_hours: QuietHours
    holidays: Holidays


class ControlSettings(Config):
    """The share of persons withheld, and the salt that draws them."""

    share: float = Field(ge=0, lt=1)
    salt: str


class ClaimSettings(Config):
    """How long a person is reserved, which attempts count, and how long they rest afterwards (days).

    `new_share` of a team's attempts are kept for new lines, so that carried ones do not starve them.
    """

    days: int = Field(gt=0)
    attempts: int = Field(gt=0)
    new_share: float = Field(default=0.3, ge=0, le=1)
    attempt_gap_hours: int = Field(ge=0)
    unreached_rest_days: int
    solved_rest_days: int
    declined_rest_days: int


class Capacity(Config):
    """Attempts that one team can make in a day with one skill; `shared` if a total asked for is shared with it."""

    team: str
    skill: str
    attempts: int = Field(ge=0)
    shared: bool = True


class ChannelSettings(Text):
    """What an attempt on a channel costs, and which team sends it if not the action's own.

    Actions of kind S take the attempts of `service_skill`, so that no offer uses up what the operator owes.
    """

    cost: Decimal
    team: str = ""
    skill: str = ""
    service_skill: str = ""


class ValueSettings(Config):
    """What an event is worth (currency units)."""

    active_within_days: int = Field(gt=0)
    margin_share: float
    months_kept: int
    bill_when_unknown: Decimal
    complaint_cost: Decimal
    dissatisfaction_cost: Decimal
    upgrade_fee_gain: Decimal
    upgrade_months: int


class Effect(Config):
    """The relative change of P(event) that an action makes, its interval and the share of customers it harms."""

    relative: float
    low: float
    high: float
    harm_share: float = Field(ge=0, le=1)
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> Effect:
        if not self.low <= self.relative <= self.high:
            raise ValueError("the effect must lie inside its interval")
        return self


class NotWhen(Text):
    """The codes that stop this one action, and how the agent reads them."""

    codes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


_NO_TEXT = Text.model_construct(zh="", en="")


class Action(Text):
    """One action that the operator may take."""

    kind: ActionKind
    purpose: Purpose = "service"
    channels: tuple[Channel, ...] = ()
    team: str = ""
    skill: str = ""
    not_again_days: int = 0
    refund_limit: Decimal | None = None
    authority: Text = _NO_TEXT
    may_grant: Text = _NO_TEXT
    must_not_say: Text = _NO_TEXT
    opening: Openings = ()
    message: Openings = ()
    not_when: NotWhen = NotWhen.model_construct(zh="", en="")
    call_cost: Decimal | None = None
    harm: Decimal = Decimal(0)
    effects: dict[str, Effect] = Field(default_factory=dict)


class OwnTarget(Text):
    """How a target of the operator's own reaches a list; the text is what a line calls it."""

    worth: Decimal  # what one event brings (+) or costs (-), currency units
    actions: tuple[str, ...] = Field(min_length=1)  # the actions that change it; their purpose is that of the contact
    effect: Effect  # by how much each of them does


class MessageFrame(Config):
    """How a marketing message begins and ends."""

    signature: str
    refuse: str


class OutreachSettings(Config):
    """The whole of `configs/outreach.yaml`."""

    format_version: Literal[1]
    purposes: dict[Purpose, PurposeRule]
    policy: PolicySettings
    control: ControlSettings
    claim: ClaimSettings
    capacity: tuple[Capacity, ...]
    channels: dict[Channel, ChannelSettings]
    teams: dict[str, Text]
    bands_needed: dict[Literal["S", "D", "M"], tuple[Band, ...]]
    duties: tuple[str, ...]
    value: ValueSettings
    never_say: Text
    message_frame: dict[Locale, MessageFrame]
    actions: dict[str, Action]
    targets: dict[str, OwnTarget] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _teams_exist(self) -> OutreachSettings:
        wanted = {(a.team, a.skill) for a in self.actions.values() if {"call", "hall"} & set(a.channels)}
        wanted |= {
            (c.team, skill) for c in self.channels.values() if c.team for skill in {c.skill, c.service_skill or c.skill}
        }
        missing = sorted(wanted - {(c.team, c.skill) for c in self.capacity})
        if missing:
            raise ValueError(f"no capacity is given for team and skill {missing[0]}")
        if NO_CONTACT not in self.actions:
            raise ValueError("the action 'no_contact' is missing")
        return self

    @model_validator(mode="after")
    def _words_are_known(self) -> OutreachSettings:
        for purpose, rule in self.purposes.items():
            check_known(f"purposes.{purpose}.refusals", rule.refusals, codes_that("purpose"))
        for name, action in self.actions.items():
            check_known(f"actions.{name}.not_when.codes", action.not_when.codes, codes_that("action"))
            check_known(f"actions.{name}.effects", action.effects, WORTH)
        for target, own in self.targets.items():
            check_known(f"targets.{target}.actions", own.actions, self.actions)
            if target in WORTH:
                raise ValueError(f"targets.{target}: its worth stands in `value`, its effects under `actions`")
            silent = next((name for name in own.actions if self.actions[name].kind == "none"), None)
            if silent:
                raise ValueError(f"targets.{target}.actions: '{silent}' contacts nobody")
        return self

    def with_own_targets(self) -> OutreachSettings:
        """Returns the settings in which each action changes the operator's own targets that name it, too."""
        actions = {
            name: action.model_copy(
                update={
                    "effects": action.effects
                    | {target: own.effect for target, own in self.targets.items() if name in own.actions}
                }
            )
            for name, action in self.actions.items()
        }
        return self.model_copy(update={"actions": actions})

    def unanswered(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Returns the targets that no action changes: whatever their score is, it brings nobody onto a list."""
        answered = {target for action in self.actions.values() for target in action.effects}
        return tuple(sorted(set(targets) - answered))

    @property
    def longest_cap_days(self) -> int:
        """Returns how far back contacts count."""
        rests = (self.claim.declined_rest_days, self.policy.cool_down_days)
        return max(*(cap.days for cap in self.policy.caps), *rests)

    def for_operator(self, time_zone: str, declared: str = "") -> OutreachSettings:
        """Returns the settings with the festivals of the operator's own country: declared, else of its time zone."""
        holidays = self.policy.holidays
        country = declared or holidays.by_time_zone.get(time_zone, holidays.country)
        if country == holidays.country:
            return self
        policy = self.policy.model_copy(update={"holidays": holidays.model_copy(update={"country": country})})
        return self.model_copy(update={"policy": policy})

    def route(self, action: Action, channel: str) -> tuple[str, str]:
        """Returns the team and the skill that work an action on a channel."""
        settings = self.channels[channel]  # type: ignore[index]
        if not settings.team:
            return action.team, action.skill
        is_service = action.kind == "S" and settings.service_skill
        return settings.team, settings.service_skill if is_service else settings.skill

    def attempt_cost(self, action: Action, channel: str) -> Decimal:
        """Returns the cost of one attempt in currency units."""
        if channel == "call" and action.call_cost is not None:
            return action.call_cost
        return self.channels[channel].cost  # type: ignore[index]


def entry_for(target: str) -> str:
    """Returns the entry that brings a target onto lists, as one types it; its figures are an example."""
    return (
        f"targets: {{{target}: {{zh: {target}, en: {target}, worth: -100, actions: [service_review], "
        "effect: {relative: -0.10, low: -0.15, high: 0.02, harm_share: 0.15, source: assumed}}}"
    )


def load_settings() -> OutreachSettings:
    """Returns the outreach configuration, one's own entries added.

    Raises:
        ConfigurationError: Naming the file and the key.
    """
    paths = (config_path("outreach.yaml"), config_path("reasons.yaml"))
    return _load(*((path, path.stat().st_mtime_ns if path.exists() else 0) for path in paths))


@lru_cache(maxsize=4)
def _load(*files: tuple[Path, int]) -> OutreachSettings:
    path = files[0][0]
    settings, book = merged_config(OutreachSettings, "outreach.yaml"), load_book()
    try:
        check_known("duties", settings.duties, book.reasons)
        for name, action in settings.actions.items():
            check_known(f"actions.{name}.not_when.topics", action.not_when.topics, book.topics)
        for code, reason in book.reasons.items():
            check_known(f"reasons.yaml: reasons.{code}.actions", reason.actions, {*settings.actions, ON_REQUEST})
        slots = book.fact_slots()
        for name, action in settings.actions.items():
            _check_texts(name, action, book, slots)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return settings.with_own_targets()


def _check_texts(name: str, action: Action, book: ReasonBook, slots: Mapping[str, frozenset[str]]) -> None:
    """Refuses a text whose facts cannot be known, and an action to open without a word.

    Raises:
        ValueError: Naming the action, the text and what it lacks.
    """
    of_offer = OFFER_SLOTS.get(name, frozenset())
    for key, sentences in (("opening", action.opening), ("message", action.message)):
        if (sentences or (key == "opening" and action.kind != "none")) and not _is_plain(sentences[-1:]):
            raise ValueError(f"actions.{name}.{key}: the last sentence must speak of no reason and need nothing")
        for place, sentence in enumerate(sentences, start=1):
            where = f"actions.{name}.{key}.{place}"
            if sentence.of:
                check_known(f"{where}.of", [sentence.of], [one for one in book.reasons if name in book.actions(one)])
                spoken = book.reasons[sentence.of]
                if not (spoken.say or spoken.say_if_asked):
                    raise ValueError(f"{where}.of: nothing of '{sentence.of}' is ever said")
            book.check(where, sentence, slots.get(sentence.of, frozenset()) | of_offer)
    grants = [("authority", action.authority), ("may_grant", action.may_grant)]
    for key, text in grants:
        if text.zh:
            book.check(f"actions.{name}.{key}", Sentence(zh=text.zh, en=text.en), of_offer | {"refund"})


def _is_plain(last: Openings) -> bool:
    return (
        bool(last) and not last[0].of and not last[0].needs and not any(slots_of(t) for t in (last[0].zh, last[0].en))
    )
