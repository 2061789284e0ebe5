"""Every public noun of the API and of the configuration stands in GLOSSARY.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from features.feeds.mapping.sources import Source
from features.feeds.proposal.words import Words
from features.kit.home import Home
from features.kit.language import Text
from features.portraits.settings import PortraitSettings
from features.store.settings import StoreSettings
from serving.api.app import create_app
from serving.no_sale import NoSaleSettings
from serving.outreach.settings import ClaimSettings, OutreachSettings
from serving.product_fit.settings import FitSettings
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.settings import ScoreSettings
from training.card.card_texts import CardTexts
from training.labels.targets import Target
from training.monitor.settings import MonitorSettings

ROOT = Path(__file__).parents[2]
MODELS: dict[str, type[BaseModel]] = {
    "configs/cards.yaml": CardTexts,
    "configs/feature_store.yaml": StoreSettings,
    "configs/mapping_words.yaml": Words,
    "configs/monitoring.yaml": MonitorSettings,
    "configs/no_sale.yaml": NoSaleSettings,
    "configs/outreach.yaml": OutreachSettings,
    "configs/portraits.yaml": PortraitSettings,
    "configs/product_fit.yaml": FitSettings,
    "configs/reasons.yaml": ReasonBook,
    "configs/serving.yaml": ScoreSettings,
    "configs/sources/*.yaml": Source,
    "configs/targets/*.yaml": Target,
}
"""Files of a user -> the model that checks them."""
API = ""
"""The sections of the glossary that belong to no configuration file."""


def _explained() -> dict[str, set[str]]:
    """Returns the explained names of each configuration file, and under `API` those of all other sections."""
    found: dict[str, set[str]] = {}
    file = API
    for line in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            file = next(iter(re.findall(r"`(configs/[^`]+)`", line)), API)
        elif line.startswith("| `"):
            cells = line.strip("|").split("|")
            assert [bool(cell.strip()) for cell in cells] == [True, True, True], line
            found.setdefault(file, set()).update(re.findall(r"`([^`]+)`", cells[0]))
    return found


def _of_api(folder: Path) -> set[str]:
    api = create_app(Home.at(folder)).openapi()
    operations = [operation for path in api["paths"].values() for operation in path.values()]
    return (
        {part for path in api["paths"] for part in path.strip("/").split("/") if not part.startswith("{")}
        | {tag for operation in operations for tag in operation.get("tags", ())}
        | {parameter["name"] for operation in operations for parameter in operation.get("parameters", ())}
        | {name for schema in api["components"]["schemas"].values() for name in schema.get("properties", {})}
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yields the models in a type, those inside containers and alternatives too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _keys(model: type[BaseModel], above: str = "") -> set[str]:
    """Returns every key of a configuration file with those above it: `claim`, `claim.days`; not the two languages."""
    keys = set()
    for name, field in model.model_fields.items():
        if issubclass(model, Text) and name in Text.model_fields:
            continue
        key = above + (field.alias or name)
        keys |= {key}.union(*(_keys(inner, f"{key}.") for inner in _models_in(field.annotation)))
    return keys


def _covers(name: str, key: str) -> bool:
    """Returns whether a name of the glossary means a key: `days` and `claim.days` mean `claim.days`."""
    return key == name or key.endswith(f".{name}")


def _without_row(model: type[BaseModel], names: set[str]) -> set[str]:
    return {key for key in _keys(model) if not any(_covers(name, key) for name in names)}


def _without_model(configs: Path) -> set[str]:
    """Returns the YAML files below a folder `configs` that no model of this page checks."""
    files = {path.relative_to(configs.parent) for path in configs.rglob("*.yaml")}
    return {str(file) for file in files if not any(file.match(pattern) for pattern in MODELS)}


def test_every_noun_of_the_api_is_explained(tmp_path: Path) -> None:
    """No name of a path, parameter or field is missing in the glossary, and none is explained that is nowhere."""
    wanted = _of_api(tmp_path) | set(Text.model_fields)
    assert len(wanted) > 100
    assert wanted - _explained()[API] == set()
    assert _explained()[API] - wanted == set()


@pytest.mark.parametrize("file", MODELS)
def test_every_key_of_a_configuration_file_is_explained(file: str) -> None:
    """No key at any depth is missing in the file's own section, and none is explained that the file has not."""
    names, keys = _explained()[file], _keys(MODELS[file])
    assert _without_row(MODELS[file], names) == set()
    assert {name for name in names if not any(_covers(name, key) for key in keys)} == set()


def test_every_configuration_file_has_its_model() -> None:
    """Each YAML file is walked through the model that checks it: all its keys are fields of that model."""
    assert _without_model(ROOT / "configs") == set()
    for pattern, model in MODELS.items():
        pages = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob(pattern)]
        assert pages, pattern
        assert {key for page in pages for key in page} - set(model.model_fields) == set(), pattern


def test_a_noun_that_nobody_explained_is_noticed(tmp_path: Path) -> None:
    """The canary: without its row a field of the API is missing."""
    assert "propensity" in _of_api(tmp_path)
    assert (_of_api(tmp_path) | {"made_up"}) - _explained()[API] == {"made_up"}


def test_a_nested_key_that_nobody_explained_is_noticed() -> None:
    """The canary: a new key inside `claim` is missing, though `share` stands in the glossary for `control`."""

    class Claim(ClaimSettings):
        rest_minutes: int
        share: float

    class Outreach(OutreachSettings):
        claim: Claim

    names = _explained()["configs/outreach.yaml"]
    assert _without_row(Outreach, names) == {"claim.rest_minutes", "claim.share"}


def test_a_configuration_file_without_a_model_is_noticed(tmp_path: Path) -> None:
    """The canary: a new file, also one in a new folder, is walked by nobody until it has its model."""
    (tmp_path / "configs" / "prices").mkdir(parents=True)
    for name in ("new.yaml", "serving.yaml", "prices/new.yaml"):
        (tmp_path / "configs" / name).touch()
    assert _without_model(tmp_path / "configs") == {"configs/new.yaml", "configs/prices/new.yaml"}
