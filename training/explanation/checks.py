"""Whether contributions can be trusted: small noise leaves them, and taking a feature away moves the score as they say.

Both checks ask the model itself and nothing else. They are measured, not assumed: each has a figure that a wrong
explanation (contributions of another customer) does not reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Rows, Vectors
from training.bundle import LoadedBundle

NOISE = 0.01
TOP = 3
BACKGROUND_ROWS = 40


@dataclass(frozen=True)
class Stability:
    """How contributions answer to small noise in the inputs."""

    noise: float  # the noise, as a share of each number
    rows: int
    same_top: float  # share whose strongest feature stays the strongest
    top_overlap: float  # mean share of the three strongest that stay among the three strongest
    correlation: float  # mean correlation of a customer's contributions before and after


@dataclass(frozen=True)
class Deletion:
    """How the score answers when the strongest feature's information is taken away."""

    rows: int
    agreed: float  # share whose raw score then moves against the sign of the feature's contribution
    agreed_exchanged: float  # the same with the contributions of another customer: what a wrong explanation reaches
    correlation: float  # over customers, of the contribution and of how far the raw score falls


def stability(bundle: LoadedBundle, values: Vectors, *, noise: float = NOISE, seed: int = 7) -> Stability:
    """Returns how contributions answer to noise of so many parts of each number; categories and blanks stay.

    `values` are the model's inputs, float32 [n, k]; each number is multiplied by `1 + noise * z`, z standard normal.
    """
    rng = np.random.default_rng(seed)
    numbers = np.array([feature.kind == "number" for feature in bundle.manifest.features])
    factor = np.where(numbers, 1 + noise * rng.standard_normal(values.shape), 1.0)
    before = bundle.contributions(values)[:, :-1]
    after = bundle.contributions((values * factor).astype(np.float32))[:, :-1]
    first, second = (np.argsort(-np.abs(part), axis=1, kind="stable")[:, :TOP] for part in (before, after))
    kept = np.array([len(set(a) & set(b)) for a, b in zip(first, second, strict=True)])
    return Stability(
        noise=noise,
        rows=len(values),
        same_top=round(float((first[:, 0] == second[:, 0]).mean()), 4),
        top_overlap=round(float(kept.mean() / TOP), 4),
        correlation=round(float(np.mean(_correlations(before, after))), 4),
    )


def deletion(bundle: LoadedBundle, values: Vectors, background: Vectors, *, rows: int = 300, seed: int = 7) -> Deletion:
    """Returns whether taking away each customer's strongest feature moves the raw score as its contribution says.

    Information is taken away by putting the value of each of some other customers in its place and taking the mean
    score, so no impossible blank is invented. A feature that raised the score must lower it when it goes.

    `values` are the model's inputs, float32 [n, k], of which `rows` customers are asked; `background`, float32 [m, k],
    holds the customers whose values replace the feature.
    """
    rng = np.random.default_rng(seed)
    chosen = values[np.sort(rng.permutation(len(values))[:rows])]
    others = background[np.sort(rng.permutation(len(background))[:BACKGROUND_ROWS])]
    contributions = bundle.contributions(chosen)[:, :-1]
    top = np.abs(contributions).argmax(axis=1)
    promised = contributions[np.arange(len(chosen)), top]
    fall = _fall(bundle, chosen, others, top)
    exchanged = np.roll(contributions, 1, axis=0)
    wrong = np.abs(exchanged).argmax(axis=1)
    wrong_told = exchanged[np.arange(len(chosen)), wrong]
    wrong_fall = _fall(bundle, chosen, others, wrong)
    return Deletion(
        rows=len(chosen),
        agreed=round(float((np.sign(fall) == np.sign(promised)).mean()), 4),
        agreed_exchanged=round(float((np.sign(wrong_fall) == np.sign(wrong_told)).mean()), 4),
        correlation=round(float(np.corrcoef(promised, fall)[0, 1]), 4),
    )


def _fall(bundle: LoadedBundle, values: Vectors, others: Vectors, features: Rows) -> Floats:
    """Returns how far each raw score falls when one feature of each customer takes other customers' values."""
    many = np.repeat(values, len(others), axis=0)
    place = np.repeat(features, len(others))
    many[np.arange(len(many)), place] = np.tile(others, (len(values), 1))[np.arange(len(many)), place]
    without = bundle.margins(many).reshape(len(values), len(others)).mean(axis=1)
    fall: Floats = bundle.margins(values) - without
    return fall


def _correlations(first: Floats, second: Floats) -> Floats:
    a, b = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    result: Floats = np.where(scale > 0, (a * b).sum(axis=1) / np.where(scale > 0, scale, 1), 1.0)
    return result
