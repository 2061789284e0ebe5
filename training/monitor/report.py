"""What a monitoring run leaves: a page for people in both languages, one JSON and one file of gauges for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.kit.files import write_bytes, write_json
from features.kit.language import Locale
from features.kit.pages.pages import render
from features.kit.runs import hit
from training.monitor.alarms import KINDS
from training.monitor.pictures import drift_picture, reliability_picture, scores_picture

HTML: dict[Locale, str] = {"zh": "report.html", "en": "report.en.html"}
JSON, GAUGES = "report.json", "insight.prom"


def write_report(folder: Path, gauges: Path, report: dict[str, Any]) -> dict[str, str]:
    """Writes both pages, gauges and JSON, each whole or not at all, the JSON last; returns where they lie."""
    for locale, name in HTML.items():
        write_bytes(folder / name, page(report, locale).encode())
    hit("monitor.before_gauges")
    write_bytes(gauges, exposition(report))
    hit("monitor.before_json")
    write_json(folder / JSON, report)
    return {
        "html": str(folder / HTML["zh"]),
        "html_en": str(folder / HTML["en"]),
        "json": str(folder / JSON),
        "gauges": str(gauges),
    }


def page(report: dict[str, Any], locale: Locale = "zh") -> str:
    """Returns the page in one language; it needs nothing from anywhere else."""
    return render(
        "training.monitor", "report.html.j2", locale=locale, kinds=KINDS, drift_picture=drift_picture,
        scores_picture=scores_picture, reliability_picture=reliability_picture, **report,
    )  # fmt: skip


def exposition(report: dict[str, Any]) -> bytes:
    """Returns the gauges in Prometheus' text format, for the node exporter's textfile collector."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, labels: Sequence[str]) -> Gauge:
        return Gauge(f"insight_monitor_{name}", help_text, labels, registry=registry)

    alarms = gauge("alarms", "Alarms of the newest monitoring run.", ["target", "kind"])
    feature = gauge("feature_psi", "Population stability index of a feature against the reference.", ["target", "name"])
    blank = gauge("feature_missing_share", "Share of blank values of a feature.", ["target", "name"])
    score = gauge("score_psi", "Population stability index of the raw scores.", ["target"])
    mean = gauge("mean_propensity", "Mean propensity of the base.", ["target"])
    promised = gauge("estimated_auc", "AUC that the propensities promise before labels mature.", ["target"])
    ratio = gauge("observed_over_expected", "Events over promised events, once labels mature.", ["target"])
    retrain = gauge("retrain_recommended", "1 if retraining is recommended.", ["target"])
    lag = gauge("feed_lag_days", "Age of the newest known row of a feed.", ["feed"])
    as_of = gauge("as_of_timestamp_seconds", "The as-of date of the newest monitoring run.", [])
    for name, one in report["targets"].items():
        for kind in KINDS:
            alarms.labels(name, kind).set(sum(alarm["kind"] == kind for alarm in one["alarms"]))
        for column, figures in one["features"].items():
            feature.labels(name, column).set(figures["psi"])
            blank.labels(name, column).set(figures["missing"])
        score.labels(name).set(one["scores"]["psi"])
        mean.labels(name).set(one["scores"]["mean_propensity"])
        promised.labels(name).set(one["scores"]["estimated_auc"])
        retrain.labels(name).set(one["recommendation"]["code"] == "retrain")
        if one["matured"]:
            ratio.labels(name).set(one["matured"]["observed_over_expected"])
    for name, state in report["feeds"].items():
        lag.labels(name).set(state["lag_days"])
    as_of.set(datetime.fromisoformat(report["as_of"]).replace(tzinfo=UTC).timestamp())
    return generate_latest(registry)


def as_text(report: dict[str, Any], places: dict[str, str]) -> str:
    """Returns the report for a person at a terminal."""
    lines = [f"{report['as_of']}: {report['alarms'] or 'no'} alarm{'' if report['alarms'] == 1 else 's'}"]
    for name, one in report["targets"].items():
        advice = one["recommendation"]
        lines.append(f"{name} {one['version']}: {advice['code']}, {advice['reason']}")
        lines += [f"  {alarm['kind']:<12} {alarm['name']}: {alarm['evidence']}" for alarm in one["alarms"]]
    return "\n".join([*lines, f"report: {places['html_en']} ({places['html']})"])
