"""Windows as sums: what the reductions of a large feed's features need is added up in one pass for many dates.

A feature's expression stays the only place that says what it is. Here it is taken apart: each reduction over rows
becomes a column of whole numbers per row, and a column of a table with one row per customer of what was added up,

    count(where: days_ago <= 30 and is_used)  ->  rows: 1 if is_used else 0   ->  sums: add_0_30
    sum(data_kb, where: days_ago <= 7)        ->  rows: data_kb               ->  sums: add_1_7, where any was known

and the rest of the expression runs over those. `passes.py` adds up; a source whose expressions cannot be taken apart
is reduced row by row, as all sources are on Spark and where a base is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from features.portraits.dimensions.spec import Definition
from features.portraits.sources.sources import Summed

EVER = 10_000
"""The edge of a reduction without a window: all days in reach."""

_OF_THE_DATE = ("days_since_", "is_this_month", "days_ago")
"""Columns that differ from date to date; a column of rows that serves many dates holds none of them."""


class Sums(TypedDict):
    """How one source is added up; texts and lists, so that it is kept with the plan."""

    prepared: str  # query over the staged table, which gets the name `rows_<source>`
    rows: str  # query over `rows_<source>`: whose, when, known when, and the columns
    flags: list[str]  # the columns that hold only 0 and 1
    outputs: list[list[Any]]  # (name, how, column, edge) of the sums; how is `add`, `least`, `most` or `usual`
    needs: str  # query over the sums: for each column of `usual` how much of it makes a day usual; empty without
    usual: list[str]  # these columns
    features: str  # query over `sums_<source>`, one row per customer


class NotASumError(ValueError):
    """A reduction that does not follow from sums of its rows."""


def sums_of(
    name: str, rows: Any, summed: Summed, own: Sequence[Definition], compile_sql: Callable[[Any], str]
) -> Sums | None:
    """Returns how a source is added up; None if an expression over it cannot be taken apart.

    Args:
        name: The source.
        rows: Its rows as an Ibis table.
        summed: What is said of it.
        own: The features over it.
        compile_sql: The engine's.
    """
    import ibis

    judged = {summed.flag: "boolean"} if summed.flag else {}
    seen = ibis.table({**rows.schema(), "newest_day": "int64", **judged}, name=f"rows_{name}")
    values = {one.feature.name: one.value(seen) for one in own}
    before = {sum_name: value(seen) for sum_name, value in summed.sums.items()}
    apart = _Apart(seen, summed.flag)
    try:
        for value in (*values.values(), *before.values()):
            apart.learn(value)
        least = summed.least(ibis.table(dict.fromkeys(before, "int64"), name="before")) if summed.flag else {}
        usual = [apart.column(_whole(seen[column])) for column in least]  # 0 where unknown, less than any least
    except NotASumError:
        return None
    table = ibis.table(
        {"customer_id": "string", "newest_day": "int64", **{output[0]: "int64" for output in apart.outputs}},
        name=f"sums_{name}",
    )
    needs = ""
    if summed.flag:
        known = table.select(**{sum_name: apart.rewritten(value, table) for sum_name, value in before.items()})
        needs = compile_sql(known.select(**dict(zip(usual, summed.least(known).values(), strict=True))))
    kept = ("customer_id", "days_ago", "event_at", "known_at", "superseded_at")
    return {
        "prepared": compile_sql(rows),
        "rows": compile_sql(seen.select(*kept, **apart.columns)),
        "flags": [column for column, value in apart.columns.items() if value.type().is_int8()],
        "outputs": apart.outputs,
        "needs": needs,
        "usual": usual,
        "features": compile_sql(
            table.select("customer_id", **{one: apart.rewritten(value, table) for one, value in values.items()})
        ),
    }


def sum_columns(sums: Sums) -> str:
    """Returns the SELECT list over a table of sums that gives them the type that DuckDB gives a sum."""
    wide = ", ".join(f"CAST({each[0]} AS HUGEINT) AS {each[0]}" for each in sums["outputs"] if each[1] == "add")
    return f"* REPLACE ({wide})"


class _Apart:
    """Takes expressions over one table of rows apart."""

    def __init__(self, seen: Any, flag: str) -> None:
        self.columns: dict[str, Any] = {}
        self.outputs: list[list[Any]] = []
        self._seen = seen
        self._flag = flag

    def learn(self, expression: Any) -> None:
        """Notes the columns and sums of an expression. Raises NotASumError."""
        import ibis.expr.operations as ops

        for reduction in expression.op().find(ops.Reduction):
            self._over(reduction, None)

    def rewritten(self, expression: Any, table: Any) -> Any:
        """Returns the expression over the table of sums."""
        import ibis.expr.operations as ops

        found = expression.op().find(ops.Reduction)
        return expression.op().replace({one: self._over(one, table).op() for one in found}).to_expr()

    def column(self, expression: Any) -> str:
        """Returns the name of a column of rows, noted if it is new. Raises NotASumError if it depends on the date."""
        import ibis.expr.operations as ops

        for field in expression.op().find(ops.Field):
            if field.name.startswith(_OF_THE_DATE) or field.name in ("newest_day", self._flag):
                raise NotASumError(field.name)
        for name, known in self.columns.items():
            if known.equals(expression):
                return name
        name = f"c{len(self.columns)}"
        self.columns[name] = expression
        return name

    def _output(self, how: str, expression: Any, edge: int, table: Any) -> Any:
        column = "" if expression is None else self.column(expression)
        output = [f"{how}_{column}_{edge}", how, column, edge]
        if output not in self.outputs:
            self.outputs.append(output)
        return self._seen.days_ago if table is None else table[output[0]]

    def _over(self, reduction: Any, table: Any) -> Any:
        """Returns a reduction as an expression over sums; without a table it is only noted."""
        import ibis
        import ibis.expr.operations as ops

        edge, flags = EVER, []
        for part in _conjuncts(reduction.where):
            if isinstance(part, ops.LessEqual) and _is_days_ago(part.left) and isinstance(part.right, ops.Literal):
                edge = min(edge, part.right.value)
            else:
                flags.append(part.to_expr())
        flag = ibis.and_(*flags) if flags else ibis.literal(value=True)
        one = ibis.ifelse(flag, 1, 0).cast("int8")
        if isinstance(reduction, ops.CountStar):
            return self._output("add", one, edge, table)
        if isinstance(reduction, ops.Count | ops.Sum):
            return self._sum(reduction, flag, edge, table, flagged=bool(flags))
        if isinstance(reduction, ops.Min | ops.Max) and edge == EVER:
            return self._extreme(reduction, flags, one, table)
        raise NotASumError(type(reduction).__name__)

    def _sum(self, reduction: Any, flag: Any, edge: int, table: Any, *, flagged: bool) -> Any:
        import ibis
        import ibis.expr.operations as ops

        value = reduction.arg.to_expr()
        present = ibis.ifelse(flag & value.notnull(), 1, 0).cast("int8")
        number = self._output("add", present, edge, table)
        if isinstance(reduction, ops.Count):
            return number
        if not value.type().is_integer():
            raise NotASumError("a sum of what is no whole number depends on the order of its rows")
        total = self._output("add", _whole(ibis.ifelse(flag, value, 0) if flagged else value), edge, table)
        return ibis.ifelse(number > 0, total, None)

    def _extreme(self, reduction: Any, flags: Sequence[Any], one: Any, table: Any) -> Any:
        import ibis.expr.operations as ops

        name, is_least = _name(reduction.arg), isinstance(reduction, ops.Min)
        if name == "days_ago" and is_least:
            if len(flags) == 1 and _name(flags[0].op()) == self._flag:
                return self._output("usual", None, EVER, table)
            return self._output("least", one, EVER, table)
        if name == "days_ago" and not flags:
            return self._output("most", one, EVER, table)
        if name == "newest_day" and not flags:
            return self._seen.days_ago if table is None else table.newest_day
        raise NotASumError(type(reduction).__name__)


def _whole(value: Any) -> Any:
    return value.fill_null(0).cast("int64")


def _conjuncts(condition: Any) -> list[Any]:
    """Returns what must all be true; `fill_null(False)` says nothing more of a condition than that."""
    import ibis.expr.operations as ops

    if condition is None:
        return []
    if isinstance(condition, ops.Coalesce) and isinstance(condition.arg[-1], ops.Literal) and len(condition.arg) == 2:
        return _conjuncts(condition.arg[0]) if condition.arg[1].value is False else [condition]
    if isinstance(condition, ops.And):
        return _conjuncts(condition.left) + _conjuncts(condition.right)
    return [condition]


def _name(operation: Any) -> str | None:
    import ibis.expr.operations as ops

    return operation.name if isinstance(operation, ops.Field) else None


def _is_days_ago(operation: Any) -> bool:
    return _name(operation) == "days_ago"
