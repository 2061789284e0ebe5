"""The ten kinds of leak, in words: what each is, why it harms, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Effect = Literal["column_left_out", "rows_left_out", "training_refused", "reported"]


@dataclass(frozen=True)
class Kind:
    """One way in which a label leaks.

    Attributes:
        code: Its stable name.
        explanation: What it is and why a model that learns from it fails in service.
        remedy: What the owner of the data can do.
        zh: Its name in Chinese.
        effect: What training does about it.
    """

    code: str
    explanation: str
    remedy: str
    zh: str
    effect: Effect = "column_left_out"


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(
            "label_copy",
            "The column tells the label itself, perhaps with noise: nothing known beforehand ranks so well.",
            "Drop the column, or deliver its value of the as-of date with its knowledge time.",
            "标签的复制",
        ),
        Kind(
            "known_later",
            "The value was known only after the as-of date; on the day of scoring it is not there yet.",
            "Build the portraits again; if a mapping stamps the rows, correct its `known_at` or `known_after`.",
            "基准日之后才知道的值",
        ),
        Kind(
            "later_correction",
            "The value comes from a correction that was made after the as-of date; then, the first version was known.",
            "Build the portraits again from the versions that were known; give corrections their own `known_at`.",
            "事后更正",
        ),
        Kind(
            "closing_fields",
            "The value comes from fields that a ticket only gets when it is closed, after the as-of date.",
            "Deliver each state of a ticket as its own row, known when that state was reached.",
            "工单关闭字段",
        ),
        Kind(
            "id_order",
            "Identifiers follow the label: rows were numbered or sorted after the outcome was known.",
            "Drop the number, or number the customers before the outcome is known.",
            "编号按标签排序",
        ),
        Kind(
            "missingness",
            "Whether the column is filled tells the label: it was filled because of what happened.",
            "Drop the column and those that come with it, or deliver when each value was recorded.",
            "缺失携带标签",
        ),
        Kind(
            "split_overlap",
            "The model is judged on customers or label windows that it learned from, so its figures are too good.",
            "Split by customer, or keep at least lead + horizon + label delay days between training and test dates.",
            "训练与测试重叠",
            "training_refused",
        ),
        Kind(
            "target_statistics",
            "The column holds event rates of groups that were computed over the very rows it is judged on.",
            "Compute the rates from labels that were known before each row's as-of date.",
            "用测试期计算的目标统计",
        ),
        Kind(
            "duplicates",
            "The same record stands under several customers, so the model recognises rows instead of predicting them.",
            "Remove the copies before anything is split.",
            "重复记录",
            "rows_left_out",
        ),
        Kind(
            "overwritten_snapshot",
            "The table was overwritten after the event, so rows of earlier dates already show how it ended.",
            "Deliver the table as it stood on each date, or date its rows at the delivery.",
            "事后覆盖的快照",
        ),
    )
}


@dataclass(frozen=True)
class Leak:
    """One finding.

    Attributes:
        name: The column; else `rows`, `customer_id` or the fold.
        kind: A code of `KINDS`.
        evidence: The figures in words.
        effect: What training does about it.
    """

    name: str
    kind: str
    evidence: str
    effect: Effect = "column_left_out"

    def as_dict(self) -> dict[str, Any]:
        """Returns the finding with its explanation and remedy, as a report needs it."""
        kind = KINDS[self.kind]
        return {
            "name": self.name,
            "kind": self.kind,
            "effect": self.effect,
            "evidence": self.evidence,
            "explanation": kind.explanation,
            "remedy": kind.remedy,
        }


def leak(name: str, kind: str, evidence: str, *, effect: Effect | None = None) -> Leak:
    """Returns a finding with the effect of its kind, unless another is given."""
    return Leak(name, kind, evidence, effect or KINDS[kind].effect)
