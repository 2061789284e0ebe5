"""Which of the files is the control file that counts the others: one row a file, its name and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from features.feeds.proposal.seen.files import FileLook
from features.feeds.proposal.seen.views import View


@dataclass(frozen=True)
class Counted:
    """A control file."""

    view: str
    path: str
    file: str  # the column that names the file
    rows: str  # the column that counts its rows
    delimiter: str
    agrees: int  # files whose rows are as counted
    differs: tuple[str, ...]  # files whose rows are not


def find_check_file(views: Sequence[View], data: Sequence[FileLook]) -> Counted | None:
    """Returns the view whose rows name other files of its folder and count them, if there is one."""
    for view in views:
        folder = PurePosixPath(view.first.name).parent
        there = {PurePosixPath(look.name).name: look for look in data if PurePosixPath(look.name).parent == folder}
        for name in (column.name for column in view.columns if column.kind in ("text", "category")):
            named = [str(value).strip() for value in view.table[name].to_pylist()]
            if not named or sum(value in there for value in named) < 0.9 * len(named):
                continue
            best = _counting(view, named, there)
            if best is not None:
                column, agrees, differs = best
                return Counted(view.name, view.pattern, name, column, view.first.delimiter, agrees, differs)
    return None


def _counting(view: View, named: list[str], there: dict[str, FileLook]) -> tuple[str, int, tuple[str, ...]] | None:
    """Returns the column that counts most files rightly, how many, and the files that it counts otherwise."""
    best: tuple[str, int, tuple[str, ...]] | None = None
    for column in (column.name for column in view.columns if column.kind in ("integer", "flag")):
        counts = dict(zip(named, view.table[column].to_pylist(), strict=True))
        whole = [name for name in counts if name in there and there[name].is_whole]
        wrong = tuple(name for name in whole if str(counts[name]).strip() != str(there[name].rows))
        if whole and len(wrong) * 2 < len(whole) and (best is None or len(wrong) < len(best[2])):
            best = (column, len(whole) - len(wrong), wrong)
    return best
