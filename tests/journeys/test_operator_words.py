"""What `insight run` is told reaches its steps, and an operator's own language, country and targets count."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.feeds.landed.manifest import Operator
from features.feeds.mapping.sources import OperatorBlock
from features.journey.journey import Journey
from features.kit.cli import create_app
from features.kit.config import config_files, merged_config
from features.kit.errors import ConfigurationError
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.facts.festivals import next_festival
from serving.outreach.policy.calendar import festival_days, is_festival
from serving.outreach.settings import Holidays, load_settings
from training.card.card_texts import CardTexts
from training.labels.targets import known_targets
from training.leakage.findings import KINDS
from training.leakage.report import as_text
from training.step import train


def operator(zone: str, **more: str) -> Operator:
    """Returns an operator of a time zone."""
    return Operator(name="x", time_zone=zone, currency="USD", money_scale=2, **more)


def test_run_takes_locale_settings_and_a_search(monkeypatch, tmp_path):
    """The three options of the single commands reach the journey."""
    seen: list[Journey] = []

    def run(_, journey, __):
        seen.append(journey)
        return {}

    monkeypatch.setattr("features.journey.journey.run_journey", run)
    typed = ["run", "--source", "m.yaml", "--data", str(tmp_path), "--home", str(tmp_path / "h"), "--json"]
    done = CliRunner().invoke(create_app(), [*typed, "--locale", "en", "--set", "learner.trees=30", "--tune"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {})
    assert (seen[0].locale, seen[0].changes, seen[0].tune) == ("en", ("learner.trees=30",), True)
    assert isinstance(CliRunner().invoke(create_app(), [*typed, "--locale", "fr"]).exception, ConfigurationError)


def test_the_training_step_obeys_them(monkeypatch, tmp_path):
    """Every target is trained with the changed key and, where asked, a search; an unknown key is refused."""
    seen = []

    def fake(_, request, *, progress):
        seen.append(request)
        return {"version": None, "reason": "", "progress": progress is not None}

    monkeypatch.setattr("training.labels.history.open_records", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr("training.pipeline.train_target", fake)
    journey = Journey(home=Home(tmp_path), source=Path("m"), data=Path("d"), changes=("learner.trees=33",), tune=True)
    train(journey, SILENT)
    assert {one.target.name for one in seen} == set(known_targets())
    assert {one.target.learner.trees for one in seen} == {33}
    assert all(one.search is not None for one in seen)
    with pytest.raises(ConfigurationError, match="no such key"):
        train(journey.model_copy(update={"changes": ("learner.leafs=3",)}), SILENT)


def test_lists_are_written_in_the_operators_language():
    """Declared, else Chinese on China's clock and English elsewhere."""
    assert operator("America/New_York").language_of_lists == "en"
    assert operator("Asia/Shanghai").language_of_lists == "zh"
    assert operator("Asia/Shanghai", locale="en").language_of_lists == "en"


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_an_audit_speaks_the_language_that_is_asked_for(locale):
    """No Chinese in English, and on a snapshot no advice to build what is up to date."""
    report = {
        "target": "churn", "features": 1, "rows": 2, "positives": 1, "as_of": ["a", "b"], "folds": "f",
        "is_snapshot": True, "replayed": [], "kinds": dict.fromkeys(KINDS, 0), "findings": [], "refused": "",
    }  # fmt: skip
    text = as_text(report, locale)
    assert text.isascii() == (locale == "en")
    assert "insight build" not in text
    assert "insight build" in as_text(report | {"is_snapshot": False}, locale)


def test_own_targets_and_names_add_to_the_shipped_ones(monkeypatch, tmp_path):
    """A folder with one target of its own knows the four of the house as well; one of the same name counts."""
    shipped = set(config_files("targets"))
    (tmp_path / "configs/targets").mkdir(parents=True)
    for name in ("lapse", "churn"):
        (tmp_path / f"configs/targets/{name}.yaml").write_text("", encoding="utf-8")
    (tmp_path / "configs/cards.yaml").write_text("labels: {lapse: {zh: 停用, en: lapsed}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert set(known_targets()) == {*shipped, "lapse"}
    assert config_files("targets")["churn"] == Path("configs/targets/churn.yaml")
    texts = merged_config(CardTexts, "cards.yaml")
    assert texts.label("lapse", "en") == "lapsed"
    assert len(texts.labels) > 1


def test_holidays_follow_the_declared_country():
    """Germany's unity day instead of China's week; a country that nobody knows has none, and `check` says so."""
    there = load_settings().for_operator("Asia/Shanghai", "DE").policy.holidays
    assert is_festival(there, date(2026, 10, 3))
    assert not is_festival(there, date(2026, 10, 6))
    assert festival_days(Holidays(country="ZZ"), 2026) == {}
    assert not OperatorBlock(name="x", country="ZZ").has_holidays
    assert OperatorBlock(name="x", country="DE").has_holidays


def test_a_portrait_speaks_of_chinas_festivals_in_china_only():
    """The National Day is near on 25 September, but not for an operator of another country."""
    assert next_festival(date(2026, 9, 28), 7).code == "national_day"
    assert next_festival(date(2026, 9, 28), 7, "US") is None
