"""The API's slices are siblings: each answers with its own response models."""

import inspect
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from serving.api.answers import FileAnswer
from serving.api.app import SLICES


def services():
    """Returns the service module of every slice that has one."""
    return [import_module(f"{piece.__package__}.service") for piece in SLICES if piece.__package__ != "serving.api"]


def loose(module):
    """Returns the functions of a service, called with the process's context, that answer with something shapeless."""
    answering = [
        function
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and "context" in inspect.signature(function).parameters
        if not function.__name__.startswith(("_", "check_"))
    ]
    return [
        function.__name__
        for function in answering
        for hint in [get_type_hints(function)["return"]]
        if hint not in (bytes, FileAnswer)
        and not all(issubclass(kind, BaseModel | None) for kind in get_args(hint) or (hint,))
    ]


def test_services_answer_with_response_models():
    """What a service returns is a response model or a file's bytes, so no field can be answered that no schema has."""
    assert len(services()) == len(SLICES) - 1 == 9
    assert {module.__name__: loose(module) for module in services() if loose(module)} == {}


@pytest.mark.parametrize("shape", [dict, dict[str, str], tuple[BaseModel, int], tuple[bytes, list[str]]])
def test_a_service_that_answers_with_a_dict_is_found(shape):
    """Canary: a service function that promises a dict, or a tuple, is named."""
    module = ModuleType("made_up")

    def answer(context: SimpleNamespace) -> Any:
        return context

    answer.__annotations__["return"] = shape
    answer.__module__ = "made_up"
    vars(module)["answer"] = answer
    assert loose(module) == ["answer"]
