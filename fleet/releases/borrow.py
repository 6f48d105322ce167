"""Public names of a slot become names that the VM has anyway: those take no heap.

Every identifier that only the slot itself uses is replaced, everywhere alike, by one that each
MicroPython runtime has among its built-in names and that the slot does not use. What anybody
outside may call by name stays: the VM's own interfaces, the supervisor, words in texts.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

_NAMES = Path(__file__).with_name("borrowed.txt")
_IDENTIFIERS = frozenset(("id", "attr", "name", "arg", "asname"))  # fields of ast's nodes
_RARE = "node/update/"  # what is loaded in few wakes only
_INTERFACES = Path(__file__).with_name("interfaces.txt")


class Borrowed(NamedTuple):
    """`sources` by path, and `names`: what each name became, everywhere alike."""

    sources: dict[str, str]
    names: dict[str, str]


@cache
def lent() -> tuple[str, ...]:
    """Names that lie in the ROM of every runtime, but for those by which its C code reaches into
    an object that is handed to it: a stream, a block device, a file system, an exception.
    """
    return tuple(_NAMES.read_text("ascii").split())


@cache
def interfaces() -> frozenset[str]:
    """Names of the VM's interfaces, as far as its stubs know them, and of Python's."""
    return frozenset(_INTERFACES.read_text("ascii").split())


def _fields(node: ast.AST) -> list[str]:
    """Where a node has an identifier."""
    return [name for name in node._fields if name in _IDENTIFIERS]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every identifier of a module, one for each place."""
    for node in ast.walk(tree):
        for field in _fields(node):
            found = getattr(node, field)
            if isinstance(found, str):
                yield from found.split(".")
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from node.module.split(".")


def defined(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives: functions, classes, globals, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name, body=body):
                yield name
                yield from _assigned(body)
            case ast.Module(body=body):
                yield from _assigned(body)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words(tree: ast.AST) -> Iterator[str]:
    """Words of string constants: they may be looked up by name. What an error says is not."""
    nodes = [tree]
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
            yield from node.value.replace(".", " ").replace(":", " ").split()
        elif not (isinstance(node, ast.Call) and _is_error(node.func)):
            nodes += ast.iter_child_nodes(node)


def _is_error(called: ast.expr) -> bool:
    name = getattr(called, "id", "")
    return name != name.lower() and name.endswith(("Error", "Timeout", "Mute", "Refused"))


def borrow(sources: Mapping[str, str], outside: Iterable[str]) -> Borrowed:
    """The modules of one whole slot under borrowed names; the same input gives the same output.

    `outside` are names by which others reach into it, among them those of arguments.
    """
    trees = {path: ast.parse(text, path) for path, text in sorted(sources.items())}
    here = {path: set(identifiers(tree)) for path, tree in trees.items()}
    used = set().union(*here.values())
    often = Counter(
        name for path, names in here.items() if not path.startswith(_RARE) for name in names
    )
    kept = {name for tree in trees.values() for name in words(tree)} | set(outside)
    kept |= {part for path in trees for part in path.removesuffix(".py").split("/")}
    given = {name for tree in trees.values() for name in defined(tree)}
    ours = sorted(name for name in given - kept - interfaces() if not name.startswith("__"))
    ours.sort(key=lambda name: -often[name])  # what most modules use is loaded most often
    free = [name for name in lent() if name not in used and name not in kept]
    new = matched(ours[: len(free)], free)
    for tree in trees.values():
        _rename(tree, new)
    return Borrowed({path: ast.unparse(tree) + "\n" for path, tree in trees.items()}, new)


def matched(ours: Sequence[str], free: Sequence[str]) -> dict[str, str]:
    """A name of its own for each. One more here or there leaves nearly all others theirs: else
    the least change would rename half a slot, and a delta would have to say so.
    """
    left = set(free)
    found = {}
    for name in sorted(ours):
        found[name] = max(left, key=lambda one: hashlib.sha256(f"{name} {one}".encode()).digest())
        left.remove(found[name])
    return found


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign) and not is_constant(statement):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    yield node.id


def is_constant(statement: ast.Assign) -> bool:
    """Whether the compiler puts it in by value, so that its name is nowhere."""
    return (
        isinstance(statement.value, ast.Call)
        and getattr(statement.value.func, "id", "") == "const"
        and all(isinstance(t, ast.Name) and t.id.startswith("_") for t in statement.targets)
    )


def _rename(tree: ast.Module, new: Mapping[str, str]) -> None:
    """Every occurrence of a name alike: no scope has to be understood for that."""
    for node in ast.walk(tree):
        for field in _fields(node):
            found = getattr(node, field)
            if isinstance(found, str) and found in new:
                setattr(node, field, new[found])
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [new.get(name, name) for name in node.names]
