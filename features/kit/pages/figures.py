"""Pictures as PNG bytes, the same from run to run: a figure is opened, drawn on, saved and gone.

Pictures carry identifiers: matplotlib's own font has no Chinese, which stands on the page around them. A title may
be Chinese and English where a font of the machine has both.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.kit.language import Text

DPI = 100
UNDRAWABLE = "..."
CHINESE_FONTS = re.compile(r"cjk|wqy|sourcehan|simhei|simsun|msyh|pingfang|droidsansfallback", re.IGNORECASE)
"""File names of fonts with Chinese letters: Noto, WenQuanYi, Source Han and those of Windows and macOS."""
FONT_HINT = (
    "pictures have English titles alone, for no font here has Chinese letters: install one "
    "(Debian: apt-get install fonts-noto-cjk) and draw again"
)


def open_figure(width: float, height: float, *, rows: int = 1, columns: int = 1, **subplots: Any) -> tuple[Any, Any]:
    """Returns a figure of so many inches that pyplot does not know, and its axes: one, or an array of several.

    `subplots` is what `Figure.subplots` takes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **subplots)


def png(figure: Any, *, is_tight: bool = False) -> bytes:
    """Returns a figure's PNG; `is_tight` cuts it to what is drawn, for a figure whose labels lie outside."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=DPI, metadata={"Software": None}, bbox_inches="tight" if is_tight else None
    )
    return buffer.getvalue()


def png_of_library(draw: Callable[[], Any]) -> bytes:
    """Returns the PNG of what a library draws with pyplot; its figures, backend, settings and warnings do not stay.

    `draw` draws on pyplot's current figure, or opens one.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    backend, open_before = mpl.get_backend(), set(plt.get_fignums())
    with warnings.catch_warnings(action="ignore"), mpl.rc_context():  # shap and numba warn about versions to come
        plt.switch_backend("Agg")
        try:
            plt.figure()
            draw()
            return png(plt.gcf(), is_tight=True)
        finally:
            for number in set(plt.get_fignums()) - open_before:
                plt.close(number)
            with suppress(ImportError):  # a backend that was named but cannot be loaded here
                plt.switch_backend(backend)


def drawable(text: str) -> str:
    """Returns a value as a picture can show it: the font has no letters beyond Latin ones, and `$` begins a formula."""
    return text.replace("$", r"\$") if text.isascii() else UNDRAWABLE


@lru_cache(maxsize=1)
def chinese_font() -> Path | None:
    """Returns the file of a font of this machine that has Chinese letters, or None."""
    from matplotlib.font_manager import findSystemFonts

    found = sorted(Path(name) for name in findSystemFonts())
    return next((path for path in found if CHINESE_FONTS.search(path.name)), None)


def set_title(figure: Any, title: Text) -> None:
    """Puts a title over a figure, Chinese above English; English alone where no font has Chinese letters."""
    from matplotlib.font_manager import FontProperties

    font = chinese_font()
    if font is None:
        figure.suptitle(title.en, fontsize=11)
    else:
        figure.suptitle(f"{title.zh}\n{title.en}", fontproperties=FontProperties(fname=str(font), size=11))
