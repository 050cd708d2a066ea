"""Which single changes a source file offers: each is one place in the text and what stands there instead.

Comparisons are loosened, tightened and negated, arithmetic is swapped, operands change sides, numbers go up and down
by one, signs and truth values flip, conditions are negated, neighbouring arguments are exchanged, a function gives way
to its counterpart (``min`` to ``max``), and a statement that acts is taken out. Docstrings, annotations, texts, the
arguments of an exception, log lines, decorators and imports are left alone: no test should rest on them.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

MODULE = "<module>"
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
COUNTERPARTS = {
    "min": "max",
    "any": "all",
    "floor": "ceil",
    "argmin": "argmax",
    "minimum": "maximum",
    "nanmin": "nanmax",
    "zeros": "ones",
    "sum": "max",
    "clamp_min": "clamp_max",
    "logical_and": "logical_or",
}
COUNTERPARTS |= {after: before for before, after in COUNTERPARTS.items() if before != "sum"} | {"max": "min"}
SYMMETRIC = {
    "broadcast_shapes",
    "min",
    "max",
    "minimum",
    "maximum",
    "union",
    "intersection",
    "allclose",
    "logical_and",
    "logical_or",
}
LOGS = {"debug", "info", "warning", "error", "exception", "log", "warn", "print"}
UNTOUCHED = (ast.Import, ast.ImportFrom, ast.Assert, ast.Global, ast.Nonlocal)
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)


@dataclass(frozen=True)
class Change:
    """One change of one place.

    Attributes:
        file: The file, from the package's folder.
        function: Dotted name of the function or class it stands in, or ``<module>``.
        line: Line of the place, from 1.
        kind: The operator that makes it.
        before: The line (a place over several lines: those joined) as it is, without its indentation.
        after: The same, changed.
        nth: Which one it is among changes that read the same in the same function, from 0.
        start: First byte of the place.
        end: The byte behind its last.
        text: What stands there instead.
    """

    file: str
    function: str
    line: int
    kind: str
    before: str
    after: str
    nth: int
    start: int
    end: int
    text: str

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What tells it from every other change, whatever else is edited in the file."""
        return (self.file, self.function, self.before, self.after, self.nth)

    def apply(self, source: bytes) -> bytes:
        """Return the changed source."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def changes(source: bytes, file: str) -> list[Change]:
    """Return every change that a source file offers, in the order of the text; a few are not :func:`valid`."""
    found: list[Change] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    offered = _Finder(source, file).find(ast.parse(source))
    for change in sorted(offered, key=lambda each: (each.start, each.end, each.text)):
        reads = (change.function, change.before, change.after)
        found.append(replace(change, nth=seen[reads]))
        seen[reads] += 1
    return found


def valid(change: Change, source: bytes) -> bool:
    """Return whether the changed file parses, and to another program."""
    try:
        changed = ast.dump(ast.parse(change.apply(source)))
    except SyntaxError:
        return False
    return changed != ast.dump(ast.parse(source))


class _Finder:
    """Walks a tree with the name of the function it is in."""

    def __init__(self, source: bytes, file: str) -> None:
        self._source = source
        self._file = file
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def find(self, tree: ast.Module) -> Iterator[Change]:
        yield from self._body(tree.body, ())

    def _body(self, body: list[ast.stmt], scope: tuple[str, ...]) -> Iterator[Change]:
        for statement in body:
            yield from self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: tuple[str, ...]) -> Iterator[Change]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = (*scope, node.name)
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    yield from self._expression(default, inner)
            yield from self._body(node.body, inner)
        elif isinstance(node, ast.ClassDef):
            yield from self._body(node.body, (*scope, node.name))
        elif isinstance(node, UNTOUCHED) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            return
        elif isinstance(node, ast.Raise):
            yield self._change(node, "pass", "removed statement", scope)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from self._expression(node.value, scope)
        elif not _is_text_or_log(node) and not _is_declaration(node):
            yield from self._removed(node, scope)
            yield from self._parts(node, scope)

    def _parts(self, node: ast.AST, scope: tuple[str, ...]) -> Iterator[Change]:
        if isinstance(node, ast.If | ast.While):
            yield self._change(node.test, f"not ({self._segment(node.test)})", "negated condition", scope)
        if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            swapped = copy.copy(node)
            swapped.op = ARITHMETIC[type(node.op)]()
            yield self._change(node, ast.unparse(swapped), "swapped arithmetic", scope)
        for _, value in ast.iter_fields(node):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.stmt):
                    yield from self._statement(part, scope)
                elif isinstance(part, ast.expr):
                    yield from self._expression(part, scope)
                elif isinstance(part, ast.excepthandler | ast.match_case | ast.withitem | ast.comprehension):
                    yield from self._parts(part, scope)

    def _removed(self, node: ast.stmt, scope: tuple[str, ...]) -> Iterator[Change]:
        """Statements whose removal leaves a program that still runs."""
        acts = isinstance(node, ast.Expr | ast.AugAssign | ast.Continue | ast.Break | ast.Delete)
        if isinstance(node, ast.Assign):
            acts = all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
        if acts:
            yield self._change(node, "pass", "removed statement", scope)

    def _expression(self, node: ast.expr, scope: tuple[str, ...]) -> Iterator[Change]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.Lambda):
            yield from self._expression(node.body, (*scope, "<lambda>"))
            return
        if isinstance(node, ast.Call):
            yield from self._call(node, scope)
            return
        yield from self._operators(node, scope)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from self._expression(child, scope)
            elif isinstance(child, ast.comprehension):
                yield from self._parts(child, scope)

    def _call(self, node: ast.Call, scope: tuple[str, ...]) -> Iterator[Change]:
        yield from self._counterpart(node, scope)
        plain = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
        fixed = _is_cast(node) or _name(node) in SYMMETRIC or any(map(_is_text, plain))
        if len(plain) == len(node.args) >= 2 and not fixed:
            for number in range(len(plain) - 1):
                first, second = plain[number], plain[number + 1]
                between = self._source[self._end(first) : self._start(second)].decode()
                swapped = f"{self._segment(second)}{between}{self._segment(first)}"
                yield self._between(first, second, swapped, "swapped arguments", scope)
        yield from self._expression(node.func, scope)
        arguments = [*node.args, *(word.value for word in node.keywords if word.arg not in ("help", "metadata"))]
        for argument in arguments[1:] if _is_cast(node) else arguments:
            yield from self._expression(argument, scope)

    def _counterpart(self, node: ast.Call, scope: tuple[str, ...]) -> Iterator[Change]:
        name = _name(node)
        if name in COUNTERPARTS:
            text = self._segment(node.func)[: -len(name)] + COUNTERPARTS[name]
            yield self._change(node.func, text, "counterpart", scope)

    def _operators(self, node: ast.expr, scope: tuple[str, ...]) -> Iterator[Change]:
        if isinstance(node, ast.Compare):
            for number, op in enumerate(node.ops):
                for other in COMPARISONS[type(op)]:
                    ops = [*node.ops[:number], other(), *node.ops[number + 1 :]]
                    yield self._rewritten(node, "comparison", scope, ops=ops)
        elif isinstance(node, ast.BoolOp):
            other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield self._rewritten(node, "boolean", scope, op=other_op)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            kind = "sign" if isinstance(node.op, ast.USub) else "boolean"
            yield self._change(node, f"({self._segment(node.operand)})", kind, scope)
        elif isinstance(node, ast.IfExp):
            text = f"not ({self._segment(node.test)})"
            yield self._change(node.test, text, "negated condition", scope)
        elif isinstance(node, ast.BinOp) and not any(map(_is_text, (node.left, node.right))):
            if type(node.op) in ARITHMETIC:
                yield self._rewritten(node, "swapped arithmetic", scope, op=ARITHMETIC[type(node.op)]())
            if isinstance(node.op, ORDERED):
                yield self._rewritten(node, "swapped operands", scope, left=node.right, right=node.left)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node, scope)

    def _constant(self, node: ast.Constant, scope: tuple[str, ...]) -> Iterator[Change]:
        value = node.value
        if isinstance(value, bool):
            yield self._change(node, str(not value), "truth value", scope)
        elif isinstance(value, int):
            yield self._change(node, str(value + 1), "number", scope)
            if value > 0:
                yield self._change(node, str(value - 1), "number", scope)
        elif isinstance(value, float):
            yield self._change(node, repr(value * 2 if value else 1.0), "number", scope)

    def _rewritten(self, node: ast.expr, kind: str, scope: tuple[str, ...], **fields: object) -> Change:
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return self._change(node, f"({ast.unparse(other)})", kind, scope)

    def _change(self, node: ast.expr | ast.stmt, text: str, kind: str, scope: tuple[str, ...]) -> Change:
        return self._between(node, node, text, kind, scope)

    def _between(self, first: ast.AST, last: ast.AST, text: str, kind: str, scope: tuple[str, ...]) -> Change:
        start, end = self._start(first), self._end(last)
        line_start = self._starts[first.lineno - 1]  # type: ignore[attr-defined]
        line_end = self._starts[last.end_lineno]  # type: ignore[attr-defined]
        before = self._source[line_start:line_end].decode()
        after = self._source[line_start:start].decode() + text + self._source[end:line_end].decode()
        return Change(
            file=self._file,
            function=".".join(scope) or MODULE,
            line=first.lineno,  # type: ignore[attr-defined]
            kind=kind,
            before=" ".join(before.split()),
            after=" ".join(after.split()),
            nth=0,
            start=start,
            end=end,
            text=text,
        )

    def _start(self, node: ast.AST) -> int:
        return self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def _end(self, node: ast.AST) -> int:
        return self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def _segment(self, node: ast.AST) -> str:
        return self._source[self._start(node) : self._end(node)].decode()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _is_cast(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in ("cast", "isinstance", "issubclass")


def _is_text_or_log(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    if isinstance(value, ast.Constant):
        return True
    return isinstance(value, ast.Call) and _name(value) in LOGS


def _is_declaration(node: ast.stmt) -> bool:
    """Whether a statement is ``__all__ = ...`` or makes a type variable."""
    names = [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
    value = getattr(node, "value", None)
    return "__all__" in names or (isinstance(value, ast.Call) and _name(value) in ("TypeVar", "NewType"))


def _name(node: ast.Call) -> str:
    """Return the last part of what is called: ``max`` of ``np.max(...)``."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
