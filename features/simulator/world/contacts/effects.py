"""How much an operator's contacts do in the simulated field: nothing, as in the field, or as in the best trials.

`field` keeps retention and upgrade effects small, as in most telecom field trials; care by cause acts on complaints.
`strong` has retention effects of the size of the best published trials (churn falls by 25-35 % on average, 15 % of
customers are harmed). In `none` no contact changes anything, though all are made and logged. The ranges are asserted;
nothing is tuned to a learner.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.kit.errors import ConfigurationError


@dataclass(frozen=True)
class EffectSize:
    """One level.

    Attributes:
        name: As `--effects` takes it.
        churn: Factor on what a care contact adds to or takes from the hazard of leaving.
        upgrade: The same for orders of a dearer plan.
        answer: Factor on the share of a shock's remaining complaints that an answer takes away.
        annoyance: Factor on the complaints that needless and too many contacts cause.
        deepest: What a contact can take away at most, in shares of the base hazard of leaving on purpose.
        lasting: Factor on the base hazard of leaving: what contacts act on most.
        drift: Factor on how often customers drift away whatever is done.
    """

    name: str
    churn: float
    upgrade: float
    answer: float
    annoyance: float
    deepest: float = 0.85
    lasting: float = 1.0
    drift: float = 1.0


LEVELS = {
    level.name: level
    for level in (
        EffectSize("none", churn=0.0, upgrade=0.0, answer=0.0, annoyance=0.0),
        EffectSize("field", churn=1.0, upgrade=1.0, answer=1.0, annoyance=1.0),
        EffectSize("strong", churn=6.0, upgrade=2.5, answer=1.6, annoyance=1.5, deepest=2.2, lasting=3.0, drift=0.3),
    )
}
FIELD = LEVELS["field"]


def level_of(name: str) -> EffectSize:
    """Returns a level by its name. Raises ConfigurationError naming the known ones."""
    if name not in LEVELS:
        raise ConfigurationError(f"--effects {name}: unknown", remedy=f"one of {', '.join(LEVELS)}")
    return LEVELS[name]
