"""Fewer and shorter names for a slot: each distinct one that its modules bring lies in the heap.

Private names and the names of parameters are renamed before compilation, so that a few short ones
serve the whole slot. Public names stay here; borrow.py has those.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fleet.releases.names import LETTERS, Survey, attributes, is_own, is_private, pool


class Shrunk(NamedTuple):
    """`sources` by path, and `names`: path -> short name -> what it stands for there."""

    sources: dict[str, str]
    names: dict[str, dict[str, list[str]]]


def shrink(sources: Mapping[str, str], keywords: Iterable[str] = ()) -> Shrunk:
    """The modules of one whole slot, renamed; the same input gives the same output.

    `keywords` are names by which callers outside of `sources` give arguments. SyntaxError for a
    text that is no Python. A private attribute must not be looked up by a name that is put
    together at run time; one that stands in a string constant is left alone.
    """
    trees = {path: ast.parse(text, path) for path, text in sorted(sources.items())}
    survey = Survey()
    for path, tree in trees.items():
        survey.add(path, tree)
    survey.keywords.update(keywords)
    families = survey.families()
    short = attributes(survey, families)
    result = Shrunk({}, {})
    for path, tree in trees.items():
        mine = pool(set())
        own = sorted(survey.globals[path] - survey.kept - survey.shared)
        rename = _Rename(short, families, survey.keywords, {name: next(mine) for name in own})
        bare(tree)
        result.sources[path] = ast.unparse(ast.fix_missing_locations(rename.visit(tree))) + "\n"
        result.names[path] = {new: sorted(old) for new, old in sorted(rename.told.items())}
    return result


def parameters(sources: Mapping[str, str]) -> set[str]:
    """Names by which anybody may give arguments to public functions: of those that may be left
    out. The others are given by their places, as MicroPython's modules in C want it.
    """
    found = set()
    for text in sources.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and not is_private(node.name):
                one = node.args
                found |= {each.arg for each in one.args[len(one.args) - len(one.defaults) :]}
                found |= {each.arg for each in one.kwonlyargs}
    return found


class _Rename(ast.NodeTransformer):
    """One module. `module` maps its private globals; `_scopes` the locals of the functions."""

    def __init__(
        self,
        short: Mapping[tuple[str, str], str],
        families: Mapping[str, str],
        keywords: set[str],
        module: Mapping[str, str],
    ) -> None:
        self.told: dict[str, set[str]] = defaultdict(set)
        self._short = short
        self._families = families
        self._keywords = keywords
        self._module = module
        self._class = ""
        self._scopes: list[dict[str, str]] = []

    def _named(self, new: str | None, old: str) -> str:
        if new is None:
            return old
        self.told[new].add(old)
        return new

    def _attribute(self, name: str, own: bool) -> str:
        new = self._short.get(("", name))
        if new is None and own:
            new = self._short.get((self._families.get(self._class, ""), name))
        return self._named(new, name)

    def _defined(self, name: str) -> str:
        # Of a function or class, where it is defined.
        if self._scopes:
            return self._scopes[-1].get(name, name)
        if self._class:
            return self._attribute(name, own=True)
        return self._named(self._module.get(name), name)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if is_private(node.attr):
            node.attr = self._attribute(node.attr, bool(self._class) and is_own(node.value))
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        for scope in reversed(self._scopes):
            if node.id in scope:
                node.id = scope[node.id]
                return node
        if self._class and not self._scopes and node.id not in self._module:
            node.id = self._attribute(node.id, own=True)
        else:
            node.id = self._named(self._module.get(node.id), node.id)
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._module.get(name, name) for name in node.names]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        name = self._defined(node.name)
        node.bases = [self.visit(base) for base in node.bases]
        outer, self._class = self._class, node.name
        node.body = [self.visit(statement) for statement in node.body]
        self._class = outer
        node.name = name
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.name = self._defined(node.name)
        node.returns = None
        node.decorator_list = [self.visit(one) for one in node.decorator_list]
        scope = self._parameters(node)
        declared = {n for one in ast.walk(node) if isinstance(one, ast.Global) for n in one.names}
        for name in _stored(node) - declared:
            scope.setdefault(name, name)
        self._scopes.append(scope)
        node.body = [self.visit(statement) for statement in node.body]
        self._scopes.pop()
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._scopes.append(self._parameters(node))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def _parameters(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    ) -> dict[str, str]:
        """Rename them, and give the map by which the body is."""
        arguments = node.args
        arguments.defaults = [self.visit(one) for one in arguments.defaults]
        arguments.kw_defaults = [one and self.visit(one) for one in arguments.kw_defaults]
        parameters = [one for one in ast.walk(arguments) if isinstance(one, ast.arg)]
        used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        used |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        for outer in self._scopes:
            used |= set(outer.values())
        letters = (letter for letter in LETTERS if letter not in used)
        scope = {}
        for one in parameters:
            one.annotation = None
            if one.arg == "self" or one.arg in self._keywords:
                scope[one.arg] = one.arg
            else:
                scope[one.arg] = one.arg = next(letters, one.arg)
        return scope


def _stored(node: ast.AST) -> set[str]:
    """Names that a function binds: they are its own."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            found.add(one.id)
        elif isinstance(one, ast.ExceptHandler) and one.name:
            found.add(one.name)
        elif isinstance(one, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in one.names}
        elif one is not node and isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(one.name)
    return found


def bare(tree: ast.Module) -> ast.Module:
    """The module without what is for readers, whose words are nobody's names: docstrings,
    annotations, the list of what it offers; and without `const`, which the compiler knows.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0] = ast.copy_location(ast.Pass(), first)
            for i, one in enumerate(node.body):
                if isinstance(one, ast.AnnAssign):
                    node.body[i] = ast.copy_location(
                        ast.Assign([one.target], one.value) if one.value else ast.Pass(), one
                    )
                elif isinstance(one, ast.Assign) and isinstance(one.value, ast.Tuple):
                    one.value.elts = [_value(each) for each in one.value.elts]
                elif _is_needless(one):
                    node.body[i] = ast.copy_location(ast.Pass(), one)
    return ast.fix_missing_locations(tree)


def _value(node: ast.expr) -> ast.expr:
    # Of several in one statement the compiler knows none.
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "const":
        return node.args[0]
    return node


def _is_needless(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return any(getattr(target, "id", "") == "__all__" for target in node.targets)
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "micropython"
        and [alias.name for alias in node.names] == ["const"]
    )
