"""What a monitoring run leaves behind: one HTML page for people, one JSON and one file of gauges for programs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from features.kit.files import write_bytes, write_json
from features.kit.runs import hit
from training.monitor.alarms import KINDS
from training.monitor.pictures import drift_picture, reliability_picture, scores_picture

HTML, JSON, GAUGES = "report.html", "report.json", "insight.prom"
ADVICE = {"fix_feeds": "先修复数据", "retrain": "建议重训", "watch": "继续观察", "none": "无需处理"}
STYLE = (
    "body{font-family:'Noto Sans CJK SC','Microsoft YaHei','PingFang SC',sans-serif;max-width:60rem;margin:2rem auto;"
    "color:#222;line-height:1.5}table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{border:1px solid #ccc;"
    "padding:.25rem .6rem;text-align:left;font-size:.92rem}img{max-width:100%}.alarm{color:#b02020}.fine{color:#207040}"
)


def write_report(folder: Path, gauges: Path, report: dict[str, Any]) -> dict[str, str]:
    """Writes page, JSON and gauges, each whole or not at all, the JSON last; returns where they lie."""
    write_bytes(folder / HTML, page(report).encode())
    hit("monitor.before_gauges")
    write_bytes(gauges, exposition(report))
    hit("monitor.before_json")
    write_json(folder / JSON, report)
    return {"html": str(folder / HTML), "json": str(folder / JSON), "gauges": str(gauges)}


def page(report: dict[str, Any]) -> str:
    """Returns the page: Chinese around pictures that carry identifiers only; it needs nothing from anywhere else."""
    status = "无告警" if report["status"] == "fine" else f"{report['alarms']} 条告警"
    parts = [
        "<!doctype html><html lang='zh-CN'><head><meta charset='utf-8'>",
        f"<title>模型监控 {escape(report['as_of'])}</title><style>{STYLE}</style></head><body>",
        f"<h1>模型监控:{escape(report['operator'])},基准日 {escape(report['as_of'])}</h1>",
        f"<p class='{'fine' if report['status'] == 'fine' else 'alarm'}'><b>{status}</b></p>",
        _table(
            ("目标", "版本", "告警", "建议", "原因"),
            [
                (name, one["version"], len(one["alarms"]), ADVICE[one["recommendation"]["code"]],
                 one["recommendation"]["reason_zh"])
                for name, one in report["targets"].items()
            ],
        ),
    ]  # fmt: skip
    for name, one in report["targets"].items():
        parts += _target(name, one)
    parts.append("<h2>数据源</h2>")
    feeds = report["feeds"].items()
    rows = [(name, f"{one['rows']:,.0f}", f"{one['lag_days']:.0f}") for name, one in feeds]
    parts.append(_table(("数据源", "近70天行数", "最新一行距基准日天数"), rows))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _target(name: str, one: dict[str, Any]) -> list[str]:
    scores, kept = one["scores"], one["matured"]
    parts = [f"<h2>{escape(name)}</h2>", f"<p>参照日期:{'、'.join(one['reference'])}</p>"]
    if one["alarms"]:
        rows = [(KINDS[alarm["kind"]], alarm["name"], alarm["value"], alarm["limit"]) for alarm in one["alarms"]]
        parts.append(_table(("告警", "对象", "数值", "限值"), rows))
    parts.append("<h3>画像漂移(PSI 最大的特征)</h3>" + _image(drift_picture(one["features"])))
    parts.append(
        "<p>红色短线为各特征自身的限值(平时波动大的特征限值更高),红色柱为超限;灰色柱为日历特征,随月内日期变化,不告警。</p>"
    )
    parts.append("<h3>评分分布</h3>" + _image(scores_picture(scores["reference_shares"], scores["shares"])))
    parts.append(
        f"<p>平均倾向 {scores['mean_propensity']:.4f},建模时发生率 {scores['base_rate']:.4f};"
        f"标签成熟前按倾向估计的 AUC {scores['estimated_auc']:.3f}"
        f"(参照期 {scores['reference_estimated_auc'][0]:.3f} 至 {scores['reference_estimated_auc'][1]:.3f})。"
        f"该估计以校准仍然成立为前提。</p>"
    )
    if kept is None:
        parts.append("<p>建模之后的日期尚无成熟标签,暂不能核对校准。</p>")
        return parts
    parts.append(
        f"<h3>标签成熟后的校准</h3><p>{'、'.join(kept['as_of'])}:实际 {kept['observed']},预期 {kept['expected']:.0f},"
        f"比值 {kept['observed_over_expected']:.2f};AUC {kept['auc']:.3f}"
        f"({kept['auc_ci'][0]:.3f} 至 {kept['auc_ci'][1]:.3f})。</p>" + _image(reliability_picture(kept["reliability"]))
    )
    return parts


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
    return "\n".join([*lines, f"report: {places['html']}"])


def _seconds(day: str) -> float:
    from datetime import UTC, datetime

    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _image(png: bytes) -> str:
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"
