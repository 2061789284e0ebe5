"""Configuration: YAML in, one frozen and closed pydantic object out. A misspelt key is an error that names the key."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from features.kit.errors import ConfigurationError
from features.kit.terminal.spelling import did_you_mean


class Config(BaseModel):
    """The base of every configuration and request object: frozen, closed, no silent conversions of unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def content_hash(self) -> str:
        """Returns 16 hex digits that change whenever anything that could change an answer changes."""
        payload = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(payload).hexdigest()[:16]


ConfigT = TypeVar("ConfigT", bound=BaseModel)
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # of a configuration, of a dataclass


class _UniqueKeyLoader(yaml.CSafeLoader):
    """A safe loader that refuses a key written twice; plain YAML would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file.

    Raises:
        ConfigurationError: If the file is missing, is not UTF-8, is not YAML, or holds no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}", remedy="save it as UTF-8") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        place = f" line {where.line + 1}" if where else ""
        raise ConfigurationError(f"{path}:{place} {getattr(error, 'problem', error)}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def load_config(kind: type[ConfigT], path: Path) -> ConfigT:
    """Returns the configuration object of `kind` in a YAML file.

    Raises:
        ConfigurationError: Naming the file and the key, with the nearest known key for a misspelt one.
    """
    return parse_config(kind, load_yaml(path), source=str(path))


def parse_config(kind: type[ConfigT], content: dict[str, Any], *, source: str) -> ConfigT:
    """Returns `content` as a `kind`; `source` is named in the error. Raises ConfigurationError."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(_first_problem(_known_keys(kind), error, source)) from None


def parse_data(kind: Any, content: dict[str, Any], *, source: str) -> Any:
    """Returns plain data as a mapping of any type, dataclasses included; unknown keys are refused."""
    try:
        return TypeAdapter(kind, config=ConfigDict(extra="forbid")).validate_python(content)
    except ValidationError as error:
        raise ConfigurationError(_first_problem((), error, source)) from None


def load_data(kind: Any, path: Path) -> Any:
    """Returns a data file that ships beside a module as a mapping of any type. Raises ConfigurationError."""
    return parse_data(kind, load_yaml(path), source=str(path))


def _first_problem(known: Collection[str], error: ValidationError, source: str) -> str:
    # a misspelt key also leaves the right one missing; the misspelling is what the user can see and mend.
    problems = error.errors(include_url=False, include_input=False)
    first = next((problem for problem in problems if problem["type"] in _UNKNOWN), problems[0])
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] in _UNKNOWN:
        hint = did_you_mean(str(first["loc"][-1]), known)
        return f"{source}: unknown key '{key}'{hint}{more}"
    if first["type"] == "missing":
        return f"{source}: the key '{key}' is missing{more}"
    # "Value error, " is pydantic's own prefix; a rule over the whole file names its key itself.
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{source}: {message}{more}" if not first["loc"] else f"{source}: '{key}': {message}{more}"


def check_known(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuses a value outside a closed set, with the nearest one that it may have been meant to be.

    Raises:
        ValueError: Naming the place and the value; inside a validator it becomes a ConfigurationError.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, otherwise=f"; known: {', '.join(sorted(known))}")
            raise ValueError(f"{where}: unknown '{name}'{hint}")


def _known_keys(kind: type[BaseModel]) -> list[str]:
    """Returns the keys of a model and of the models inside it."""
    keys: list[str] = []
    todo, seen = [kind], set()
    while todo:
        model = todo.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            keys.append(field.alias or name)
            todo += [
                part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)
            ]
    return keys


def _parts(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [annotation, *(part for arg in inner for part in _parts(arg))]


def config_path(name: str) -> Path:
    """Returns the path of a file under `configs/`: the working directory's if it has one, else the shipped copy."""
    shipped, local = _places(name)
    return local if local.exists() or not shipped.exists() else shipped


def config_files(folder: str) -> dict[str, Path]:
    """Returns the YAML files of a folder under `configs/` by name: the shipped ones and the working directory's own.

    A file of the working directory adds to the shipped ones, and takes the place of one of its name.
    """
    return {path.stem: path for place in _places(folder) for path in sorted(place.glob("*.yaml"))}


def merged_config(kind: type[ConfigT], name: str) -> ConfigT:
    """Returns a configuration whose tables are the shipped ones with the working directory's entries added.

    Raises:
        ConfigurationError: Naming the file and the key.
    """
    return parse_config(kind, merged_yaml(name), source=str(config_path(name)))


def merged_yaml(name: str) -> dict[str, Any]:
    """Returns the content that `merged_config` checks. Raises ConfigurationError naming the file."""
    content: dict[str, Any] = {}
    for path in (path for path in _places(name) if path.exists()):
        for key, value in load_yaml(path).items():
            both = isinstance(value, dict) and isinstance(content.get(key), dict)
            content[key] = content[key] | value if both else value
    return content


def _places(name: str) -> tuple[Path, Path]:
    """Returns where the shipped copy lies, and where the working directory's would."""
    return Path(str(resources.files("features"))).parent / "configs" / name, Path("configs") / name
