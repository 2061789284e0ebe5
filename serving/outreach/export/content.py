"""The content of one line as the ledger keeps it: everything the agent reads but the name and the number."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any

from features.feeds.landed.steady import on_current_feeds
from features.kit.home import Home
from features.kit.language import LOCALES, Locale, Text
from serving.outreach.decision.actions import Option
from serving.outreach.decision.catalogue import Pack, pack_on_sale
from serving.outreach.decision.reasons import shown_codes, strongest
from serving.outreach.export.offers import offer_of
from serving.outreach.export.wording import Wording, phrase
from serving.outreach.policy.calendar import best_open_hours
from serving.outreach.policy.policy import PolicyBook
from serving.product_fit.settings import minor
from serving.scoring.reasons.book import ReasonBook

Content = dict[str, Any]


def content_writer(home: Home, policy: PolicyBook, book: ReasonBook) -> ContentWriter:
    """Returns the writer of a day's lines. Raises NotReadyError if the feeds are gone."""
    pack = on_current_feeds(home, lambda feeds: pack_on_sale(feeds, policy.as_of))
    return ContentWriter(policy, book, pack)


class ContentWriter:
    """Writes the content of the chosen options."""

    def __init__(self, policy: PolicyBook, book: ReasonBook, pack: Pack | None = None) -> None:
        self._settings = policy.settings
        self._book = book
        self._wording = Wording(policy.settings, book, policy.operator)
        self._policy = policy
        self._pack = pack

    def write(self, option: Option, valid_until: date) -> Content:
        """Returns one line's content: plain values, sentences in both languages, no name and no number."""
        candidate, card = option.candidate, option.candidate.card
        action = self._settings.actions[option.action]
        spoken = strongest(candidate, option.target)
        codes = shown_codes(candidate, option.triggers, option.target, self._book, self._policy.as_of)
        reasons = [self._reason(code, candidate.reasons, action.kind) for code in codes]
        offer = offer_of(option, self._wording.writer)
        refund = None if action.refund_limit is None else minor(action.refund_limit, self._policy.operator.money_scale)
        grant = {"refund": refund, **offer.slots}
        values = self._values(option) | offer.slots
        score = None
        if spoken is not None:
            target, of_target = spoken
            score = {
                "target": target,
                "band": of_target.band,
                "percentile": of_target.percentile,
                "times_base": of_target.times_base,
            }
        return {
            "class": candidate.primary_class,
            "card": {name: card.get(name) for name in _CARD},
            "score": score,
            "reasons": reasons,
            "opening": self._wording.opening(
                action, option.channel, values, candidate.reasons, triggers=option.triggers, day=self._policy.as_of
            ),
            "offer": offer.data,
            "authority": {
                locale: self._wording.writer.fill(action.authority.get(locale), grant, locale) for locale in LOCALES
            },
            "may_grant": {
                locale: self._wording.writer.fill(action.may_grant.get(locale), grant, locale) for locale in LOCALES
            },
            "must_not_say": {locale: self._must_not_say(option, codes, locale) for locale in LOCALES},
            "hours": [[_clock(start), _clock(end)] for start, end in self._hours(option)],
            "valid_until": valid_until.isoformat(),
            "value": option.value,
            "tier": option.tier,
            "assumed": True,
        }

    def _reason(self, code: str, facts: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
        names = self._settings.actions
        written = {locale: self._wording.writer.write(code, facts, locale, self._policy.as_of) for locale in LOCALES}
        sells = any(self._settings.actions[name].kind == "M" for name in self._book.actions(code) if name in names)
        if sells and kind in ("S", "D"):  # service actions carry no offer, and this sentence leads to one
            written = {locale: replace(reason, say=None) for locale, reason in written.items()}
        return {
            "code": code,
            "about": {locale: reason.about for locale, reason in written.items()},
            "say": None if written["zh"].say is None else {locale: reason.say for locale, reason in written.items()},
        }

    def _values(self, option: Option) -> dict[str, Any]:
        """Returns the slot values of what the action offers."""
        fit = option.candidate.fit
        if option.action == "plan_fit_offer" and fit is not None:
            return {"n": fit.get("months"), "saving": fit.get("saving")}
        if option.action == "data_pack_offer" and self._pack is not None:
            pack, writer = self._pack, self._wording.writer
            names = {lang: writer.name("pack", pack.own, pack.english, lang, heard=True) for lang in LOCALES}
            return {"pack": Text(**names), "price": pack.price}
        return {}

    def _must_not_say(self, option: Option, codes: list[str], locale: Locale) -> str:
        action = self._settings.actions[option.action]
        parts = [action.must_not_say.get(locale)]
        silent = [
            str(k + 1) for k, code in enumerate(codes) if code != self._book.fallback and self._is_silent(code, option)
        ]
        if silent:
            unsaid = "reasons_unsaid" if len(silent) > 1 else "reason_unsaid"
            parts.append(phrase(unsaid, locale, places=phrase("and", locale).join(silent)))
        parts.append(self._settings.never_say.get(locale))
        return phrase("semicolon", locale).join(part for part in parts if part)

    def _is_silent(self, code: str, option: Option) -> bool:
        return self._wording.writer.write(code, option.candidate.reasons, "zh", self._policy.as_of).say is None

    def _hours(self, option: Option) -> list[tuple[time, time]]:
        quiet = self._settings.policy.quiet_hours
        best = option.candidate.card.get("best_hours") or ()
        return best_open_hours(quiet, self._policy.province_of(option.candidate.customer_id), best)


_CARD = (
    "plan_id", "plan_zh", "plan_en", "months_with_us", "vip_tier", "province", "city", "arrears", "arrears_due",
    "open_tickets", "best_channel", "last_contact",
)  # fmt: skip


def _clock(at: time) -> str:
    return "24:00" if at == time(0) else at.strftime("%H:%M")
