"""Loads Feast in a quarter of its usual time, with its telemetry off."""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from typing import Any

_lock = threading.Lock()


def load_feast() -> Any:
    """Returns the module `feast`.

    Feast decorates its classes with `typeguard.typechecked`, which recompiles their source at import: 6 of 8 CPU
    seconds. Our objects are built from typed code and checked by mypy, so that decorator does nothing while Feast is
    being imported; afterwards it is itself again for everybody else.
    """
    with _lock:
        if "feast" not in sys.modules:
            os.environ.setdefault("FEAST_USAGE", "False")
            typeguard: Any = import_module("typeguard")  # Feast's dependency, not ours
            real = typeguard.typechecked
            typeguard.typechecked = _unchanged
            try:
                import feast
            finally:
                typeguard.typechecked = real
        import feast

        return feast


def _unchanged(target: Any = None, **_: Any) -> Any:
    return target if target is not None else lambda inner: inner
