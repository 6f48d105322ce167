"""Whole numbers that one module of a slot names and others use are put in by value.

A private one the compiler puts in by itself; a public one would cost its name, and a place in its
module's table, in every wake that loads the module.
"""

import ast
from collections.abc import Collection, Iterator, Mapping


def inline(sources: Mapping[str, str], outside: Collection[str]) -> dict[str, str]:
    """The modules of a whole slot without such constants; `outside` are names that others use."""
    trees = {path: ast.parse(text, path) for path, text in sorted(sources.items())}
    texts = {
        node.value
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    known = {path: _constants(tree, {*outside, *texts}) for path, tree in trees.items()}
    for path, tree in trees.items():
        _Inline(path, known).visit(tree)
    for path, tree in trees.items():
        gone = set(known[path]) - _used(tree)
        tree.body = [one for one in (_without(each, gone) for each in tree.body) if one]
        _fill(tree)
    return {path: ast.unparse(tree) + "\n" for path, tree in trees.items()}


def _constants(tree: ast.Module, outside: Collection[str]) -> dict[str, int]:
    """Public names that a module binds once, to a whole number, and that nobody looks up."""
    found: dict[str, int] = {}
    for statement in tree.body:
        for name, value in _bound(statement):
            found[name] = value
    stored = [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    ]
    return {
        name: value
        for name, value in found.items()
        if stored.count(name) == 1 and (name.startswith("_") or name not in outside)
    }


def _bound(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    # Of several in one statement the private ones too: these the compiler does not put in.
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name):
        pairs = [] if target.id.startswith("_") else [(target, value)]
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=False))  # type: ignore[arg-type]
        if len(target.elts) != len(value.elts):
            return
    else:
        return
    for one, given in pairs:
        known = isinstance(given, ast.Call) and getattr(given.func, "id", "") == "const"
        number = given.args[0] if known else given  # type: ignore[attr-defined]
        if (
            isinstance(one, ast.Name)
            and isinstance(number, ast.Constant)
            and type(number.value) is int
        ):
            yield one.id, number.value


class _Inline(ast.NodeTransformer):
    """One module: what it imports, and where it uses it. A function's own imports count too."""

    def __init__(self, path: str, known: Mapping[str, Mapping[str, int]]) -> None:
        self._known = known
        self._package = path.rpartition("/")[0].split("/")
        self._modules: dict[str, str] = {}  # name here -> path of the module
        self._names: dict[str, int] = dict(known[path])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            parts = self._package[: len(self._package) - node.level + 1] + parts
        source = self._path("/".join(parts))
        left = []
        for alias in node.names:
            name = alias.asname or alias.name
            module = self._path("/".join([*parts, alias.name]))
            if module:
                self._modules[name] = module
            value = self._known.get(source, {}).get(alias.name)
            if value is None or name != alias.name:
                left.append(alias)
            else:
                self._names[name] = value
        node.names = left
        return node if left else None

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            value = self._known.get(self._modules.get(node.value.id, ""), {}).get(node.attr)
            if value is not None:
                return ast.copy_location(ast.Constant(value), node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self._names:
            return ast.copy_location(ast.Constant(self._names[node.id]), node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        # A parameter or a local of the same name is another thing.
        local = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        local |= {
            one.id
            for one in ast.walk(node)
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
        }
        outer = self._names
        self._names = {name: value for name, value in outer.items() if name not in local}
        self.generic_visit(node)
        self._names = outer
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_FunctionDef(node)

    def _path(self, name: str) -> str:
        for path in (f"{name}.py", f"{name}/__init__.py"):
            if path in self._known:
                return path
        return ""


def _used(tree: ast.Module) -> set[str]:
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _without(statement: ast.stmt, gone: Collection[str]) -> ast.stmt | None:
    """The statement without its constants that nobody reads any more."""
    bound = {name for name, _ in _bound(statement)} & set(gone)
    if not bound or not isinstance(statement, ast.Assign):
        return statement
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name):
        return None
    assert isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)  # noqa: S101, PT018
    pairs = [
        (one, number)
        for one, number in zip(target.elts, value.elts, strict=True)
        if not (isinstance(one, ast.Name) and one.id in bound)
    ]
    if not pairs:
        return None
    target.elts = [one for one, _ in pairs]
    value.elts = [number for _, number in pairs]
    return statement


def _fill(tree: ast.Module) -> None:
    # A function that was but an import of constants needs a body all the same.
    for node in ast.walk(tree):
        if hasattr(node, "body") and isinstance(node.body, list) and not node.body:
            node.body = [ast.Pass()]
