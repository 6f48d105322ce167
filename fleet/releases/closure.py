"""Which modules of the firmware a node of some role on some board may ever import.

What an image lacks the node cannot import, so the imports within functions count like any other,
and so do those by a name in a text: see `_named`.
"""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from fleet.errors import Refusal

# The packages that choose one of several: a role, its schema, a modem family. By their paths.
ROLES = ("node/roles/__init__.py", "node/schema/__init__.py")
MODEMS = "node/link/modems/__init__.py"


class UnknownRole(Refusal, ValueError):
    """The firmware has no such role, or no such modem family."""


class Choice(NamedTuple):
    """`role` and modem `families` of an image; empty: all that there are."""

    role: str = ""
    families: tuple[str, ...] = ()


def modules(
    sources: Mapping[str, str], outside: Iterable[str], choice: Choice, known: Collection[str]
) -> dict[str, str]:
    """Those of the `sources` by path that are reached from `node/main.py` and from the texts
    `outside`: the supervisor, scripts of technicians. `known` are the names of all roles.
    """
    left_out = _left_out(sources, choice, known)
    found: set[str] = set()
    todo = roots(sources, outside)
    while todo:
        path = todo.pop()
        if path in found or path not in sources:
            continue
        found.add(path)
        tree = ast.parse(sources[path], path)
        away = left_out.get(path, frozenset())
        todo |= {*imports(tree, path, sources), *_named(tree, sources)} - away
        todo |= set(_packages(path))
    return {path: text for path, text in sources.items() if path in found}


def roots(sources: Mapping[str, str], outside: Iterable[str]) -> set[str]:
    """The modules, by path, that are reached at once: the first, and what the texts import."""
    trees = map(ast.parse, outside)
    return {"node/main.py", *(path for tree in trees for path in imports(tree, "", sources))}


def _left_out(
    sources: Mapping[str, str], choice: Choice, known: Collection[str]
) -> dict[str, frozenset[str]]:
    """By the path of who chooses, the modules that this image's choice is not."""
    result = {}
    if choice.role:
        if choice.role not in known:
            raise UnknownRole(f"no role {choice.role[:40]!r}: known are {', '.join(known)}")
        others = [name.replace("-", "_") for name in known if name != choice.role]
        for path in ROLES:
            folder = path.rpartition("/")[0]
            result[path] = frozenset(f"{folder}/{name}.py" for name in others)
    if choice.families:
        folder = MODEMS.rpartition("/")[0]
        chosen = {f"{folder}/{name}.py" for name in choice.families}
        for path in sorted(chosen - set(sources)):
            raise UnknownRole(f"the firmware has no modem family {path!r}")
        result[MODEMS] = frozenset(p for p in sources if p.startswith(folder + "/")) - chosen
    return result


def _packages(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield f"{path}/__init__.py"


def _paths(name: str, sources: Mapping[str, str]) -> Iterator[str]:
    """The files of a module by its dotted name, if it is one of ours."""
    base = name.replace(".", "/")
    yield from (path for path in (f"{base}.py", f"{base}/__init__.py") if path in sources)


def imports(tree: ast.AST, path: str, sources: Mapping[str, str]) -> Iterator[str]:
    """The modules, by path, that the module at `path` imports by a statement, anywhere in it."""
    package = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _paths(alias.name, sources)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                parts = package[: len(package) - node.level + 1] + parts
            yield from _paths(".".join(parts), sources)
            for alias in node.names:  # it may name a module, or what one holds
                yield from _paths(".".join([*parts, alias.name]), sources)


def _named(tree: ast.AST, sources: Mapping[str, str]) -> Iterator[str]:
    """Imports by a text: a module that calls `__import__` has the whole name as a word of one."""
    if not any(isinstance(node, ast.Name) and node.id == "__import__" for node in ast.walk(tree)):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for word in node.value.replace(":", " ").split():
                if "." in word:
                    yield from _paths(word, sources)
