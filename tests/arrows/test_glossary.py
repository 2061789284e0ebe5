"""Every public noun of the API and of the configuration stands in GLOSSARY.md."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from features.feeds.mapping.sources import Source
from features.kit.home import Home
from serving.api.app import create_app
from training.labels.targets import Target

ROOT = Path(__file__).parents[2]


def _explained() -> set[str]:
    rows = [row for row in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    assert all(len([cell for cell in row.strip("|").split("|") if cell.strip()]) == 3 for row in rows)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def _of_api(folder: Path) -> set[str]:
    api = create_app(Home.at(folder)).openapi()
    operations = [operation for path in api["paths"].values() for operation in path.values()]
    return (
        {part for path in api["paths"] for part in path.strip("/").split("/") if not part.startswith("{")}
        | {tag for operation in operations for tag in operation.get("tags", ())}
        | {parameter["name"] for operation in operations for parameter in operation.get("parameters", ())}
        | {name for schema in api["components"]["schemas"].values() for name in schema.get("properties", {})}
    )


def _of_configuration() -> set[str]:
    pages = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "configs").glob("*.yaml")]
    return {key for page in pages for key in page} | set(Target.model_fields) | set(Source.model_fields)


def test_every_public_noun_is_explained(tmp_path: Path) -> None:
    """No name of a path, parameter, field or key is missing in the glossary, and none is explained that is nowhere."""
    wanted = _of_api(tmp_path) | _of_configuration()
    assert len(wanted) > 150
    assert wanted - _explained() == set()
    assert _explained() - wanted == set()


def test_a_noun_that_nobody_explained_is_noticed(tmp_path: Path) -> None:
    """The canary: without its row a field of the API is missing."""
    assert "propensity" in _of_api(tmp_path)
    assert (_of_api(tmp_path) | {"made_up"}) - _explained() == {"made_up"}
