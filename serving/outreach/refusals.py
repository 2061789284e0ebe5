"""Every code that stops a contact, an action or a line: what it means in both languages, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self, get_args

from features.kit.language import Text

Channel = Literal["call", "message", "app", "hall"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
_NUMBER: tuple[Channel, ...] = ("call", "message")


@dataclass(frozen=True)
class Effect:
    """How far a refusal reaches.

    It stops a `purpose` that names it in `configs/outreach.yaml`; `always`, named or not; one `action` whose `not_when`
    names it; or one `line` of a list.
    """

    stops: Literal["purpose", "always", "action", "line"] = "purpose"
    channels: tuple[Channel, ...] = CHANNELS
    passes: bool = False  # whether time alone lifts it
    own_line: bool = False  # a line's own claim and conversation cause it: no stop for its next attempt
    feed: str | None = None  # the feed without which it can never arise, however true it is


_PLAIN, _ACTION, _LINE = Effect(), Effect("action"), Effect("line")


class RefusalCode(StrEnum):
    """Why not, as a stable code."""

    text: Text
    effect: Effect

    def __new__(cls, code: str, zh: str, en: str, effect: Effect = _PLAIN) -> Self:
        """Returns the code with its meaning and its effect."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = Text(zh=zh, en=en)
        member.effect = effect
        return member

    TERMINATED = "terminated", "已销户", "the subscription has ended", Effect(feed="terminations")
    DECEASED = "deceased", "机主已故", "the holder died or a bereavement was reported", Effect(feed="persons")
    WRONG_PERSON = (
        "wrong_person", "号码使用人不符", "an agent met somebody else on this number; nobody calls until it is checked",
        Effect(channels=_NUMBER),
    )  # fmt: skip
    NUMBER_INVALID = (
        "number_invalid", "空号或停机", "the number does not exist or is off; other channels only",
        Effect(channels=_NUMBER),
    )  # fmt: skip
    UNREACHED = (
        "unreached", "多次未接通", "three attempts without an answer; no further call for some days",
        Effect(channels=("call",), passes=True),
    )  # fmt: skip
    CLAIMED = (
        "claimed", "已在其他名单", "another list holds the person in this contact window",
        Effect(passes=True, own_line=True),
    )  # fmt: skip
    CONSENT_MISSING = (
        "consent_missing", "无授权记录", "no consent for this purpose and channel on record", Effect("always"),
    )  # fmt: skip
    CONSENT_WITHDRAWN = (
        "consent_withdrawn", "已撤回授权", "the newest answer for this purpose and channel is no",
        Effect("always", feed="consents"),
    )  # fmt: skip
    PERSONALISATION_DECLINED = (
        "personalisation_declined", "拒绝个性化营销", "personalised marketing was declined", Effect(feed="consents"),
    )  # fmt: skip
    DO_NOT_CONTACT = (
        "do_not_contact", "要求不再联系", "asked never to be contacted again, on any number", Effect(feed="consents"),
    )  # fmt: skip
    PORTING = "porting", "携转办理中", "porting applied for or port code issued", Effect(feed="port_requests")
    SUSPENDED = "suspended", "已停机", "suspended, whatever the reason"
    OPEN_COMPLAINT = "open_complaint", "投诉未结", "a complaint or appeal is open", Effect(feed="tickets")
    OPEN_TICKET = "open_ticket", "工单未结", "a ticket that an agent opened is not closed yet"
    MINOR = "minor", "未成年", "under age"
    NO_SALE_TODAY = (
        "no_sale_today", "近期投诉、反复来电或咨询过离网，不推销",
        "no pitch: a complaint, repeated calls or a question about leaving lately",
        Effect(feed="tickets"),
    )  # fmt: skip
    NUMBER_UNVERIFIED = (
        "number_unverified", "未实名核验", "the number's owner is not verified", Effect(feed="numbers"),
    )  # fmt: skip
    NUMBER_REISSUED = (
        "number_reissued", "二次放号", "the number belonged to somebody else before", Effect(feed="numbers"),
    )  # fmt: skip
    NOT_A_CONSUMER = "not_a_consumer", "非个人客户", "corporate, test or machine card"
    FESTIVAL = "festival", "节假日", "a festival day", Effect(passes=True)
    QUIET_HOURS = "quiet_hours", "免打扰时段", "quiet hours of the province", Effect("always", passes=True)
    CAP_REACHED = (
        "cap_reached", "已达联系上限", "enough contacts of this person in the window",
        Effect(passes=True, own_line=True, feed="contacts"),
    )  # fmt: skip
    COOL_DOWN = (
        "cool_down", "联系冷却期", "the person rests after a contact",
        Effect(passes=True, own_line=True, feed="contacts"),
    )  # fmt: skip
    CONTROL_GROUP = "control_group", "对照组", "withheld from marketing and discretionary care"
    TOLD_RECENTLY = "told_recently", "近期已告知", "the same action was taken for this person recently", _ACTION
    DECLINED_RECENTLY = (
        "declined_recently", "近期已拒绝", "the person declined this action recently", Effect("always"),
    )  # fmt: skip
    DEALT_WITH = (
        "dealt_with", "已办结，等待新数据", "a line about it was closed with the customer after the day of the data",
        Effect("always"),
    )  # fmt: skip
    OPEN_TICKET_ON_TOPIC = "open_ticket_on_topic", "同类工单未结", "a ticket on the same topic is open", _ACTION
    FIT_NOT_PROVEN = "fit_not_proven", "套餐适配未证实", "no plan is proven to save this customer money", _ACTION
    MONTH_ENDING = "month_ending", "临近月末", "too few days of the month are left", _ACTION
    NEVER_ASKED = "never_asked", "未曾咨询", "the customer has not asked about it", _ACTION
    POOR_EXPERIENCE = "poor_experience", "近期体验不佳", "poor network or a complaint lately", _ACTION
    CHANGED_HANDS = "changed_hands", "已过户", "another person holds the subscription by now", _LINE
    NO_LONGER_TRUE = "no_longer_true", "情况已变", "the fact behind the line does not hold any more", _LINE
    NOTHING_TO_SAY = (
        "nothing_to_say", "无可说的原因", "a score is raised, but no single cause is known to speak of", _LINE,
    )  # fmt: skip
    WINDOW_PASSED = "window_passed", "已过有效期", "the line's last day is over", _LINE


REFUSALS: dict[str, RefusalCode] = {code.value: code for code in RefusalCode}
PASSING = frozenset(code for code, refusal in REFUSALS.items() if refusal.effect.passes)
OWN_LINE = frozenset(code for code, refusal in REFUSALS.items() if refusal.effect.own_line)


def codes_that(stops: Literal["purpose", "always", "action", "line"]) -> list[str]:
    """Returns the codes that stop one kind of thing."""
    return [code for code, refusal in REFUSALS.items() if refusal.effect.stops == stops]


def stops_on(code: str, channel: str) -> bool:
    """Returns whether a code stops a channel."""
    return channel in REFUSALS[code].effect.channels
