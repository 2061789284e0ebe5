"""Every disposition an agent may report: its words, what it needs, and what it does to the line and the person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from features.kit.language import Locale, Text
from serving.outreach.refusals import RefusalCode


@dataclass(frozen=True)
class Forbids:
    """What a disposition forbids from then on."""

    code: RefusalCode
    rest: str = ""  # the setting of `claim` with the days it lasts; empty means until it is lifted
    only_action: bool = False
    only_line: bool = False  # only this subscription; otherwise everything of the person
    until_closed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a disposition does: then the line is closed, waits for an appointment, or has used up an attempt."""

    then: Literal["closed", "appointment", "attempt"] = "closed"
    needs: str | None = None  # the column that it cannot do without
    is_contact: bool = True  # whether the person was reached, so that it counts in the caps
    on_closed_line: bool = False  # it counts even on a line that is closed: what a customer said is never too late
    forbids: Forbids | None = None
    follows: str = ""  # what may have closed the line before: a gateway reports `delivered` after `sent`
    only_sent: bool = False  # whether it fits messages and app lines alone, which go out without a talk


SENT_CHANNELS = frozenset({"message", "app"})
"""Channels on which something is sent and nobody talks."""
_ATTEMPT = Outcome("attempt", needs="attempted_at", is_contact=False)


class Disposition(StrEnum):
    """What came of an attempt, in the order of the drop-down."""

    text: Text
    explanation: Text
    outcome: Outcome

    def __new__(cls, code: str, text: tuple[str, str], explanation: tuple[str, str], outcome: Outcome) -> Self:
        """Returns the disposition with its words (Chinese, English) and what it does."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.text, member.explanation = (Text(zh=zh, en=en) for zh, en in (text, explanation))
        member.outcome = outcome
        return member

    SOLVED = (
        "solved", ("已解决", "solved"), ("结案；30天内不再打扰", "closed; rests 30 days"),
        Outcome(forbids=Forbids(RefusalCode.COOL_DOWN, rest="solved_rest_days")),
    )  # fmt: skip
    ACCEPTED = (
        "accepted", ("同意办理", "accepted"), ("必填订单号；结案", "order reference needed; closed"),
        Outcome(needs="order_reference"),
    )  # fmt: skip
    THINKING = (
        "thinking", ("考虑中", "thinking"),
        ("必填回拨时间；届时再联系一次", "call-back time needed; one more attempt then"),
        Outcome("appointment", needs="next_at"),
    )  # fmt: skip
    DECLINED = (
        "declined", ("拒绝本次", "declined"),
        ("结案；该动作180天内不再推荐", "closed; this action not again for 180 days"),
        Outcome(forbids=Forbids(RefusalCode.DECLINED_RECENTLY, rest="declined_rest_days", only_action=True)),
    )  # fmt: skip
    CALLBACK = (
        "callback", ("约定回拨", "callback"),
        ("必填回拨时间；同一坐席再次联系", "call-back time needed; same line, same agent"),
        Outcome("appointment", needs="next_at"),
    )  # fmt: skip
    NO_ANSWER = (
        "no_answer", ("无人接听", "no answer"),
        ("记一次尝试，不算联系；3天内最多3次，换时段", "an attempt, not a contact; up to 3 in 3 days, other hours"),
        _ATTEMPT,
    )  # fmt: skip
    BUSY_OR_OFF = (
        "busy_or_off", ("占线关机", "busy or off"),
        ("记一次尝试，不算联系；3天内最多3次，换时段", "an attempt, not a contact; up to 3 in 3 days, other hours"),
        _ATTEMPT,
    )  # fmt: skip
    WRONG_PERSON = (
        "wrong_person", ("非机主或已换机主", "wrong person"),
        ("号码标记未核验；核验前不再外呼", "number marked unverified; no calls until checked"),
        Outcome(is_contact=False, on_closed_line=True, forbids=Forbids(RefusalCode.WRONG_PERSON, only_line=True)),
    )  # fmt: skip
    INVALID_NUMBER = (
        "invalid_number", ("空号停机", "invalid number"), ("只用其他渠道", "other channel only"),
        Outcome(is_contact=False, forbids=Forbids(RefusalCode.NUMBER_INVALID, only_line=True)),
    )  # fmt: skip
    TICKET_OPENED = (
        "ticket_opened", ("已转工单", "ticket opened"),
        ("必填工单号；结单前停止营销", "ticket number needed; no sales until it is closed"),
        Outcome(needs="ticket_id", forbids=Forbids(RefusalCode.OPEN_TICKET, until_closed=True)),
    )  # fmt: skip
    NEVER_AGAIN = (
        "never_again", ("要求不再联系", "never again"),
        ("立即停止对本人全部号码的营销", "no marketing at once, on all numbers of the person"),
        Outcome(on_closed_line=True, forbids=Forbids(RefusalCode.DO_NOT_CONTACT)),
    )  # fmt: skip
    COMPLAINED = (
        "complained", ("当场投诉", "complained"),
        ("生成投诉工单；计为本次联系的损害", "becomes a complaint ticket; counts as harm"),
        Outcome(on_closed_line=True, forbids=Forbids(RefusalCode.OPEN_COMPLAINT, until_closed=True)),
    )  # fmt: skip
    SENT = (
        "sent", ("已发送", "sent"), ("结案；计为一次联系", "closed; counts as a contact"), Outcome(only_sent=True),
    )  # fmt: skip
    DELIVERED = (
        "delivered", ("已送达", "delivered"), ("结案；计为一次联系", "closed; counts as a contact"),
        Outcome(only_sent=True, follows="sent"),
    )  # fmt: skip
    FAILED = (
        "failed", ("发送失败", "failed"),
        ("记一次尝试，不算联系；3天内最多3次", "an attempt, not a contact; up to 3 in 3 days"),
        Outcome("attempt", needs="attempted_at", is_contact=False, only_sent=True),
    )  # fmt: skip

    def fits(self, channel: str) -> bool:
        """Returns whether an attempt on a channel can end so: only a message is delivered, only a call unanswered."""
        if channel in SENT_CHANNELS:
            return self.outcome.only_sent or self.value not in TALKED
        return not (self.outcome.only_sent or (channel == "hall" and self.value in CALLED))

    def choice(self, locale: Locale) -> str:
        """Returns the disposition as the drop-down shows it: the code, in Chinese with its words."""
        return f"{self.value} {self.text.zh}" if locale == "zh" else self.value


TALKED = frozenset({"thinking", "callback", "no_answer", "busy_or_off"})
"""Ends of a talk or a call, which no message can have."""
CALLED = frozenset({"callback", "no_answer", "busy_or_off", "invalid_number"})
"""Ends of a call, which no visit to a hall can have."""
UNREACHED = Forbids(RefusalCode.UNREACHED, rest="unreached_rest_days")
"""What the last attempt without an answer forbids."""
DISPOSITIONS: dict[str, Disposition] = {disposition.value: disposition for disposition in Disposition}
REACHED_NOBODY = tuple(code for code, disposition in DISPOSITIONS.items() if not disposition.outcome.is_contact)
"""Dispositions that are no contact."""
FINISHED = tuple(
    code
    for code, disposition in DISPOSITIONS.items()
    if disposition.outcome.then == "closed" and disposition.outcome.is_contact
)
"""Dispositions after which the customer has heard what the line was about."""


def disposition_text(code: str, locale: Locale) -> str:
    """Returns a disposition in words; an outcome of another system's as it is, in English without underscores."""
    if code in DISPOSITIONS:
        return DISPOSITIONS[code].text.get(locale)
    return code if locale == "zh" else code.replace("_", " ")
