"""A slot without packages: each module lies beside the others under a name that the VM has anyway.

To the VM a module of a package is three names, its own, its path and the whole of both; a module
of this slot is its path alone. A package that has nothing of its own is no module at all.
"""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from fleet.errors import Refusal
from fleet.releases.borrow import identifiers, lent, matched
from fleet.releases.names import pool

_PACKAGE = "/__init__.py"


class Flat(NamedTuple):
    """`sources` by path, and `names`: flat name -> the module's own, `node.link.at`."""

    sources: dict[str, str]
    names: dict[str, str]


class FlatError(Refusal, ValueError):
    """A module imports in a way that has no flat form; the text names path and line."""


def dotted(path: str) -> str:
    """`node.link.at` of `node/link/at.py`, `node.link` of the package's own file."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(tree: ast.AST) -> Iterable[str]:
    """Dotted names of what a script imports, modules or what is in them, by whatever means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (word for word in node.value.split() if word.startswith("node."))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names(sources: Mapping[str, str]) -> dict[str, str]:
    """Flat name by path, for all that the firmware has: some are in crash records, and one module
    more or less leaves nearly all others theirs.

    What is called so in a module does not matter. No module of MicroPython's own has a capital,
    or two words; and nobody is to take one for an error.
    """
    free = [n for n in lent() if (n != n.lower() or "_" in n[1:]) and "Error" not in n]
    whole = sorted(path for path in sources if _whole(path, sources[path]))
    return matched(whole[: len(free)], free)


def flatten(sources: Mapping[str, str], flat: Mapping[str, str], outside: Collection[str]) -> Flat:
    """The modules of a slot under the names of `flat`, by path. FlatError.

    `outside` has the modules, as `node.app`, that others import by their own names. One that
    nobody else imports stays where it is, beside the others is one of that name that hands it on.
    Words of texts that are modules, or packages, go by the flat names: `forget("node.link")`. What
    `flat` has and `sources` have not, this image lacks: whoever imports it does so by that name.
    """
    trees = {path: ast.parse(text, path) for path, text in sorted(sources.items())}
    paths = {dotted(path): path for path in trees}
    inside = {
        name
        for path, tree in trees.items()
        for name in _imported(path, tree, paths)
        if name != dotted(path)  # a module that forgets itself
    }
    moved = {
        name: flat[path]
        for name, path in paths.items()
        if path in flat and not (name in outside and name not in inside)
    }
    lacks = {dotted(path): new for path, new in flat.items() if path not in trees}
    found: dict[str, str] = {}
    for path, tree in trees.items():
        name = dotted(path)
        if name in moved or not path.endswith(_PACKAGE):
            text = ast.unparse(_Flatten(path, paths, moved, lacks).visit(tree)) + "\n"
            found[f"{moved[name]}.py" if name in moved else path] = text
        if name in moved and name in outside:
            found[path] = f"from {moved[name]} import *\n"
    return Flat(found, {new: name for name, new in moved.items()})


def _whole(path: str, text: str) -> bool:
    # Whether there is something in a file: in most of the packages' own there is but a docstring.
    if not path.endswith(_PACKAGE):
        return True
    tree = ast.parse(text, path)
    return len(tree.body) > (ast.get_docstring(tree) is not None)


def _source(path: str, node: ast.ImportFrom) -> str:
    """The dotted name behind `from`."""
    parts = node.module.split(".") if node.module else []
    if node.level:
        package = path.split("/")[:-1]
        parts = package[: len(package) - node.level + 1] + parts
    return ".".join(parts)


def _imported(path: str, tree: ast.AST, known: Collection[str]) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = _source(path, node)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in known else source
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from node.value.replace(":", " ").split()


class _Flatten(ast.NodeTransformer):
    """One module: its imports, and the modules that its texts name."""

    def __init__(
        self,
        path: str,
        paths: Mapping[str, str],
        moved: Mapping[str, str],
        lacks: Mapping[str, str],
    ) -> None:
        self._path = path
        self._paths = paths
        self._moved = moved
        self._lacks = lacks
        self._called = {**moved, **lacks}
        self._known = {*paths, *lacks}
        self._bound: dict[str, str] = {}  # what a global that is a module is called now
        self._free: Iterator[str] = iter(())

    def visit_Module(self, node: ast.Module) -> ast.AST:
        # A global that is a module goes by a private name, unless something else is called so.
        self._free = pool(set(identifiers(node)))
        other = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg | ast.keyword)}
        other |= {n for one in ast.walk(node) if isinstance(one, ast.Global) for n in one.names}
        for statement in node.body:
            if isinstance(statement, ast.ImportFrom):
                source = _source(self._path, statement)
                for alias in statement.names:
                    new = self._called.get(f"{source}.{alias.name}")
                    bound = alias.asname or alias.name
                    if new and bound not in other:
                        self._bound[bound] = next(self._free)
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        source = _source(self._path, node)
        modules = [a for a in node.names if f"{source}.{a.name}" in self._known]
        if not modules:
            if source in self._called:
                return ast.ImportFrom(self._called[source], node.names, 0)
            return ast.ImportFrom(source, node.names, 0) if node.level else node
        if len(modules) < len(node.names) or any(
            f"{source}.{a.name}" not in self._called for a in modules
        ):
            raise FlatError(
                f"{self._path}:{node.lineno}: from {source} import modules on a line of their own"
            )
        return ast.Import([self._alias(source, alias) for alias in node.names])

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if alias.name in self._known:
                raise FlatError(f"{self._path}:{node.lineno}: say from ... import {alias.name}")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._bound.get(node.id, node.id)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and "node." in node.value:
            parts = node.value.split(" ")
            if len(parts) > 1:
                parts = [part for part in parts if part not in self._lacks]
            node.value = " ".join(self._word(part) for part in parts)
        return node

    def _alias(self, source: str, alias: ast.alias) -> ast.alias:
        new = self._called[f"{source}.{alias.name}"]
        bound = alias.asname or alias.name
        return ast.alias(new, self._bound.get(bound, bound))

    def _word(self, part: str) -> str:
        before, colon, name = part.rpartition(":")
        if name in self._moved and not self._below(name):
            return before + colon + self._moved[name]
        if name in self._lacks:
            return before + colon + self._lacks[name]
        return before + colon + " ".join(self._below(name)) if self._below(name) else part

    def _below(self, name: str) -> list[str]:
        # The modules of a package.
        return [new for one, new in self._moved.items() if one.startswith(name + ".")] + (
            [self._moved[name]] if name in self._moved and self._is_package(name) else []
        )

    def _is_package(self, name: str) -> bool:
        return self._paths[name].endswith(_PACKAGE)
