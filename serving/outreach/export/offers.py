"""The offer of a line by name: the plan, its fee, the worst month, what is lost; of a renewal, the plan it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import orjson

from features.kit.language import LOCALES, Locale, Text
from serving.outreach.decision.actions import Option
from serving.outreach.export.wording import PHRASES, phrase
from serving.product_fit.offers.wording import lost_text
from serving.scoring.reasons.writing import ReasonWriter, speakable


@dataclass(frozen=True)
class LineOffer:
    """What a line offers, as data and as slots of its sentences."""

    data: dict[str, Any] | None  # plain values for programs; None if the line offers nothing by name
    slots: dict[str, Text | str]  # `offer` and `lost` or `plan` for the customer's ear, `terms` for the agent's eye


def offer_of(option: Option, writer: ReasonWriter) -> LineOffer:
    """Returns the offer of a line; texts that name nothing where product fit or the plan is not known."""
    if option.action == "plan_fit_offer":
        return _fit_offer(option.candidate.fit or {}, writer)
    if option.action == "contract_renewal":
        return _renewal(option.candidate.card, option.candidate.fit or {})
    return LineOffer(None, {})


def _fit_offer(fit: dict[str, Any], writer: ReasonWriter) -> LineOffer:
    offers = orjson.loads(fit.get("offers") or "[]")
    mine = (fit.get("best_plan_id"), fit.get("saving"))
    offer = next((one for one in offers if (one["plan_id"], one["saving"]) == mine and "lost" in one), None)
    if offer is None:  # a fit of an older version names no worst month
        return LineOffer(None, {"offer": PHRASES["no_offer"], "terms": PHRASES["no_terms"], "lost": ""})
    now = {name: fit.get(name) for name in ("current_plan_id", "current_cost", "current_worst_month_cost")}
    less = {locale: lost_text(offer["lost"], locale, partial(writer.money, locale=locale)) for locale in LOCALES}
    pitch = {locale: _pitch(offer, writer, locale, heard=True) for locale in LOCALES}
    terms = {locale: _terms(offer, now, less[locale], writer, locale) for locale in LOCALES}
    but = {locale: phrase("but_less", locale, less=less[locale]) for locale in LOCALES}
    lost = Text(**but) if less["zh"] else ""
    return LineOffer(offer | now, {"offer": Text(**pitch), "terms": Text(**terms), "lost": lost})


def _pitch(offer: dict[str, Any], writer: ReasonWriter, locale: Locale, *, heard: bool) -> str:
    """Returns the offer with its fee. Example: 改用“4G飞享59”（月费59.00元）."""
    fee = writer.money(offer["monthly_fee"], locale)
    plan = writer.name("plan", offer["name_zh"] or offer["plan_id"], offer["name_en"], locale, heard=heard)
    pack = ""
    if offer["pack_id"]:
        pack = writer.name("pack", offer["pack_zh"] or offer["pack_id"], offer["pack_en"], locale, heard=heard)
    what = phrase("keep_plan" if offer["kind"] == "pack" else "change_plan", locale, plan=plan)
    return phrase("with_pack" if pack else "for_fee", locale, what=what, pack=pack, fee=fee)


def _terms(offer: dict[str, Any], now: dict[str, Any], less: str, writer: ReasonWriter, locale: Locale) -> str:
    """Returns everything that the agent must know of the offer."""
    say, money = partial(phrase, locale=locale), partial(writer.money, locale=locale)
    fee, months = offer["early_exit_fee"], offer["contract_months"]
    worst, worst_now = money(offer["worst_month_cost"]), money(now["current_worst_month_cost"] or 0)
    parts = [
        _pitch(offer, writer, locale, heard=False),
        say("worst_month", worst=worst, now=worst_now),
        say("less" if less else "nothing_less", less=less),
        say("exit_fee", fee=money(fee)) if fee else "",
        say("contract", months=months) if months else "",
        say("starts_on", day=writer.day(date.fromisoformat(offer["effective_on"]), locale)),
    ]
    return say("semicolon").join(part for part in parts if part)


def _renewal(card: dict[str, Any], fit: dict[str, Any]) -> LineOffer:
    own, english = card.get("plan_zh") or card.get("plan_id"), card.get("plan_en")
    if not (own or english):
        return LineOffer(None, {"plan": ""})
    fee = fit.get("current_fee") if fit.get("current_plan_id") == card.get("plan_id") else None
    data = {
        "plan_id": card.get("plan_id"),
        "name_zh": card.get("plan_zh"),
        "name_en": english,
        "monthly_fee": fee,
    }
    known = speakable(english, own)
    return LineOffer(
        data, {"plan": Text.model_construct(zh=f"“{own or english}”", en=f" for {known}" if known else "")}
    )
