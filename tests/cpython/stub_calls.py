"""Calls that sources make into some modules, and the signatures that stubs or sources offer.

All by syntax trees: nothing is imported, so it works on stubs and on MicroPython sources alike.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
_KINDS = inspect._ParameterKind
_SMALL = {("socket", "socket")}  # classes that do not begin with a capital letter


class Use(NamedTuple):
    """One use of `module`; `path` is e.g. `Pin`, `Pin.value`, `ticks_ms`."""

    where: str
    module: str
    path: str
    positional: int | None  # None: not a call, or one with * or **
    keywords: tuple[str, ...]


def signature(arguments: ast.arguments, bound: bool) -> Signature:
    """Names and kinds of a function's parameters; `bound` drops self."""
    parameters = []
    plain = [(a, _KINDS.POSITIONAL_ONLY) for a in arguments.posonlyargs]
    plain += [(a, _KINDS.POSITIONAL_OR_KEYWORD) for a in arguments.args]
    required = len(plain) - len(arguments.defaults)
    for at, (argument, kind) in enumerate(plain):
        default = Parameter.empty if at < required else None
        parameters.append(Parameter(argument.arg, kind, default=default))
    if bound:
        parameters = parameters[1:]
    if arguments.vararg:
        parameters.append(Parameter(arguments.vararg.arg, _KINDS.VAR_POSITIONAL))
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        default = Parameter.empty if value is None else None
        parameters.append(Parameter(argument.arg, _KINDS.KEYWORD_ONLY, default=default))
    if arguments.kwarg:
        parameters.append(Parameter(arguments.kwarg.arg, _KINDS.VAR_KEYWORD))
    return Signature(parameters)


class Offer:
    """What one module offers; `load(name)` gives the tree of a module that it imports from."""

    def __init__(self, folder: Path, name: str) -> None:
        self.signatures: dict[str, list[Signature]] = {}
        self.names: set[str] = set()
        tree = ast.parse((folder / f"{name}.{self._suffix(folder, name)}").read_text())
        for node in _flat(tree.body):
            if isinstance(node, ast.ImportFrom) and node.module:
                if any(
                    (folder / f"{node.module}{suffix}").is_file() for suffix in (".py", ".pyi")
                ):
                    other = Offer(folder, node.module)
                    for alias in node.names:
                        self._take(other, alias.name)
            else:
                self._add("", node)

    @staticmethod
    def _suffix(folder: Path, name: str) -> str:
        return "pyi" if (folder / f"{name}.pyi").is_file() else "py"

    def _take(self, other: "Offer", name: str) -> None:
        for path in other.names:
            if path == name or path.startswith(f"{name}."):
                self.names.add(path)
                if path in other.signatures:
                    self.signatures[path] = other.signatures[path]

    def _add(self, prefix: str, node: ast.stmt) -> None:
        if isinstance(node, Function):
            static = any("staticmethod" in ast.unparse(d) for d in node.decorator_list)
            found = signature(node.args, bool(prefix) and not static)
            self.names.add(prefix + node.name)
            self.signatures.setdefault(prefix + node.name, []).append(found)
        elif isinstance(node, ast.ClassDef):
            self.names.add(prefix + node.name)
            for base in node.bases:
                if isinstance(base, ast.Name):
                    self._inherit(base.id, prefix + node.name)
            for child in _flat(node.body):
                self._add(f"{prefix}{node.name}.", child)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.names.add(prefix + node.target.id)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.names.add(prefix + target.id)
                    if isinstance(node.value, ast.Name):
                        old = self.signatures.get(prefix + node.value.id)
                        if old:
                            self.signatures[prefix + target.id] = old

    def _inherit(self, base: str, derived: str) -> None:
        for path in [path for path in self.names if path.startswith(f"{base}.")]:
            name = derived + path[len(base) :]
            self.names.add(name)
            if path in self.signatures:
                self.signatures[name] = list(self.signatures[path])

    def refusal(self, use: Use) -> str | None:
        """Why this use is not accepted, or None when at least one overload accepts it."""
        if use.path not in self.names:
            return f"{use.module} has no {use.path}"
        if use.positional is None:
            return None
        candidates = self.signatures.get(use.path)
        if candidates is None:
            candidates = self.signatures.get(f"{use.path}.__init__")
        if candidates is None:
            return None if f"{use.path}.__init__" in self.names else f"{use.path} is not callable"
        reason = ""
        for candidate in candidates:
            try:
                candidate.bind(*[None] * use.positional, **dict.fromkeys(use.keywords))
            except TypeError as e:
                reason = str(e)
            else:
                return None
        return f"{use.module}.{use.path}: {reason}"


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from _flat(node.body)
            yield from _flat(node.orelse)
        else:
            yield node


class _Finder(ast.NodeVisitor):
    """Resolves names to paths in modules: imports, constructors' results, annotations."""

    def __init__(self, where: str, modules: set[str]) -> None:
        self.uses: list[Use] = []
        self._where = where
        self._modules = modules
        self._scopes: list[dict[str, tuple[str, str]]] = [{}]  # name: (module, path)
        self._attributes: dict[str, tuple[str, str]] = {}  # of self: an instance

    def _resolve(self, node: ast.expr) -> tuple[str, str] | None:
        """(module, path) that an expression stands for; an instance stands for its class."""
        if isinstance(node, ast.Name):
            for scope in reversed(self._scopes):
                if node.id in scope:
                    return scope[node.id]
            return None
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self._attributes.get(node.attr)
            found = self._resolve(node.value)
            if found is None:
                return None
            return found[0], f"{found[1]}.{node.attr}".lstrip(".")
        if isinstance(node, ast.Call):
            found = self._resolve(node.func)
            if found is None or "." in found[1]:
                return None
            return found if found[1][:1].isupper() or found in _SMALL else None
        return None

    def _remember(self, target: ast.expr, value: tuple[str, str] | None) -> None:
        if isinstance(target, ast.Name):
            if value is None:
                self._scopes[-1].pop(target.id, None)
            else:
                self._scopes[-1][target.id] = value
        elif isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and value:
            self._attributes[target.attr] = value

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name in self._modules:
                self._scopes[-1][alias.asname or alias.name] = (alias.name, "")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module in self._modules and not node.level:
            for alias in node.names:
                self._scopes[-1][alias.asname or alias.name] = (node.module, alias.name)
                self._use(node, (node.module, alias.name), None, ())

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._remember(target, self._resolve(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        self._remember(node.target, self._annotated(node.annotation))

    def _annotated(self, node: ast.expr | None) -> tuple[str, str] | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        return self._resolve(node) if node is not None else None

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._attributes = self._attributes, {}
        # Constructors first: a method may stand before the one that assigns the attribute.
        for child in ast.walk(node):
            if isinstance(child, ast.Assign) and isinstance(child.value, ast.Call):
                for target in child.targets:
                    if isinstance(target, ast.Attribute):
                        self._remember(target, self._resolve(child.value))
        self.generic_visit(node)
        self._attributes = outer

    def _function(self, node: Function) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        scope = {a.arg: found for a in arguments if (found := self._annotated(a.annotation))}
        self._scopes.append(scope)
        self.generic_visit(node)
        self._scopes.pop()

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function

    def visit_Call(self, node: ast.Call) -> None:
        found = self._resolve(node.func)
        if found is not None and found[1]:
            starred = any(isinstance(a, ast.Starred) for a in node.args)
            starred = starred or any(k.arg is None for k in node.keywords)
            keywords = tuple(k.arg for k in node.keywords if k.arg is not None)
            self._use(node, found, None if starred else len(node.args), keywords)
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
        elif not isinstance(node.func, ast.Name):
            self.visit(node.func)
        for child in [*node.args, *[k.value for k in node.keywords]]:
            self.visit(child)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        found = self._resolve(node)
        if found is not None and not (
            isinstance(node.value, ast.Name) and node.value.id == "self"
        ):
            self._use(node, found, None, ())
        self.visit(node.value)

    def _use(
        self,
        node: ast.AST,
        found: tuple[str, str],
        positional: int | None,
        keywords: tuple[str, ...],
    ) -> None:
        where = f"{self._where}:{getattr(node, 'lineno', 0)}"
        self.uses.append(Use(where, found[0], found[1], positional, keywords))


def uses(source: str, where: str, modules: set[str]) -> list[Use]:
    """Every use of `modules` in a source text."""
    finder = _Finder(where, modules)
    finder.visit(ast.parse(source))
    return finder.uses


def refusals(found: list[Use], offers: Mapping[str, Offer]) -> list[str]:
    """One line for each use that its module does not accept."""
    return [
        f"{use.where}: {reason}" for use in found if (reason := offers[use.module].refusal(use))
    ]
