"""The words of the monitoring page in both languages; pictures carry identifiers only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.kit.language import Locale

ZH: Mapping[str, str] = MappingProxyType({
    "lang": "zh-CN",
    "title": "模型监控", "heading": "模型监控:{operator},基准日 {as_of}",
    "fine": "无告警", "alarms": "{count} 条告警",
    "target": "目标", "version": "版本", "alarm": "告警", "advice": "建议", "reason": "原因",
    "fix_feeds": "先修复数据", "retrain": "建议重训", "watch": "继续观察", "none": "无需处理",
    "reference": "参照日期:{days}", "and": "、",
    "what": "对象", "value": "数值", "limit": "限值",
    "drift": "画像漂移(PSI 最大的特征)",
    "limits": (
        "红色短线为各特征自身的限值(平时波动大的特征限值更高),红色柱为超限;"
        "灰色柱不按分布告警:日历特征,或各参照日之间本就差异很大的特征。"
    ),
    "not_judged": "不按分布判断的特征:{names}。缺失、新类别与停滞仍会告警。",
    "scores": "评分分布",
    "promise": (
        "平均倾向 {mean:.4f},建模时发生率 {base:.4f};标签成熟前按倾向估计的 AUC {auc:.3f}"
        "(参照期 {low:.3f} 至 {high:.3f})。该估计以校准仍然成立为前提。"
    ),
    "immature": "建模之后的日期尚无成熟标签,暂不能核对校准。",
    "matured": "标签成熟后的校准",
    "kept": "{days}:实际 {observed},预期 {expected:.0f},比值 {ratio:.2f};AUC {auc:.3f}({low:.3f} 至 {high:.3f})。",
    "feeds": "数据源", "rows": "近70天行数", "lag": "最新一行距基准日天数",
})  # fmt: skip
EN: Mapping[str, str] = MappingProxyType({
    "lang": "en",
    "title": "Model monitoring", "heading": "Model monitoring: {operator}, as of {as_of}",
    "fine": "No alarm", "alarms": "Alarms: {count}",
    "target": "Target", "version": "Version", "alarm": "Alarms", "advice": "Advice", "reason": "Reason",
    "fix_feeds": "Mend the data first", "retrain": "Retrain", "watch": "Watch", "none": "Nothing to do",
    "reference": "Reference dates: {days}", "and": ", ",
    "what": "About", "value": "Value", "limit": "Limit",
    "drift": "Drift of the portraits (features with the largest PSI)",
    "limits": (
        "A short red line is the feature's own limit (higher where it usually moves); a red bar is beyond it. Grey "
        "bars never ring by their distribution: calendar features, and those whose reference dates differ much anyway."
    ),
    "not_judged": "Not judged by distribution: {names}. Blanks, new categories and standstill still ring.",
    "scores": "Distribution of the scores",
    "promise": (
        "Mean propensity {mean:.4f}, base rate when the model was made {base:.4f}; the propensities promise an AUC of "
        "{auc:.3f} ({low:.3f} to {high:.3f} in the reference), provided that the calibration still holds."
    ),
    "immature": "No date after those that the model learned from has mature labels: nothing to check yet.",
    "matured": "Calibration on mature labels",
    "kept": (
        "{days}: {observed} events, {expected:.0f} promised, ratio {ratio:.2f}; "
        "AUC {auc:.3f} ({low:.3f} to {high:.3f})."
    ),
    "feeds": "Feeds", "rows": "Rows of the last 70 days", "lag": "Age of the newest row, days",
})  # fmt: skip
WORDS: Mapping[Locale, Mapping[str, str]] = MappingProxyType({"zh": ZH, "en": EN})
