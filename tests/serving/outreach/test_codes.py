"""Refusals and dispositions stand in one table each; whatever speaks of a code speaks of one in the table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from features.feeds.contracts import FEEDS
from serving.outreach.dispositions import DISPOSITIONS
from serving.outreach.feedback.returns import Report
from serving.outreach.refusals import CHANNELS, REFUSALS
from serving.outreach.settings import ClaimSettings, Purpose, load_settings

PAGE = Path(__file__).parents[3] / "serving" / "outreach" / "policy" / "README.md"


def test_the_page_of_codes_is_the_table():
    """The README of the policy holds one row for each refusal, in order, with both languages."""
    rows = [f"| `{code}` | {refusal.text.zh} | {refusal.text.en} |" for code, refusal in REFUSALS.items()]
    assert [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.count("|") == 4 and "`" in line
    ] == rows


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_names_only_what_exists(code):
    """Its feed is a feed of the contract and its channels are channels."""
    effect = REFUSALS[code].effect
    assert effect.feed is None or effect.feed in FEEDS
    assert set(effect.channels) <= set(CHANNELS)


@pytest.mark.parametrize("code", DISPOSITIONS)
def test_a_disposition_names_only_what_exists(code):
    """What it needs is a field of a report, and its rest is a setting of the claim."""
    outcome = DISPOSITIONS[code].outcome
    assert outcome.needs is None or outcome.needs in Report.__annotations__
    assert outcome.forbids is None or outcome.forbids.rest in {"", *ClaimSettings.model_fields}


def test_every_code_that_a_purpose_may_heed_is_heeded_by_one():
    """No row of the table is dead: the shipped policy names each in a purpose, or an action names it."""
    settings = load_settings()
    named = {code for purpose in get_args(Purpose) for code in settings.purposes[purpose].refusals}
    named |= {code for action in settings.actions.values() for code in action.not_when.codes}
    assert {code for code, refusal in REFUSALS.items() if refusal.effect.stops in ("purpose", "action")} == named
