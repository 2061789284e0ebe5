"""A complete model card for tests that write a bundle without a training."""

from training.card import card
from training.labels.targets import load_target


def facts(target: str = "churn", version: str = "v1", **other) -> card.CardFacts:
    """Returns the facts of a small model."""
    content = {
        "data": {"labelled_rows": "1,000", "data_hash": "abc"},
        "dates": ("2026-01-01", "2026-03-01", 3),
        "folds": [{"fold": "test_1", "train_rows": 700, "train_positives": 70, "test_rows": 300, "test_positives": 30,
                   "train_as_of": ["2026-01-01"], "test_as_of": ["2026-03-01"]}],
        "metrics": {"auc": 0.75, "auc_ci": [0.7, 0.8], "base_rate": 0.02, "mean_propensity": 0.02,
                    "calibration_error": 0.001, "calibration_error_ci": [0.0, 0.002], "rows": 300,
                    "by_class": {"assisted": {"rows": 200, "auc": 0.7, "auc_ci": [0.6, 0.8]},
                                 "bundled": {"rows": 20, "note": "too few"}},
                    "by_slice": {"province": {"Beijing": {"rows": 150, "positives": 4, "expected": 3.5, "observed_expected": 1.14, "observed_expected_ci": [0.3, 2.0]}}},
                    "deciles": [{"rows": 30, "observed": 1, "expected": 0.8, "low": 0.1, "high": 2.5, "is_outside": False}]},
        "method": "isotonic",
        "importance": {"manual_calls_count_30d": 0.3},
        "by_dimension": {"calling_habits": 0.3},
        "dimensions": {"calling_habits": 1},
    }  # fmt: skip
    return card.CardFacts(load_target(target), version, **(content | other))


def pages(target: str = "churn", version: str = "v1", **other) -> dict[str, bytes]:
    """Returns the four files of a complete card."""
    return card.pages(facts(target, version, **other))
