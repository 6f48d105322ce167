"""What the private names of a slot are used for: the survey that `shrink` renames by."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def is_private(name: str) -> bool:
    """One leading underscore, and no dunder."""
    return name.startswith("_") and not name.startswith("__")


def is_own(value: ast.expr) -> bool:
    """Whether an attribute of `value` is one of the class at hand: self, cls or super()."""
    if isinstance(value, ast.Name):
        return value.id in ("self", "cls")
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "super"
    )


def pool(taken: set[str]) -> Iterator[str]:
    """`_a` to `_z`, `_aa` and on, without those in `taken`."""
    for name in (f"_{one}{two}" for two in ("", *LETTERS) for one in LETTERS):
        if name not in taken:
            yield name


class Survey(ast.NodeVisitor):
    """Fed with every module of the slot by `add`."""

    def __init__(self) -> None:
        self.globals: dict[str, set[str]] = {}  # path -> private names of the module
        self.owned: dict[str, set[str]] = defaultdict(set)  # class -> its private attributes
        self.shared: set[str] = set()  # private attributes that other code reaches for
        self.keywords: set[str] = set()  # names that calls give arguments by
        self.texts: set[str] = set()  # words of string constants: they may be looked up by name
        self._bases: dict[str, list[str]] = {}
        self._path = ""
        self._class = ""
        self._depth = 0

    def add(self, path: str, tree: ast.Module) -> None:
        """Take a module into account."""
        self._path = path
        self.globals[path] = set()
        self.visit(tree)

    @property
    def kept(self) -> set[str]:
        """Private names that stay: named in texts, or reached for in another module."""
        everywhere = set().union(*self.globals.values())
        return self.texts | (self.shared & everywhere)

    def families(self) -> dict[str, str]:
        """Class -> one class that stands for all that inheritance connects with it."""
        leader = {name: name for name in self._bases}

        def find(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        for name, bases in sorted(self._bases.items()):
            for base in bases:
                if base in leader:
                    leader[find(name)] = find(base)
        return {name: find(name) for name in self._bases}

    def _define(self, name: str) -> None:
        if is_private(name) and not self._depth:
            if self._class:
                self.owned[self._class].add(name)
            else:
                self.globals[self._path].add(name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bases, and what the class defines."""
        self._define(node.name)
        names = [getattr(base, "id", getattr(base, "attr", "")) for base in node.bases]
        self._bases.setdefault(node.name, []).extend(names)
        outer, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Its name; what is inside belongs to nobody else."""
        self._define(node.name)
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any function."""
        self.visit_FunctionDef(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Names that a module or a class assigns."""
        if not _is_constant(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._define(target.id)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """As any assignment."""
        if isinstance(node.target, ast.Name):
            self._define(node.target.id)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Own attributes may be named for each family; what others reach for, once for all."""
        if is_private(node.attr):
            if self._class and is_own(node.value):
                self.owned[self._class].add(node.attr)
            else:
                self.shared.add(node.attr)
        self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """A private name that another module imports is no longer the module's own."""
        self.shared.update(alias.name for alias in node.names if is_private(alias.name))

    def visit_keyword(self, node: ast.keyword) -> None:
        """An argument given by name."""
        if node.arg:
            self.keywords.add(node.arg)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Words that might name something."""
        if isinstance(node.value, str):
            self.texts.update(node.value.replace(":", " ").split())


def _is_constant(value: ast.expr) -> bool:
    # A private const() is put in by value and has no name in the bytecode.
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") == "const"


def attributes(survey: Survey, families: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """(family, or "" for all of them; private attribute) -> its short name."""
    result: dict[tuple[str, str], str] = {}
    common = pool(set())
    for name in sorted(survey.shared - survey.kept):
        result["", name] = next(common)
    taken = set(result.values())
    owned: dict[str, set[str]] = defaultdict(set)
    for one, names in survey.owned.items():
        owned[families[one]] |= names
    for family, names in sorted(owned.items()):
        short = pool(taken)
        for name in sorted(names - survey.kept - survey.shared):
            result[family, name] = next(short)
    return result
