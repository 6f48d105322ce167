"""Where the firmware's sources can be spoilt: each point is one small change of the syntax tree.

Not made are changes that nothing could notice by construction: of docstrings, annotations, the
texts of errors, imports, and `const` itself.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LARGE = 100
_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}


class Mutant(NamedTuple):
    """One change: bytes `start` to `end` of the file at `path` become `after`."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    before: str
    after: str

    @property
    def id(self) -> str:
        """The same for the same change of the same text."""
        text = f"{self.path}\0{self.start}\0{self.before}\0{self.after}"
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def applied(self, source: str) -> str:
        """The file's text with this change."""
        raw = source.encode()
        return (raw[: self.start] + self.after.encode() + raw[self.end :]).decode()

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.kind}: {_short(self.before)} -> {_short(self.after)}"
        )


def of_folder(root: Path, folder: str) -> list[Mutant]:
    """Every mutant of the Python files below `folder` of `root`, in a fixed order."""
    found: list[Mutant] = []
    for path in sorted((root / folder).rglob("*.py")):
        found += of(path.read_text(), path.relative_to(root).as_posix())
    return found


def of(source: str, path: str) -> list[Mutant]:
    """Every mutant of one file; SyntaxError where it is no Python."""
    raw = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in raw:
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, after in _changes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = source.encode()[start:end].decode()
        found.append(Mutant(path, node.lineno, kind, start, end, before, after))
    return found


def compiles(mutant: Mutant, source: str) -> bool:
    """Whether the file is Python still: one that is none would be caught by nobody's merit."""
    try:
        compile(mutant.applied(source), mutant.path, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


_Placed = ast.expr | ast.stmt


def _changes(tree: ast.Module) -> Iterator[tuple[_Placed, str, str]]:
    # (what is replaced, kind of change, text instead).
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        if isinstance(node, ast.expr):
            yield from _expression(node)
        elif isinstance(node, ast.stmt):
            yield from _statement(node)
        nodes += _within(node)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    # Children but for what nobody executes or reads.
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return
        case ast.Raise(exc=ast.Call(args=args)):
            yield from (each for each in args[1:])  # the text is for people, a code is not
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from node.args.defaults
            yield from (each for each in node.args.kw_defaults if each is not None)
            yield from node.body
        case ast.AnnAssign():
            yield from [node.value] if node.value else []
        case ast.Expr(value=ast.Constant()):
            return
        case _:
            yield from ast.iter_child_nodes(node)


def _expression(node: ast.expr) -> Iterator[tuple[_Placed, str, str]]:
    match node:
        case ast.Compare(left=left, ops=[op, *more], comparators=right):
            other = ast.Compare(left, [_COMPARE[type(op)](), *more], right)
            yield node, "comparison", _text(other)
        case ast.BoolOp(op=ast.And(), values=values):
            yield node, "and to or", _text(ast.BoolOp(ast.Or(), values))
        case ast.BoolOp(op=ast.Or(), values=values):
            yield node, "or to and", _text(ast.BoolOp(ast.And(), values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, "not dropped", _text(operand)
        case ast.BinOp(left=ast.Constant(value=str() | bytes()), op=ast.Mod()):
            return  # formats a text
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            yield node, "arithmetic", _text(ast.BinOp(left, _BINARY[type(op)](), right))
        case ast.Constant(value=bool() as value):
            yield node, "truth", str(not value)
        case ast.Constant(value=int() as value):
            # One more is nothing to a time-out of a minute: what is large becomes 0.
            yield node, "number", str(value + 1 if value < _LARGE else 0)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield node, "condition turned", _text(ast.IfExp(test, orelse, body))


def _statement(node: ast.stmt) -> Iterator[tuple[_Placed, str, str]]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield node, "call dropped", "pass"
        case ast.Raise(exc=exc) if exc is not None:
            yield node, "raise dropped", "pass"
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield node, "nothing returned", "return None"
        case ast.Break():
            yield node, "break to continue", "continue"
        case ast.Continue():
            yield node, "continue to break", "break"
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _BINARY:
            other = ast.AugAssign(target, _BINARY[type(op)](), value)
            yield node, "arithmetic", ast.unparse(other)
        case ast.If(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare):
            if not isinstance(test, ast.UnaryOp | ast.BoolOp | ast.Constant):
                yield test, "condition negated", f"(not {_text(test)})"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
