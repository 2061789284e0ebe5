"""The reasons of a few customers on any day, found now; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow.parquet as pq

from features.kit.home import Home
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from serving.scoring.champion import load_champion, scorer_of
from serving.scoring.settings import load_settings


def explain_customers(home: Home, target: str, as_of: date, ids: Sequence[str]) -> dict[str, list[str]]:
    """Returns the reason codes of customers by the target's champion; without a portrait they are left out."""
    portraits = Portraits.open(home)
    features = portraits.feature_list
    scorer = scorer_of(load_champion(home, target, check_in_child=False), portraits)
    table = pq.read_table(
        portraits.path(as_of), columns=["customer_id", *features.names, "facts"],
        filters=[("customer_id", "in", list(ids))], partitioning=None,
    )  # fmt: skip
    facts, most = table["facts"].to_pylist(), load_settings().reasons.most
    codes = scorer.reason_codes(encode(table, features), facts, most=most)
    return dict(zip(table["customer_id"].to_pylist(), codes, strict=True))
