"""Which reasons a line shows."""

from __future__ import annotations

from serving.outreach.decision.candidates import Candidate, TargetScore
from serving.outreach.decision.reasons import shown_codes
from serving.scoring.reasons.book import load_book
from tests.world import AS_OF


def test_a_reason_that_the_configuration_has_dropped_stops_no_list():
    """Stored scores that name an unknown code show the fallback: the code is passed over, the list comes out."""
    score = TargetScore(0.1, 99.0, 5.0, "high", ("dropped.since", "mixed.no_single_cause"))
    candidate = Candidate("1", "steady", reasons={"dropped.since": {}}, card={}, scores={"churn": score})
    assert shown_codes(candidate, (), "churn", load_book(), AS_OF) == ["mixed.no_single_cause"]
