"""What a bench spends on the suite: a test that waits for hours there says so by its marker."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hil.pytest_plugin.options import MARKERS

SUITE = Path(__file__).parents[3] / "hil" / "tests"
MOST_S = 2 * 3600  # what a test may wait on a bench without --soak (docs/hil.md)


@pytest.fixture(autouse=True)
def _markers(pytestconfig: pytest.Config) -> None:
    """The suite's modules can be imported."""
    for marker in MARKERS:
        pytestconfig.addinivalue_line("markers", marker)


def _waits(tree: ast.AST, names: dict[str, object], times: int = 1) -> Iterator[float]:
    """Seconds of each `node.wait(...)` that can be worked out, so often as its loop goes round."""
    for node in ast.iter_child_nodes(tree):
        again = times
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = _value(node.value, names)
        if isinstance(node, ast.For):
            again *= _rounds(_value(node.iter, names))
        match node:
            case ast.Call(func=ast.Attribute(attr="wait", value=ast.Name(id="node")), args=[each]):
                seconds = _value(each, names)
                yield times * seconds if isinstance(seconds, (int, float)) else 0
        yield from _waits(node, names, again)


def _value(tree: ast.expr, names: dict[str, object]) -> object:
    try:
        return eval(compile(ast.Expression(tree), "", "eval"), names)  # noqa: S307  of the suite
    except Exception:
        return None


def _rounds(value: object) -> int:
    return len(value) if isinstance(value, (range, tuple, list)) else 1


def _long(module: ModuleType) -> Iterator[str]:
    """Tests that wait longer, and neither say so nor are a virtual rig's alone."""
    shared = getattr(module, "pytestmark", [])
    shared = shared if isinstance(shared, list) else [shared]
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        marks = [*shared, *getattr(module, function.name).pytestmark]
        said = any(mark.name == "soak" or "virtual" in mark.args for mark in marks)
        if not said and sum(_waits(function, dict(vars(module)))) >= MOST_S:
            yield function.name


@pytest.mark.parametrize("path", sorted(SUITE.glob("test_*.py")), ids=lambda path: path.stem)
def test_what_waits_for_hours_on_a_bench_needs_soak(path: Path) -> None:
    assert list(_long(importlib.import_module(f"hil.tests.{path.stem}"))) == []


def test_a_test_that_waits_and_does_not_say_so_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "import pytest\nHOUR_S = 3600\n"
    body = "def test_{0}(node):\n    n = 3\n    for _ in range(n):\n        node.wait(HOUR_S)\n"
    (tmp_path / "patient.py").write_text(
        head
        + "@pytest.mark.requirement('K')\n" + body.format("silent")
        + "@pytest.mark.soak\n" + body.format("said")
        + "@pytest.mark.requirement('K')\ndef test_short(node):\n    node.wait(60)\n"
    )  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    assert list(_long(importlib.import_module("patient"))) == ["test_silent"]
