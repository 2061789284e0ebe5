"""Who may be contacted: every code by a one-line case, and each guard turned off as its canary."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest

from features.kit.errors import DataError
from serving.outreach.policy.ledger_facts import LedgerFacts, Refusal
from serving.outreach.policy.policy import Verdict
from serving.outreach.policy.states import read_states
from serving.outreach.refusals import PASSING
from serving.outreach.settings import OutreachSettings
from tests.serving.outreach.conftest import policy_of, states_of
from tests.world import AS_OF, Town

MAY = "2026-05-20 10:00:00"

# customer -> what is special about it; the code that must refuse marketing by call on 2026-06-01
CASES: dict[str, tuple[str, str]] = {
    "C0001": ("nothing", ""),
    "C0002": ("never asked for consent", "consent_missing"),
    "C0003": ("withdrew marketing by call", "consent_withdrawn"),
    "C0004": ("declined personalisation", "personalisation_declined"),
    "C0005": ("withdrew even service contacts", "do_not_contact"),
    "C0006": ("applied for porting", "porting"),
    "C0007": ("got a port code", "porting"),
    "C0008": ("only asked about porting", "no_sale_today"),
    "C0009": ("suspended by authority", "suspended"),
    "C0010": ("open complaint", "open_complaint"),
    "C0011": ("complaint closed twelve days ago", "no_sale_today"),
    "C0012": ("seventeen or eighteen", "minor"),
    "C0013": ("holder died", "deceased"),
    "C0014": ("number not verified", "number_unverified"),
    "C0015": ("number of somebody else before", "number_reissued"),
    "C0016": ("corporate card", "not_a_consumer"),
    "C0017": ("machine card", "not_a_consumer"),
    "C0018": ("left", "terminated"),
    "C0019": ("called twice in 30 days", "cap_reached"),
    "C0020": ("called a week ago", "cool_down"),
    "C0021": ("called a week ago, nobody answered", ""),
    "C0022": ("reminded of a bill a week ago", ""),
    "C0023": ("another line of a person with an open complaint", "open_complaint"),
    "C0024": ("wrong person met in May", "wrong_person"),
    "C0025": ("withdrew tomorrow", ""),
    "C0026": ("withdrew on all channels, then granted calls", ""),
    "C0027": ("told an agent never again", "do_not_contact"),
    "C0028": ("applied for porting two years ago", ""),
    "C0029": ("in the control arm of a campaign", ""),
}


def make_town(root) -> Town:
    """Returns the town of the cases."""
    town = Town(root)
    special: dict[str, dict[str, Any]] = {"C0009": {"status": "suspended_authority"}, "C0012": {"birth_year": 2008}, "C0016": {"kind": "corporate"},
               "C0017": {"kind": "machine"}, "C0023": {"person": "P0010"}}  # fmt: skip
    for one in CASES:
        town.customer(one, consents=one != "C0002", **special.get(one, {}))
    town.consent("C0003", "marketing", channel="call", granted=False, at=MAY)
    town.consent("C0004", "personalisation", granted=False, at=MAY)
    town.consent("C0005", "service", granted=False, at=MAY)
    for one, step, when in (("C0006", "application", MAY), ("C0007", "code", MAY), ("C0008", "enquiry", MAY),
                            ("C0028", "application", "2024-05-20 10:00:00")):  # fmt: skip
        town.add("port_requests", customer_id=one, step=step, event_at=when)
    for one, status in (("C0010", "open"), ("C0011", "open"), ("C0011", "closed")):
        when = "2026-05-22 10:00:00" if status == "closed" else MAY
        when = "2026-04-20 10:00:00" if one == "C0010" else when  # open for longer than no sale lasts
        town.add("tickets", customer_id=one, ticket_id=f"T{one}", kind="complaint", topic="network", status=status,
                 event_at=when)  # fmt: skip
    town.rows["persons"][list(CASES).index("C0013")]["is_deceased"] = True
    town.rows["numbers"][list(CASES).index("C0014")]["is_verified"] = False
    town.add("numbers", customer_id="C0001", number="13900000015", valid_from="2023-01-01 00:00:00",
             valid_until="2024-06-01 00:00:00", is_verified=True, event_at="2023-01-01 00:00:00")  # fmt: skip
    town.rows["numbers"][list(CASES).index("C0015")]["valid_from"] = "2026-01-01 00:00:00"
    town.add("terminations", customer_id="C0018", reason="cancel", voluntary=True, event_at=MAY)
    contacts = [
        ("K1", "C0019", "service_review", "2026-05-05 10:00:00", "treated"),
        ("K2", "C0019", "service_review", "2026-05-10 10:00:00", "treated"),
        ("K3", "C0020", "plan_fit_offer", "2026-05-25 10:00:00", "treated"),
        ("K4", "C0021", "plan_fit_offer", "2026-05-25 10:00:00", "treated"),
        ("K5", "C0022", "arrears_reminder", "2026-05-25 10:00:00", "treated"),
        ("K6", "C0024", "service_review", MAY, "treated"),
        ("K7", "C0027", "service_review", "2026-02-20 10:00:00", "treated"),
        ("K8", "C0029", "service_review", "2026-05-25 10:00:00", "control"),
    ]
    for contact_id, one, action, when, arm in contacts:
        town.add("contacts", customer_id=one, contact_id=contact_id, action=action, channel="call", arm=arm,
                 event_at=when)  # fmt: skip
    for contact_id, one, outcome, when in (
        ("K4", "C0021", "no_answer", "2026-05-25 10:05:00"),
        ("K6", "C0024", "wrong_person", MAY),
        ("K7", "C0027", "never_again", "2026-02-20 10:05:00"),
    ):
        town.add("outcomes", customer_id=one, contact_id=contact_id, outcome=outcome, event_at=when)
    town.consent("C0025", "marketing", granted=False, at="2026-06-01 09:00:00")
    town.consent("C0026", "marketing", granted=False, at="2026-03-01 09:00:00")
    town.consent("C0026", "marketing", channel="call", at="2026-04-01 09:00:00")
    return town


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    """Lands the town of the cases once and reads its states."""
    return states_of(make_town(tmp_path_factory.mktemp("policy")).land())


def verdict(book, one: str, purpose: str = "marketing", channel: str = "call", on: date = AS_OF, **more) -> Verdict:
    """Returns one customer's verdict."""
    return book.verdicts([one], purpose, channel, on, **more)[0]


def test_a_number_is_held_since_the_operators_day(feeds):
    """A validity from 00:00 on 1 January in Shanghai begins that day, not on 31 December, where UTC still is."""
    since = {row["customer_id"]: row["number_since"] for row in feeds.states.to_pylist()}
    assert since["C0015"] == date(2026, 1, 1)


@pytest.mark.parametrize("one", CASES)
def test_each_case_gives_its_code_and_no_other(feeds, settings, one):
    """A marketing call on 1 June is refused for exactly the reason in the table."""
    expected = CASES[one][1]
    codes = verdict(policy_of(feeds, settings), one).codes
    assert codes == ((expected,) if expected else ())


@pytest.mark.parametrize("one", [one for one, case in CASES.items() if case[1]])
def test_a_guard_turned_off_lets_the_contact_pass(feeds, settings: OutreachSettings, one):
    """Canary: without its own code in the policy nothing else refuses the case."""
    code = CASES[one][1]
    rule = settings.purposes["marketing"]
    change: dict[str, Any] = {"refusals": tuple(name for name in rule.refusals if name != code)}
    if code.startswith("consent"):
        change["consent"] = "none"
    weaker = settings.model_copy(update={"purposes": settings.purposes | {"marketing": rule.model_copy(update=change)}})
    assert verdict(policy_of(feeds, weaker), one).ok


def test_a_service_notice_reaches_whom_marketing_may_not(feeds, settings):
    """An open complaint, a port request, a cap or a missing consent stops no service notice; death and departure do."""
    book = policy_of(feeds, settings)
    stopped = {one for one in CASES if not verdict(book, one, "service", "message").ok}
    assert stopped == {"C0013", "C0018", "C0024"}


def test_care_needs_no_consent_but_heeds_a_withdrawal(feeds, settings):
    """Discretionary care may reach somebody who was never asked; retention as a campaign may not."""
    book = policy_of(feeds, settings)
    assert verdict(book, "C0002", "care").codes == ()
    assert verdict(book, "C0002", "retention").codes == ("consent_missing",)


def test_only_time_in_the_way_gives_the_next_date(feeds, settings):
    """Called on 25 May with 14 days of rest: 8 June; two calls on 5 and 10 May, at most 2 in 30 days: 4 June."""
    book = policy_of(feeds, settings)
    assert verdict(book, "C0020").next_on == date(2026, 6, 8)
    assert verdict(book, "C0019").next_on == date(2026, 6, 4)
    assert verdict(book, "C0019", on=date(2026, 6, 4)).ok
    assert verdict(book, "C0010").next_on is None


def test_festivals_stop_marketing_until_the_next_working_day(feeds, settings):
    """The Dragon Boat Festival of 2026 is Friday 19 June with its weekend; service notices go out."""
    book = policy_of(feeds, settings)
    refused = verdict(book, "C0001", on=date(2026, 6, 19))
    assert (refused.codes, refused.next_on) == (("festival",), date(2026, 6, 22))
    assert verdict(book, "C0001", "service", on=date(2026, 6, 20)).ok


@pytest.mark.parametrize(("at", "quiet"), [("08:59", True), ("09:00", False), ("12:30", True), ("14:00", False), ("21:00", True)])  # fmt: skip
def test_quiet_hours_hold_for_every_purpose(feeds, settings, at, quiet):
    """21-9 and 12-14 are quiet, half-open."""
    book = policy_of(feeds, settings)
    found = verdict(book, "C0001", "service", at=time.fromisoformat(at)).codes
    assert found == (("quiet_hours",) if quiet else ())


@pytest.mark.parametrize(("at", "next_on"), [("08:00", AS_OF), ("12:30", AS_OF), ("21:00", date(2026, 6, 2))])
def test_quiet_hours_end_on_the_same_day_or_the_next(feeds, settings, at, next_on):
    """Before nine and at noon the day still has open hours; after nine in the evening it has none."""
    refused = verdict(policy_of(feeds, settings), "C0001", "service", at=time.fromisoformat(at))
    assert (refused.next_on, refused.hours) == (next_on, ("09:00-12:00", "14:00-21:00"))


def test_what_no_feed_can_tell_is_said(tmp_path, settings):
    """With consents alone nobody can check porting, complaints or earlier contacts; with every feed all is checked."""
    for name in ("bare", "full"):
        (tmp_path / name).mkdir()
    bare = Town(tmp_path / "bare")
    bare.customer("C0001")
    book = policy_of(states_of(bare.land()), settings)
    assert {"porting", "open_complaint", "cool_down"} <= set(book.not_evaluable("retention", "call"))
    assert "consent_withdrawn" not in book.not_evaluable("retention", "call")
    (tmp_path / "silent").mkdir()
    silent = Town(tmp_path / "silent")
    silent.customer("C0001", consents=False)
    unasked = policy_of(states_of(silent.land()), settings)
    assert {"consent_withdrawn", "do_not_contact"} <= set(unasked.not_evaluable("care", "call"))
    full = policy_of(states_of(make_town(tmp_path / "full").land()), settings)
    assert full.not_evaluable("marketing", "call") == ()


def test_the_control_group_is_withheld_from_marketing_and_care_only(feeds, settings):
    """With everybody drawn, marketing and care are refused and a service notice is not; the flag is always told."""
    everybody = settings.model_copy(update={"control": settings.control.model_copy(update={"share": 0.999999})})
    book = policy_of(feeds, everybody)
    assert verdict(book, "C0001").codes == ("control_group",)
    assert verdict(book, "C0001", "care").codes == ("control_group",)
    assert verdict(book, "C0001", "service") == Verdict(
        ok=True, codes=(), next_on=None, control_group=True, hours=("09:00-12:00", "14:00-21:00")
    )


LEDGER_CASES = [
    (Refusal("do_not_contact", "P0001", None, None, None, AS_OF, None), "do_not_contact"),
    (Refusal("wrong_person", "P0001", "C0001", None, None, AS_OF, None), "wrong_person"),
    (Refusal("number_invalid", "P0001", "C0001", None, None, AS_OF, None), "number_invalid"),
    (Refusal("cool_down", "P0001", None, None, None, AS_OF, date(2026, 7, 1)), "cool_down"),
    (Refusal("unreached", "P0001", None, None, None, AS_OF, date(2026, 6, 8)), "unreached"),
    (Refusal("open_ticket", "P0001", None, None, "T1", AS_OF, None), "open_ticket"),
    (Refusal("open_complaint", "P0001", None, None, "T1", AS_OF, None), "open_complaint"),
]


@pytest.mark.parametrize(("refusal", "code"), LEDGER_CASES)
def test_the_ledger_refuses_at_once(feeds, settings, refusal, code):
    """What an agent reported this morning binds without waiting for the feeds."""
    assert verdict(policy_of(feeds, settings, LedgerFacts(refusals=(refusal,))), "C0001").codes == (code,)


def test_a_ticket_of_an_agent_ends_with_its_ticket(feeds, settings):
    """The refusal names ticket TC0011, which the feeds know as closed."""
    refusal = Refusal("open_ticket", "P0011", None, None, "TC0011", AS_OF, None)
    assert verdict(policy_of(feeds, settings, LedgerFacts(refusals=(refusal,))), "C0011").codes == ("no_sale_today",)


def test_never_again_binds_every_number_of_the_person(feeds, settings):
    """C0010 and C0023 belong to one person; a service notice is still possible."""
    refusal = Refusal("do_not_contact", "P0010", None, None, None, AS_OF, None)
    book = policy_of(feeds, settings, LedgerFacts(refusals=(refusal,)))
    assert "do_not_contact" in verdict(book, "C0010").codes
    assert "do_not_contact" in verdict(book, "C0023").codes
    assert verdict(book, "C0023", "service").ok


def test_contacts_in_ledger_and_feeds_count_once(feeds, settings):
    """K3 landed and still in the ledger is one contact; another one makes two, and the cap is reached."""
    known = ("P0020", "K3", "plan_fit_offer", date(2026, 5, 25))
    new = ("P0020", "K9", "plan_fit_offer", date(2026, 5, 26))
    assert verdict(policy_of(feeds, settings, LedgerFacts(contacts=(known,))), "C0020").codes == ("cool_down",)
    both = policy_of(feeds, settings, LedgerFacts(contacts=(known, new)))
    assert verdict(both, "C0020").codes == ("cap_reached", "cool_down")


def test_unknown_words_are_told(feeds, settings):
    """A purpose or channel that does not exist is an error, an unknown customer is None."""
    book = policy_of(feeds, settings)
    assert book.verdicts(["C9999", "C0001"], "marketing", "call", AS_OF)[0] is None
    with pytest.raises(DataError, match="unknown purpose 'sales'"):
        verdict(book, "C0001", "sales")
    with pytest.raises(DataError, match="unknown channel 'fax'"):
        verdict(book, "C0001", channel="fax")


def test_a_handed_on_number_and_a_handed_on_subscription_start_clean(tmp_path, settings):
    """The new owner of a re-issued number, and of a subscription, has nothing of the old one's opt-out or calls."""
    town = Town(tmp_path)
    town.customer("C0001")
    town.customer("C0002")
    old, new = town.rows["numbers"]
    old["valid_until"] = "2026-02-01 00:00:00"
    new |= {"number": old["number"], "valid_from": "2026-05-02 00:00:00"}
    town.consent("C0001", "marketing", granted=False, at="2026-01-10 10:00:00")
    town.customer("C0003", person="P0003")
    town.rows["persons"][-1]["valid_until"] = "2026-03-01"
    town.add("persons", customer_id="C0003", person_id="P0033", account_id="A", role="main", form_of_address="先生",
             valid_from="2026-03-01", event_at="2026-03-01 00:00:00")  # fmt: skip
    town.consent("C0003", "marketing", granted=False, at="2026-02-10 10:00:00")
    town.consent("C0003", "marketing", at="2026-03-10 10:00:00")
    town.add("contacts", customer_id="C0003", contact_id="K1", action="plan_fit_offer", channel="call", arm="treated",
             event_at="2026-02-27 10:00:00")  # fmt: skip
    states = states_of(town.land())
    book = policy_of(states, settings)
    assert verdict(book, "C0001").codes == ("consent_withdrawn",)
    assert verdict(book, "C0002").codes == ("number_reissued",)
    assert verdict(book, "C0003").codes == ()
    unlimited = settings.purposes["marketing"].model_copy(update={"refusals": ()})
    weaker = settings.model_copy(update={"purposes": settings.purposes | {"marketing": unlimited}})
    assert verdict(policy_of(states, weaker), "C0002").ok


# valid_from and valid_until of the links to P1 and P2; whether the first number is re-issued and since when;
# the day of the opt-out; whether it binds today's holder
LINK_CASES: dict[str, tuple[list[tuple[str, str | None] | None], str | None, str, bool]] = {
    "before a link of a later migration": ([("2026-05-01", None)], None, "2026-03-10", True),
    "the link begins after today": ([("2026-07-01", None)], None, "2026-03-10", True),
    "two links of one day, before both": ([("2026-05-01", None), ("2026-05-01", None)], None, "2026-03-10", True),
    "after the only link ended": ([("2025-01-01", "2026-02-01")], None, "2026-03-10", True),
    "within a link that ended": ([("2025-01-01", "2026-04-01")], None, "2026-03-10", True),
    "in a gap, before the next holder": ([("2025-01-01", "2026-02-01"), ("2026-05-01", None)], None, "2026-03-10", False),
    "in a gap, the same holder after it": ([("2025-01-01", "2026-02-01"), None, ("2026-05-01", None)], None,
                                           "2026-03-10", True),
    "before the first of two holders": ([("2026-04-01", "2026-05-01"), ("2026-05-01", None)], None, "2026-03-10", False),
    "before a re-issued number and its link": ([("2026-05-01", None)], "2026-04-01", "2026-03-10", False),
    "on a re-issued number, before the link": ([("2026-05-01", None)], "2026-02-01", "2026-03-10", True),
}  # fmt: skip


@pytest.mark.parametrize("case", LINK_CASES)
def test_an_opt_out_outside_the_links_binds_its_holder_and_no_next_one(tmp_path, settings, case):
    """Whatever day it fell on, an opt-out, a never again, a port request, a complaint and a call keep their person."""
    links, reissued_since, day, is_bound = LINK_CASES[case]
    town = Town(tmp_path)
    town.customer("C0001", consents=False)
    town.rows["persons"] = []
    for n, link in enumerate(links):
        if link is not None:
            town.add("persons", customer_id="C0001", person_id="P1" if n % 2 == 0 else "P2", account_id="A",
                     role="main", form_of_address="女士", valid_from=link[0], valid_until=link[1])  # fmt: skip
    if reissued_since:
        town.rows["numbers"][0]["valid_from"] = f"{reissued_since} 00:00:00"
        town.customer("C0002", person="P9")
        town.rows["numbers"][1] |= {"number": town.rows["numbers"][0]["number"], "valid_from": "2024-01-01 00:00:00"}
        town.rows["numbers"][1]["valid_until"] = "2025-06-01 00:00:00"
    when = f"{day} 10:00:00"
    town.consent("C0001", "marketing", granted=False, at=when)
    town.add("port_requests", customer_id="C0001", step="code", event_at=when)
    town.add("tickets", customer_id="C0001", ticket_id="T1", kind="complaint", topic="network", status="open",
             event_at=when)  # fmt: skip
    town.add("contacts", customer_id="C0001", contact_id="K1", action="plan_fit_offer", channel="call", arm="treated",
             event_at=when)  # fmt: skip
    for outcome in ("never_again", "declined"):
        town.add("outcomes", customer_id="C0001", contact_id="K1", outcome=outcome, event_at=when)
    states = states_of(town.land())
    [person] = [row["person_id"] for row in states.states.to_pylist() if row["customer_id"] == "C0001"]
    lost = {"consent_missing"} | ({"number_reissued"} if reissued_since else set())
    bound = {"consent_withdrawn", "do_not_contact", "porting", "open_complaint"} | (lost - {"consent_missing"})
    assert set(verdict(policy_of(states, settings), "C0001").codes) - {"personalisation_declined"} == (
        bound if is_bound else lost
    )
    assert (person in states.contacts.column("person_id").to_pylist()) == is_bound
    assert (person in states.declines.column("person_id").to_pylist()) == is_bound
    assert person in {"P1", "P2"}


def test_a_later_general_yes_does_not_lift_a_channels_no(tmp_path, settings):
    """C0001 said no to all, C0002 to calls and then yes to all, C0003 no to all and yes to calls; canary: the key."""
    town = Town(tmp_path)
    for one in ("C0001", "C0002", "C0003"):
        town.customer(one)
    town.consent("C0001", "marketing", granted=False, at="2026-03-05 09:00:00")
    town.consent("C0002", "marketing", channel="call", granted=False, at="2026-03-05 09:00:00")
    town.consent("C0002", "marketing", at="2026-04-01 09:00:00")
    town.consent("C0003", "marketing", granted=False, at="2026-03-05 09:00:00")
    town.consent("C0003", "marketing", channel="call", at="2026-03-05 09:00:00")
    feeds = town.land()

    def withdrawn(channel: str) -> set[str]:
        book = policy_of(read_states(feeds, AS_OF, settings), settings)
        return {one for one in book.row_of if "consent_withdrawn" in verdict(book, one, channel=channel).codes}

    assert (withdrawn("call"), withdrawn("app")) == ({"C0001", "C0002", "C0003"}, {"C0001", "C0003"})
    declared = settings.policy.model_copy(update={"general_yes_lifts_channel_no": True})
    settings = settings.model_copy(update={"policy": declared})
    assert withdrawn("call") == {"C0001", "C0003"}


def test_a_code_of_the_ledger_that_no_purpose_names_any_more_stops_no_list(feeds, settings):
    """An operator dropped `wrong_person` from every purpose: the ledger that holds one still gives a policy."""
    purposes = {
        name: rule.model_copy(update={"refusals": tuple(code for code in rule.refusals if code != "wrong_person")})
        for name, rule in settings.purposes.items()
    }
    refusal = Refusal("wrong_person", "P0001", None, None, None, AS_OF, None)
    book = policy_of(feeds, settings.model_copy(update={"purposes": purposes}), LedgerFacts(refusals=(refusal,)))
    assert verdict(book, "C0001").ok


def test_a_passing_code_without_a_known_day_promises_none(feeds, settings, monkeypatch):
    """`next_on` is never today for a reason whose end nobody knows; of each passing code the last day is known."""
    book = policy_of(feeds, settings)
    assert verdict(book, "C0009").next_on is None
    assert {"festival", "quiet_hours", *book._free_on} == PASSING
    monkeypatch.setattr("serving.outreach.policy.policy._OF_THE_HOUR", frozenset({"suspended"}))  # the canary
    assert verdict(book, "C0009").next_on == AS_OF
