"""A file of another operator, from `insight map` to a list of a target of its own, with reasons of its own columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.feeds.proposal.propose import propose
from features.feeds.proposal.text import yaml_text
from features.journey.summary import print_summary
from features.kit.errors import ConfigurationError
from features.kit.home import Home
from features.kit.language import Locale
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from serving.outreach.lists.request import ListRequest
from serving.outreach.settings import entry_for, load_settings
from serving.outreach.step import list_summary, run
from serving.scoring.batch.stored import Scores
from serving.scoring.step import ScoreRequest, score_all
from tests.world import boosted, promote, write_bundle

CUSTOMERS = 500
DECISIONS = {
    "time_zone: TODO": "time_zone: America/Los_Angeles",
    "code: TODO": "code: USD",
    "snapshot_at: TODO": "snapshot_at: 2019-09-30T23:00:00",
    "TIMESTAMP 'TODO'": "TIMESTAMP '2019-10-15 12:00:00'",
}
TARGET = """
description: The customer gives the line up.
lead_days: 0
horizon_days: 30
label_delay_days: 0
terminal: true
cohort: {}
events:
  - {name: left, kind: voluntary, needs: [terminations], sql: "SELECT customer_id, event_at FROM terminations"}
features: churn_v1
learner: {trees: 30, min_rows_in_leaf: 20}
promotion: {min_training_positives: 50, min_test_positives: 20}
"""
REASONS = """
reasons:
  own.many_calls:
    when: {attribute: support_calls, raises_when: high, quantile: 0.7}
    about: {zh: "致电客服{value}次", en: "{value} calls to support"}
    say: {zh: "您近期多次联系我们，想了解还需要我们处理什么。", en: "You contacted us a few times; what do you still need?"}
    actions: [service_review]
  own.by_the_month:
    when: {attribute: contract, one_of: [Month-to-month]}
    about: {zh: "按月合约", en: "Contract by the month"}
    say: never
    actions: [service_review]
"""
ANSWERED = """
targets:
  lapse:
    zh: 停用关注
    en: lapse
    worth: -4000
    actions: [service_review]
    effect: {relative: -0.10, low: -0.15, high: 0.02, harm_share: 0.15, source: assumed}
"""


@dataclass(frozen=True)
class Elsewhere:
    """Another operator's home, scored for its own target, and the folder that holds its own configuration."""

    home: Home
    folder: Path
    as_of: date

    def write(self, name: str, text: str) -> None:
        """Writes a file of its own `configs/`, or takes it away."""
        path = self.folder / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if not text:
            path.unlink()

    def build_and_score(self) -> None:
        """Builds the portraits, and scores everybody."""
        build_portraits(self.home, Feeds.open(self.home), [self.as_of])
        score_all(self.home, ScoreRequest(self.as_of))

    def list_of(self, key: str, locale: Locale = "zh") -> tuple[dict[str, Any], list[dict[str, str]]]:
        """Returns the summary and the lines of a list under a new key."""
        released = run(self.home, ListRequest(self.as_of, 20, locale), key=key)
        text = released.csv.read_text(encoding="utf-8-sig")
        return list_summary(self.home, released), list(csv.DictReader(io.StringIO(text)))


def write_data(folder: Path) -> set[str]:
    """Writes a CSV in the manner of the well-known telco sample: who calls much, or is bound to nothing, leaves.

    Returns who leaves.
    """
    rng = np.random.default_rng(4)
    calls, tenure = rng.poisson(1.5, CUSTOMERS), rng.integers(0, 72, CUSTOMERS)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], CUSTOMERS, p=[0.55, 0.25, 0.2])
    logit = 0.9 * (calls - 1.5) + 1.2 * (contract == "Month-to-month") - 1.8
    left = np.where(rng.random(CUSTOMERS) < 1 / (1 + np.exp(-logit)), "Yes", "No")
    rows = zip(range(CUSTOMERS), tenure, contract, calls, left, strict=True)
    lines = [f"{7000 + k}-ABCDE,{months},{kind},{n},{gone}" for k, months, kind, n, gone in rows]
    folder.mkdir()
    header = "customerID,tenure,Contract,SupportCalls,Churn"
    (folder / "telco.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return {line.split(",")[0] for line in lines if line.endswith("Yes")}


def learn(home: Home, as_of: date, leavers: set[str]) -> None:
    """Learns the target with LightGBM alone and lets it serve: the whole training takes 16 s and is tried elsewhere."""
    portraits = Portraits.open(home)
    table = portraits.read(as_of)
    values = encode(table, portraits.feature_list)
    labels = np.array([one in leavers for one in table["customer_id"].to_pylist()], dtype=np.float64)
    places = list(portraits.feature_list.category_indices)
    model = boosted(values, labels, portraits.feature_list, seed=3, trees=20, categorical_feature=places)
    write_bundle(home, portraits.feature_list, values, model, target="lapse", version="v1")
    promote(home, "lapse", "v1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """Maps, lands, builds and trains a target of its own; no reason and no action is declared yet."""
    folder = tmp_path_factory.mktemp("elsewhere")
    leavers = write_data(folder / "data")
    mapping = yaml_text(propose(folder / "data"))
    for before, after in DECISIONS.items():
        assert mapping.count(before) == 1
        mapping = mapping.replace(before, after)
    (folder / "telco.yaml").write_text(mapping, encoding="utf-8")
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        land(load_source(folder / "telco.yaml"), folder / "data", home)
        place = Elsewhere(home, folder, Feeds.open(home).latest_as_of())
        build_portraits(home, Feeds.open(home), [place.as_of])
        learn(home, place.as_of, leavers)
        place.build_and_score()
        yield place


def test_a_target_without_an_action_names_the_entry_that_it_needs(elsewhere, monkeypatch):
    """Instead of "no score is raised": which file, and the entry as it is typed, which then is taken as it stands."""
    monkeypatch.chdir(elsewhere.folder)
    elsewhere.write("outreach.yaml", "")
    summary, lines = elsewhere.list_of("unanswered")
    assert lines == []
    assert [note.split(":")[0] for note in summary["notes"]] == ["lapse"]
    assert summary["notes"][0].endswith(f"add to configs/outreach.yaml: {entry_for('lapse')}")
    elsewhere.write("outreach.yaml", entry_for("lapse"))
    assert load_settings().unanswered(["lapse"]) == ()


def test_declared_reasons_stand_on_the_list_in_both_languages(elsewhere, monkeypatch):
    """Who calls much reads so with the own figure; without the entries nobody has a cause, and the note names one."""
    monkeypatch.chdir(elsewhere.folder)
    elsewhere.write("outreach.yaml", ANSWERED)
    silent, lines = elsewhere.list_of("without reasons")  # the canary: before the entries
    assert lines == []
    assert silent["suppressed"]["nothing_to_say"] > 10
    assert "configs/reasons.yaml: reasons: {own.NAME: {when: {attribute: NAME" in silent["notes"][0]
    elsewhere.write("reasons.yaml", REASONS)
    elsewhere.build_and_score()
    summary, chinese = elsewhere.list_of("with reasons")
    _, english = elsewhere.list_of("with reasons", "en")
    assert (summary["lines"], summary["notes"]) == (len(chinese), [])
    assert [line["行号"] for line in chinese] == [line["line_id"] for line in english]
    assert summary["lines"] > 2
    for own, other in zip(chinese, english, strict=True):
        called = own["原因2"].removeprefix("致电客服").removesuffix("次")
        assert (own["原因1"], other["reason 1"]) == ("按月合约", "Contract by the month")
        assert other["reason 2"] == f"{called} calls to support"
        assert int(called) > 2
        assert own["可对客户说"] == "2. 您近期多次联系我们，想了解还需要我们处理什么。"
        assert other["may be said"] == "2. You contacted us a few times; what do you still need?"
        assert (own["等级与排名"][:4], other["band and rank"][:5]) == ("停用关注", "lapse")
    scores = Scores.current(elsewhere.home, "lapse")
    codes = {code for found in scores.read(["reason_codes"])["reason_codes"].to_pylist() for code in found or ()}
    assert codes == {"own.many_calls", "own.by_the_month", "mixed.no_single_cause"}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("reasons", REASONS.replace("own.many_calls", "bill.jump"), r"reasons\.bill\.jump\.when: the portrait has a fact"),
        ("reasons", REASONS.replace("    when: {attribute: contract", "    targets: all\n    dimension: x\n    features: []\n    # {"),
         r"reasons: unknown 'own\.by_the_month'; that of an attribute needs a `when`"),
        ("reasons", REASONS.replace("{value}", "{amount}"), r"own\.many_calls\.about\.1.*'amount'"),
        ("reasons", REASONS.replace("service_review", "service_revue"), r"own\.\w+\.actions: .*did you mean 'service_review'"),
        ("outreach", ANSWERED.replace("lapse:", "churn:"), r"targets\.churn: its worth stands in `value`"),
        ("outreach", ANSWERED.replace("service_review", "no_contact"), r"targets\.lapse\.actions: 'no_contact' contacts nobody"),
        ("outreach", ANSWERED.replace("service_review", "service_revue"), r"targets\.lapse\.actions: .*did you mean"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused_with_its_place(file, text, message, tmp_path, monkeypatch):
    """A code of the portrait's own, a fact that nobody holds, a slot or an action that is not: file and key are named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / f"configs/{file}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_settings()


def test_the_end_of_a_run_shows_the_entry_letter_by_letter(tmp_path, capsys):
    """Brackets of YAML are no markup of the terminal: `actions: [service_review]` was printed as `actions: `."""
    print_summary({"outreach": {"notes": [f"add {entry_for('lapse')}"]}}, Home(tmp_path), synthetic=False)
    assert f"add {entry_for('lapse')}" in capsys.readouterr().out
