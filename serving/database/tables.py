"""Every table of the operational database: one `tables_<room>.py` per room, found by its name."""

from __future__ import annotations

import importlib
import pkgutil

from sqlalchemy import MetaData

import serving.database
from serving.database.base import Base


def all_tables() -> MetaData:
    """Returns the metadata with the tables of every room loaded."""
    for module in pkgutil.iter_modules(serving.database.__path__):
        if module.name.startswith("tables_"):
            importlib.import_module(f"{serving.database.__name__}.{module.name}")
    return Base.metadata
