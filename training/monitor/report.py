"""What a monitoring run leaves: a page for people in both languages, one JSON and one file of gauges for programs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from features.kit.files import write_bytes, write_json
from features.kit.language import Locale
from features.kit.runs import hit
from training.monitor.alarms import KINDS
from training.monitor.pictures import drift_picture, reliability_picture, scores_picture
from training.monitor.texts import WORDS

HTML: dict[Locale, str] = {"zh": "report.html", "en": "report.en.html"}
JSON, GAUGES = "report.json", "insight.prom"
STYLE = (
    "body{font-family:'Noto Sans CJK SC','Microsoft YaHei','PingFang SC',sans-serif;max-width:60rem;margin:2rem auto;"
    "color:#222;line-height:1.5}table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{border:1px solid #ccc;"
    "padding:.25rem .6rem;text-align:left;font-size:.92rem}img{max-width:100%}.alarm{color:#b02020}.fine{color:#207040}"
)


def write_report(folder: Path, gauges: Path, report: dict[str, Any]) -> dict[str, str]:
    """Writes both pages, gauges and JSON, each whole or not at all, the JSON last; returns where they lie."""
    for locale in WORDS:
        write_bytes(folder / HTML[locale], page(report, locale).encode())
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
    words = WORDS[locale]
    is_fine = report["status"] == "fine"
    status = words["fine"] if is_fine else words["alarms"].format(count=report["alarms"])
    parts = [
        f"<!doctype html><html lang='{words['lang']}'><head><meta charset='utf-8'>",
        f"<title>{words['title']} {escape(report['as_of'])}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(words['heading'].format(operator=report['operator'], as_of=report['as_of']))}</h1>",
        f"<p class='{'fine' if is_fine else 'alarm'}'><b>{status}</b></p>",
        _table(
            [words[name] for name in ("target", "version", "alarm", "advice", "reason")],
            [
                (name, one["version"], len(one["alarms"]), words[one["recommendation"]["code"]],
                 one["recommendation"]["reason_zh" if locale == "zh" else "reason"])
                for name, one in report["targets"].items()
            ],
        ),
    ]  # fmt: skip
    for name, one in report["targets"].items():
        parts += _target(name, one, locale)
    parts.append(f"<h2>{words['feeds']}</h2>")
    feeds = report["feeds"].items()
    rows = [(name, f"{one['rows']:,.0f}", f"{one['lag_days']:.0f}") for name, one in feeds]
    parts.append(_table([words[name] for name in ("feeds", "rows", "lag")], rows))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _target(name: str, one: dict[str, Any], locale: Locale) -> list[str]:
    words, scores, kept = WORDS[locale], one["scores"], one["matured"]

    def said(key: str, **values: Any) -> str:
        return f"<p>{escape(words[key].format(**values))}</p>"

    parts = [f"<h2>{escape(name)}</h2>", said("reference", days=words["and"].join(one["reference"]))]
    if one["alarms"]:
        rows = [
            (KINDS[alarm["kind"]] if locale == "zh" else alarm["kind"], alarm["name"], alarm["value"], alarm["limit"])
            for alarm in one["alarms"]
        ]
        parts.append(_table([words[name] for name in ("alarm", "what", "value", "limit")], rows))
    parts.append(f"<h3>{words['drift']}</h3>" + _image(drift_picture(one["features"])))
    parts.append(said("limits"))
    if one["not_judged"]:
        parts.append(said("not_judged", names=words["and"].join(one["not_judged"])))
    parts.append(f"<h3>{words['scores']}</h3>" + _image(scores_picture(scores["reference_shares"], scores["shares"])))
    low, high = scores["reference_estimated_auc"]
    parts.append(
        said(
            "promise", mean=scores["mean_propensity"], base=scores["base_rate"], auc=scores["estimated_auc"], low=low,
            high=high,
        )
    )  # fmt: skip
    if kept is None:
        return [*parts, said("immature")]
    low, high = kept["auc_ci"]
    told_kept = said(
        "kept", days=words["and"].join(kept["as_of"]), observed=kept["observed"], expected=kept["expected"],
        ratio=kept["observed_over_expected"], auc=kept["auc"], low=low, high=high,
    )  # fmt: skip
    return [*parts, f"<h3>{words['matured']}</h3>{told_kept}" + _image(reliability_picture(kept["reliability"]))]


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
    as_of.set(_seconds(report["as_of"]))
    return generate_latest(registry)


def told(report: dict[str, Any], places: dict[str, str]) -> str:
    """Returns the report for a person at a terminal."""
    lines = [f"{report['as_of']}: {report['alarms'] or 'no'} alarm{'' if report['alarms'] == 1 else 's'}"]
    for name, one in report["targets"].items():
        advice = one["recommendation"]
        lines.append(f"{name} {one['version']}: {advice['code']}, {advice['reason']}")
        lines += [f"  {alarm['kind']:<12} {alarm['name']}: {alarm['evidence']}" for alarm in one["alarms"]]
    return "\n".join([*lines, f"report: {places['html_en']} ({places['html']})"])


def _seconds(day: str) -> float:
    from datetime import UTC, datetime

    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _image(png: bytes) -> str:
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"
