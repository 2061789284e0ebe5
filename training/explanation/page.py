"""`insight explain`: why a model scores as it does, for everybody and for single customers, as pictures and one page.

bundle + portraits of one day --contributions--> summary, dependence, dimensions, checks
                                             --> waterfall and force of each asked customer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.arrays import Vectors
from features.kit.errors import NotFoundError, NotReadyError
from features.kit.files import write_bytes, write_json
from features.kit.home import Home
from features.kit.language import Text
from features.kit.pages.figures import FONT_HINT, chinese_font
from features.kit.pages.pages import render
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from training import bundle
from training.card.card_texts import CardTexts, load_texts
from training.explanation import pictures
from training.explanation.checks import deletion, stability
from training.explanation.summary import by_dimension, dimension_sums, importance
from training.labels.targets import remedy_for

DEPENDENCE = 6


def explain_model(
    home: Home,
    target: str,
    out: Path,
    *,
    version: str | None = None,
    as_of: date | None = None,
    customers: Sequence[str] = (),
    seed: int = 7,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Writes pictures, `explanation.json` and `index.html` into a folder and returns the content of the JSON.

    By default it is the champion on the newest portraits. Waterfall and force are drawn of `customers`.

    Raises:
        NotReadyError: If there is no champion or no portrait.
        NotFoundError: If a customer has no portrait that day.
    """
    folder = bundle.champion(home.bundles, target) if version is None else home.bundles / target / version
    if folder is None or not folder.is_dir():
        remedy = remedy_for(target) if version is None else "insight models"
        raise NotReadyError(f"{target}: there is no model {version or ''}".rstrip(), remedy=remedy)
    model = bundle.load(folder)
    portraits = Portraits.open(home)
    day = as_of or portraits.as_of_dates()[-1]
    table = portraits.read(day, ["customer_id", *portraits.feature_list.names])
    ids: list[str] = table["customer_id"].to_pylist()
    unknown = [one for one in customers if one not in set(ids)]
    if unknown:
        raise NotFoundError(f"customer '{unknown[0]}' has no portrait of {day}", remedy="check --customer and --as-of")
    places = model.positions(portraits.feature_list.features, portraits.feature_list.identity)
    values = np.ascontiguousarray(encode(table, portraits.feature_list)[:, places])
    names = model.manifest.feature_names
    dimensions = [portraits.feature_list.features[place].dimension for place in places]
    few = np.sort(np.random.default_rng(seed).permutation(len(values))[: pictures.SUMMARY_ROWS])
    with progress.step(f"{target}: contributions"):
        contributions = model.contributions(values[few])
    strongest, texts = importance(contributions, names), load_texts()
    result: dict[str, Any] = {
        "target": target, "version": model.manifest.version, "as_of": day.isoformat(), "customers": len(ids),
        "explained": len(few), "importance": strongest, "by_dimension": by_dimension(contributions, dimensions),
    }  # fmt: skip
    with progress.step(f"{target}: checks"):
        result["stability"] = asdict(stability(model, values[few], seed=seed))
        result["deletion"] = asdict(deletion(model, values[few], values, seed=seed))
    with progress.step(f"{target}: pictures"):
        drawn = {
            "summary.png": pictures.summary(contributions, values[few], names, seed=seed),
            "dimensions.png": pictures.dimensions_picture(result["by_dimension"]),
        }
        for name in list(strongest)[:DEPENDENCE]:
            subject = texts.dimensions.get(dimensions[list(names).index(name)])
            drawn[f"dependence_{bundle.model_name(name)}.png"] = pictures.dependence(
                contributions, values[few], names, name, subject and _heading(subject)
            )
        rows = [ids.index(one) for one in customers]
        result["of_customers"] = []
        for row in rows:
            of_customer, told = _one_customer(model, values[row : row + 1], names, dimensions, ids[row], day)
            drawn |= of_customer
            result["of_customers"].append(told)
    for name, content in drawn.items():
        write_bytes(out / name, content)
    result["pictures"] = list(drawn)
    result["note"] = "" if chinese_font() else FONT_HINT
    write_json(out / "explanation.json", result)
    write_bytes(out / "index.html", page(result, texts).encode())
    return result


def _heading(dimension: Text) -> Text:
    """Returns a dimension's name without what it holds. Example: "Contract: plan, terms" gives "Contract"."""
    return Text(zh=dimension.zh.split(":")[0], en=dimension.en.split(":")[0])


def _one_customer(
    model: bundle.LoadedBundle, values: Vectors, names: Sequence[str], dimensions: Sequence[str],
    customer_id: str, day: date,
) -> tuple[dict[str, bytes], dict[str, Any]]:  # fmt: skip
    row = model.contributions(values)[0]
    base, own = float(row[-1]), row[:-1]
    shown = [_shown(feature, value) for feature, value in zip(model.manifest.features, values[0], strict=True)]
    title = f"{model.manifest.target} {model.manifest.version}, customer {customer_id}, as of {day}"
    key = bundle.model_name(customer_id)
    order = np.argsort(-np.abs(own), kind="stable")[: pictures.MOST]
    told = {
        "customer_id": customer_id,
        "raw_score": float(model.margins(values)[0]),
        "propensity": float(model.propensity(model.margins(values))[0]),
        "mean_raw_score": base,
        "strongest": [
            {"feature": names[place], "value": shown[place], "contribution": round(float(own[place]), 5)}
            for place in order.tolist()
        ],
        "by_dimension": {
            name: round(float(sums[0]), 5) for name, sums in dimension_sums(row.reshape(1, -1), dimensions).items()
        },
    }
    waterfalls = {
        f"waterfall_{key}.png": pictures.waterfall(base, own, shown, names, title=title),
        f"force_{key}.png": pictures.force(base, own, names, title=title),
    }
    return waterfalls, told


def _shown(feature: bundle.BundleFeature, value: np.float32) -> str:
    if np.isnan(value):
        return "blank"
    if feature.kind == "category":
        place = int(value)
        return feature.categories[place] if place < len(feature.categories) else "another"
    return f"{float(value):.6g}"


def page(result: dict[str, Any], texts: CardTexts) -> str:
    """Returns the page of an explanation, Chinese beside English."""
    zh = {name: words.zh for name, words in texts.dimensions.items()}
    rows = [(zh.get(name, name), name, value) for name, value in result["by_dimension"].items()]
    title = f"{result['target']} {result['version']} · {result['as_of']}"
    return render("training.explanation", "explanation.html.j2", locale="zh", title=title, dimensions=rows, **result)
