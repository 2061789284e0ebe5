"""Which actions answer a customer's reasons, what stops each of them, and what each is worth.

The value of an action is `-change of P x value kept - cost - harm` in minor units of the currency, with `no_contact`
at 0. Until uplift exists every effect is the assumed one of `configs/outreach.yaml`.
"""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from features.kit.arrays import Flags
from serving.no_sale import CODE as NO_SALE
from serving.outreach.decision.candidates import Candidate, Candidates, Sources
from serving.outreach.decision.reasons import NO_CAUSE, shown_codes
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.refusals import RefusalCode
from serving.outreach.settings import ON_REQUEST, Action
from serving.scoring.reasons.book import ReasonBook

SMALLEST_REST_OF_MONTH = 3
"""A data pack is not offered with fewer days of the month left."""

REVIEW = "service_review"


Started = tuple[str, str, str]
"""What an unfinished line is about: subscription, action, channel."""
Finished = tuple[str, str]
"""What a line was about that ended with the customer after the day of the data: subscription, action."""


@dataclass(frozen=True)
class Option:
    """One action on one channel for one subscription, allowed by the policy."""

    candidate: Candidate  # whose
    person_id: str  # the person who holds the subscription
    action: str
    channel: str
    team: str  # who works it
    skill: str  # with which capacity
    triggers: tuple[str, ...]  # the reason codes that it answers, duties first
    target: str | None  # the target that the line speaks of, or None without scores
    value: int  # minor units; what the contact is worth beyond doing nothing
    tier: int  # 0 a duty, 1 another service action, 2 care and marketing
    duty: int  # place of the duty, smaller first; 0 for other tiers

    @property
    def rank(self) -> tuple[int, int, int, str, str]:
        """Returns the order of the list: duties, service, then value; ties by subscription and action."""
        return (self.tier, self.duty, -self.value, self.candidate.customer_id, self.action)


@dataclass(frozen=True)
class Decision:
    """Every allowed option, and how many subscriptions wanted an action that a code refused.

    An unfinished line whose fact holds no longer is None in `again`.
    """

    sources: Sources  # where the candidates come from
    options: tuple[Option, ...]  # unordered
    suppressed: Counter[str]  # code to subscriptions for which it stopped at least one action that was due
    without_value: int = 0  # subscriptions whose actions are all worth less than doing nothing
    again: dict[Started, Option | None] = field(default_factory=dict)  # unfinished line -> what it is today


def decide(
    candidates: Candidates,
    policy: PolicyBook,
    book: ReasonBook,
    started: Collection[Started] = (),
    finished: Collection[Finished] = (),
) -> Decision:
    """Returns what each candidate could be offered on the policy's day, and the lines of earlier days as of today."""
    chooser = Chooser(policy, book, finished)
    return replace(chooser.offer(candidates), again=chooser.again(candidates, started))


class Chooser:
    """Finds the options of every candidate on the policy's day."""

    def __init__(self, policy: PolicyBook, book: ReasonBook, finished: Collection[Finished] = ()) -> None:
        self._settings = settings = policy.settings
        self._finished = finished
        self._book = book
        self._policy = policy
        self._as_of = policy.as_of
        self._minor = int(10**policy.operator.money_scale)
        self._cache: dict[tuple[str, str], dict[str, Flags]] = {}
        self._duties = {code: place for place, code in enumerate(settings.duties)}

    def offer(self, candidates: Candidates) -> Decision:
        """Returns the options of all candidates. A person who is owed an answer gets nothing else first."""
        options: list[Option] = []
        suppressed: Counter[str] = Counter()
        without_value = 0
        for candidate in candidates.rows:
            row = self._policy.row_of.get(candidate.customer_id)
            if row is None:
                continue
            refused: set[str] = set()
            found: list[Option] = []
            worthless = False
            for name, triggers in self.due(candidate).items():
                option, codes = self._option(candidate, row, name, triggers)
                refused |= codes
                if option is not None and (option.tier == 0 or option.value > 0):
                    if self._says_nothing(option):
                        refused.add(RefusalCode.NOTHING_TO_SAY.value)
                    else:
                        found.append(option)
                elif option is not None:
                    worthless = True
            suppressed.update(refused)
            without_value += worthless and not found
            options += found
        owed = {option.person_id for option in options if option.tier == 0}
        kept = tuple(option for option in options if option.tier == 0 or option.person_id not in owed)
        return Decision(candidates.sources, kept, suppressed, without_value)

    def due(self, candidate: Candidate) -> dict[str, tuple[str, ...]]:
        """Returns the actions that answer the facts that hold, each with its reason codes, duties first.

        A duty needs no score; any other action needs the band of `bands_needed` in a target that it changes.
        """
        due: dict[str, list[str]] = {}
        for code in sorted(candidate.reasons, key=lambda code: (self._duties.get(code, len(self._duties)), code)):
            if not self._holds(code, candidate):
                continue
            for name in self._book.actions(code):
                if name in self._settings.actions and name != ON_REQUEST:
                    due.setdefault(name, []).append(code)
        if not due:
            due[REVIEW] = [NO_CAUSE]
        return {
            name: tuple(codes)
            for name, codes in due.items()
            if self._is_owed(name, codes) or self._reaches_band(candidate, self._settings.actions[name])
        }

    def _holds(self, code: str, candidate: Candidate) -> bool:
        return code in self._book.reasons and self._book.holds(code, candidate.reasons, self._as_of)

    def again(self, candidates: Candidates, started: Collection[Started]) -> dict[Started, Option | None]:
        """Returns unfinished lines as they are today; None for one whose fact or condition holds no longer.

        A line stays whatever the score is by now: only its facts are asked for. One without a candidate is left out.
        """
        by_customer = {candidate.customer_id: candidate for candidate in candidates.rows}
        found: dict[Started, Option | None] = {}
        for customer_id, name, channel in started:
            candidate, row = by_customer.get(customer_id), self._policy.row_of.get(customer_id)
            if candidate is not None and row is not None and name in self._settings.actions:
                found[customer_id, name, channel] = self._once_more(candidate, row, name, channel)
        return found

    def _once_more(self, candidate: Candidate, row: int, name: str, channel: str) -> Option | None:
        action = self._settings.actions[name]
        order = sorted(candidate.reasons, key=lambda code: (self._duties.get(code, len(self._duties)), code))
        codes = [code for code in order if self._holds(code, candidate) and name in self._book.actions(code)]
        if not codes and name == REVIEW:
            codes = [NO_CAUSE]
        if not codes or any(self._is_stopped(code, action, candidate, row) for code in action.not_when.codes):
            return None
        option = self._made(candidate, row, name, channel, tuple(codes))
        return None if self._says_nothing(option) else option

    def _says_nothing(self, option: Option) -> bool:
        """Returns whether a line would show no reason but the fallback, of which nothing may be said."""
        shown = shown_codes(option.candidate, option.triggers, option.target, self._book, self._as_of)
        return shown == [self._book.fallback]

    def _is_owed(self, name: str, codes: list[str]) -> bool:
        return self._settings.actions[name].kind == "S" and any(code in self._duties for code in codes)

    def _reaches_band(self, candidate: Candidate, action: Action) -> bool:
        if action.kind == "none":
            return False
        needed = self._settings.bands_needed[action.kind]
        return any(candidate.scores[target].band in needed for target in action.effects if target in candidate.scores)

    def _option(
        self, candidate: Candidate, row: int, name: str, triggers: tuple[str, ...]
    ) -> tuple[Option | None, set[str]]:
        action = self._settings.actions[name]
        codes = self.stops(candidate, row, name)
        if codes:
            return None, codes
        for channel in self._channels(action, candidate):
            stopped = {code for code, flags in self._refusals(action.purpose, channel).items() if flags[row]}
            if stopped:
                codes |= stopped
                continue
            return self._made(candidate, row, name, channel, triggers), set()
        return None, codes

    def stops(self, candidate: Candidate, row: int, name: str) -> set[str]:
        """Returns the codes that stop an action for a subscription on every channel: no sale, dealt with, its own."""
        action = self._settings.actions[name]
        pitched = self._refusals(action.purpose, action.channels[0]).get(NO_SALE)
        if pitched is not None and pitched[row]:  # named as itself: product fit holds back whom it stops, too
            return {NO_SALE}
        if (candidate.customer_id, name) in self._finished:
            return {RefusalCode.DEALT_WITH.value}
        codes = set(self._policy.action_codes(row, name, self._as_of)) & {*action.not_when.codes, "declined_recently"}
        return codes | {code for code in action.not_when.codes if self._is_stopped(code, action, candidate, row)}

    def _made(self, candidate: Candidate, row: int, name: str, channel: str, triggers: tuple[str, ...]) -> Option:
        action = self._settings.actions[name]
        team, skill = self._settings.route(action, channel)
        owed = self._is_owed(name, list(triggers))
        duty = min((self._duties[code] for code in triggers if code in self._duties), default=0) if owed else 0
        tier = 0 if owed else 1 if action.kind == "S" else 2
        value, target = self.value(candidate, action, channel)
        person_id = self._policy.person_of(row)
        return Option(candidate, person_id, name, channel, team, skill, triggers, target, value, tier, duty)

    def _refusals(self, purpose: str, channel: str) -> dict[str, Flags]:
        if (purpose, channel) not in self._cache:
            self._cache[purpose, channel] = self._policy.refusals(purpose, channel, self._as_of)
        return self._cache[purpose, channel]

    @staticmethod
    def _channels(action: Action, candidate: Candidate) -> list[str]:
        """Returns the action's channels, the customer's best one first; no call before what costs nobody's time."""
        best = candidate.card.get("best_channel")
        if best == "call" and action.channels[:1] != ("call",):
            return list(action.channels)
        return sorted(action.channels, key=lambda channel: channel != best)

    def _is_stopped(self, code: str, action: Action, candidate: Candidate, row: int) -> bool:
        """Returns whether a condition of one action holds (domain: "not when")."""
        if code == "open_ticket_on_topic":
            return bool(set(self._policy.table.column("open_topics")[row].as_py()) & set(action.not_when.topics))
        if code == "fit_not_proven":
            fit = candidate.fit or {}
            return fit.get("status") != "ok" or (fit.get("saving") or 0) <= 0
        if code == "month_ending":
            days = calendar.monthrange(self._as_of.year, self._as_of.month)[1]
            return days - self._as_of.day + 1 < SMALLEST_REST_OF_MONTH
        if code == "never_asked":
            return not candidate.asked_about_roaming
        if code == "poor_experience":
            poor = "network.poor_quality" in candidate.reasons
            return poor or bool(self._policy.table.column("recent_complaint")[row].as_py())
        return False

    def value(self, candidate: Candidate, action: Action, channel: str) -> tuple[int, str | None]:
        """Returns what an action is worth (minor units) and the target that it is mostly about.

        That target is in a band that the action needs, and carries most of the value.
        Example: P(churn) .20, relative change -.10, a bill of 100 yuan x margin .45 x 18 months = 810 yuan kept gives
        16.20; less 4.00 for the call and .15 x 8.00 = 1.20 of harm leaves 11.00 yuan, that is 11,000 li.
        """
        parts = {
            target: score.propensity * effect.relative * self._worth(target, candidate)
            for target, effect in action.effects.items()
            if (score := candidate.scores.get(target)) is not None
        }
        harm = max((effect.harm_share for effect in action.effects.values()), default=0.0) * float(action.harm)
        cost = float(self._settings.attempt_cost(action, channel))
        value = sum(parts[target] for target in sorted(parts)) - (cost + harm) * self._minor
        needed = () if action.kind == "none" else self._settings.bands_needed[action.kind]
        by_band = sorted(parts, key=lambda name: (candidate.scores[name].band not in needed, -parts[name], name))
        target = by_band[0] if by_band else None
        return round(value), target

    def _worth(self, target: str, candidate: Candidate) -> float:
        """Returns what one event brings in minor units; an event that costs is negative."""
        value = self._settings.value
        if target == "churn":
            if candidate.idle_days is not None and candidate.idle_days > value.active_within_days:
                return 0.0  # has left already
            bill = candidate.card.get("mean_bill")
            bill = float(bill) if bill is not None else float(value.bill_when_unknown) * self._minor
            return -bill * value.margin_share * value.months_kept
        if target == "complaint":
            return -float(value.complaint_cost) * self._minor
        if target == "dissatisfaction":
            return -float(value.dissatisfaction_cost) * self._minor
        if target == "upgrade":
            return float(value.upgrade_fee_gain) * value.margin_share * value.upgrade_months * self._minor
        own = self._settings.targets.get(target)
        return float(own.worth) * self._minor if own else 0.0
