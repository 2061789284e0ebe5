"""The frozen difficulty of the simulated field: daily hazards are a deterministic part plus a kernel after each shock.

    hazard(t) = base(state) + sum over shocks at s <= t of size x kernel[t - s]

Shocks of daily kinds are Poisson with an intensity that depends on lasting, visible traits; shocks of monthly kinds
are drawn once a month with a known chance. So P(event in a window | state at D) has a closed form (`closed_form.py`).
All rates are per 30 days unless said otherwise. Every number here is part of the field's difficulty: do not tune it
to a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from features.kit.arrays import Floats

TARGETS = ("churn", "complaint", "upgrade", "dissatisfaction")
HORIZON = 30

CALL_FACTORS = (1.0, 0.8, 3.0)
"""A shock's size times this: no call about it, a call that solved it, a call that did not ("unresolved x 3")."""
UNRESOLVED_SHARE = 0.3


def _shape(values: list[float]) -> Floats:
    array = np.array(values, dtype=np.float64)
    return np.asarray(array / array.sum())


def _service(delay: int = 0) -> Floats:
    """Returns the kernel of a bad experience: about 14 days, peak on days 1-3."""
    return _shape([0.0] * delay + [2, 14, 16, 14, 11, 9, 8, 6, 5, 5, 4, 3, 2, 1])


def _ramp(quiet: int, rise: int, flat: int, fall: int) -> Floats:
    return _shape(
        [0.0] * quiet
        + [(d + 1) / (rise + 1) for d in range(rise)]
        + [1.0] * flat
        + [(fall - d) / (fall + 1) for d in range(fall)]
    )


@dataclass(frozen=True)
class Effect:
    """What one shock adds to a hazard: `size` in all, spread over the days after it by `kernel` (sums to 1)."""

    size: float
    kernel: Floats

    @property
    def sums(self) -> Floats:
        """Returns the kernel's partial sums, 0 .. length."""
        return np.concatenate([[0.0], np.cumsum(self.kernel)])


@dataclass(frozen=True)
class ShockKind:
    """A kind of thing that happens to a customer."""

    name: str
    timing: str | int  # `daily`, or the day of the month on which it may happen (0 is the 1st)
    call_share: float = 0.0  # chance that the customer calls about it
    effects: dict[str, Effect] = field(default_factory=dict)  # what it does to the hazard of each target

    @property
    def mark_shares(self) -> tuple[float, float, float]:
        """Returns the chances of no call, a call that solves, a call that does not."""
        return (1 - self.call_share, self.call_share * (1 - UNRESOLVED_SHARE), self.call_share * UNRESOLVED_SHARE)


BILL_DAY, DUE_DAY, CAMPAIGN_DAY, BINGE_DAY = 2, 20, 8, 11

KINDS: tuple[ShockKind, ...] = (
    ShockKind("drift", "daily", 0.0, {"churn": Effect(0.42, _ramp(24, 8, 38, 8))}),
    ShockKind(
        "spell", "daily", 0.15,
        {
            "complaint": Effect(0.028, _service()), "churn": Effect(0.006, _ramp(2, 6, 20, 15)),
            "dissatisfaction": Effect(0.010, _ramp(0, 2, 20, 15)),
        },
    ),
    ShockKind("fault", "daily", 0.05, {"complaint": Effect(0.005, _service())}),
    ShockKind(
        "broadband", "daily", 0.30,
        {"complaint": Effect(0.035, _service()), "churn": Effect(0.004, _ramp(2, 6, 20, 15))},
    ),
    ShockKind("charge", BILL_DAY, 0.25, {"complaint": Effect(0.024, _service())}),
    ShockKind(
        "binge", BINGE_DAY, 0.10,
        {
            "complaint": Effect(0.016, _service(20)), "churn": Effect(0.008, _ramp(21, 4, 20, 15)),
            "upgrade": Effect(0.020, _ramp(4, 6, 30, 20)),
        },
    ),
    ShockKind("trip", "daily", 0.06, {"complaint": Effect(0.012, _service(12))}),
    ShockKind(
        "enquiry", "daily", 1.0,
        {"complaint": Effect(0.012, _service()), "dissatisfaction": Effect(0.008, _service())},
    ),
    ShockKind(
        "late", DUE_DAY, 0.08,
        {"churn": Effect(0.125, _ramp(1, 3, 12, 14)), "complaint": Effect(0.006, _service())},
    ),
    ShockKind("device", "daily", 0.0, {"upgrade": Effect(0.11, _ramp(3, 10, 50, 60))}),
    ShockKind("jump", "daily", 0.0, {"upgrade": Effect(0.06, _ramp(5, 12, 50, 40))}),
)  # fmt: skip
KIND_OF = {kind.name: kind for kind in KINDS}
KIND_NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}

COMPLAINT_ON_COMPLAINT = Effect(0.17, _shape([float(np.exp(-d / 35)) for d in range(2, 92)]))
COMPLAINT_ON_CHURN = Effect(0.05, _ramp(1, 4, 25, 20))
CONTACT_KERNEL = _ramp(0, 2, 30, 28)


@dataclass(frozen=True)
class Answer:
    """Which action answers a kind of shock, and what it takes of the complaints that the shock still has in store.

    Attributes:
        action: The action.
        kind: The kind of shock.
        channels: How it is made; the arms of a trial are nobody and these.
        shows_after: Days until the operator can see the shock (over-use shows on the bill).
        call_share: Share that a call at once takes away, before the customer's own liking.
        message_share: The same of a message or a note in the app.
        lasting_days: Days after which an answer is worth 1/e of one at once.
    """

    action: str
    kind: str
    channels: tuple[str, ...]
    shows_after: int
    call_share: float
    message_share: float
    lasting_days: float = 7.0

    @property
    def arm_shares(self) -> tuple[float, ...]:
        """Returns the chances of the arms of a trial: nobody, then each channel."""
        return (UNTREATED_SHARE, *((1 - UNTREATED_SHARE) / len(self.channels) for _ in self.channels))


ANSWERS = (
    Answer("bill_explanation", "binge", ("call", "app"), 21, 0.50, 0.28),
    Answer("charge_check", "charge", ("call", "message"), 0, 0.60, 0.35),
    Answer("network_callback", "spell", ("call",), 0, 0.50, 0.0),
    Answer("outage_notice", "fault", ("message",), 0, 0.0, 0.40),
    Answer("arrears_reminder", "late", ("call", "message"), 0, 0.35, 0.25),
)
ANSWER_TO = {answer.action: answer for answer in ANSWERS}
DRAWN_SHARE, UNTREATED_SHARE = 0.3, 0.4
"""Share of the shocks that a trial draws, and of those drawn for whom nothing is done."""
DELAYS = (1, 3, 8)
"""Days from when a shock shows to the contact, drawn evenly."""
NO_ANSWER, NO_CALL = 10**6, -1
ANNOYED_BY_CALL, ANNOYED_BY_MESSAGE = 0.0008, 0.0002
"""Complaints that one contact about nothing causes in all."""
ENOUGH_CONTACTS, ENOUGH_DAYS, TIRED = 2, 60, 0.004
"""A contact beyond so many within so many days adds so many complaints, and is worth WORN_OFF of a fresh one."""
WORN_OFF = 0.7
NEEDLESS_SHARE = 0.03
"""Share of the base that a month's campaign about nothing draws."""
NEEDLESS_DAY = 17

RENEWAL_SHARE = 0.6
CONTRACT_END_RATE = 0.030
"""Extra churn per 30 days in the month after an unrenewed contract's end; a third before it, 0.3 of it later on."""
CONTRACT_UPGRADE_RATE = 0.012
"""Extra upgrades per 30 days from 45 days before a contract's end to 15 days after it."""
BROADBAND_RATE, CHARGE_RATE, FAULT_RATE = 0.04, 0.012, 0.06
SURVEY_RATE = 0.035
