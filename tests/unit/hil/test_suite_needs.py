"""What a bench must have for a test of the suite: one that presses a button, or makes what the
node senses, says that it needs a stimulus board. Without one a button is a fault of the rig.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from hil.pytest_plugin.options import MARKERS

SUITE = Path(__file__).parents[3] / "hil" / "tests"
PRESSES = {"wake", "press"}  # methods of hil.node.Node
STIMULUS = "stimulus"  # a fixture, and the feature of a place that has it


@pytest.fixture(autouse=True)
def _markers(pytestconfig: pytest.Config) -> None:
    """The suite's modules can be imported."""
    for marker in MARKERS:
        pytestconfig.addinivalue_line("markers", marker)


def _presses(each: ast.AST) -> bool:
    """Whether it is `node.wake` or `node.press`, called here or elsewhere."""
    if not isinstance(each, ast.Attribute) or each.attr not in PRESSES:
        return False
    return ast.unparse(each.value).endswith("node")


def _calls(function: FunctionType, names: set[str]) -> Iterator[FunctionType]:
    """The suite's own functions of these names, in its module or in those that it imports."""
    for name in names:
        found = function.__globals__.get(name)
        inside = [getattr(found, each, None) for each in names] if inspect.ismodule(found) else []
        for each in (found, *inside):
            bare = inspect.unwrap(each) if callable(each) else each  # a fixture wraps one
            if isinstance(bare, FunctionType) and _folder(bare) == _folder(function):
                yield bare


def _folder(function: FunctionType) -> Path:
    return Path(function.__code__.co_filename).parent


def _reaches(function: FunctionType, seen: set[FunctionType]) -> bool:
    """Whether it, or what it calls or is given, presses a button or has the stimulus board."""
    if function in seen:
        return False
    seen.add(function)
    tree = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    asked = set(inspect.signature(function).parameters)
    if STIMULUS in asked or any(map(_presses, tree)):
        return True
    names = {each.id for each in tree if isinstance(each, ast.Name)}
    names |= {each.attr for each in tree if isinstance(each, ast.Attribute)}
    return any(_reaches(each, seen) for each in _calls(function, names | asked))


def _fixtures_for_all(module: ModuleType) -> Iterator[FunctionType]:
    for each in vars(module).values():
        marker = getattr(each, "_fixture_function_marker", None)  # as pytest 9 keeps it
        if marker is not None and marker.autouse:
            yield inspect.unwrap(each)


def _silent(module: ModuleType) -> Iterator[str]:
    """Tests that press or make something and do not say so."""
    shared = getattr(module, "pytestmark", [])
    shared = shared if isinstance(shared, list) else [shared]
    always = list(_fixtures_for_all(module))
    for name, test in vars(module).items():
        if not name.startswith("test_") or not isinstance(test, FunctionType):
            continue
        marks = [*shared, *getattr(test, "pytestmark", [])]
        needs = {each for mark in marks if mark.name == "needs" for each in mark.args}
        seen: set[FunctionType] = set()
        if STIMULUS not in needs and any(_reaches(each, seen) for each in (test, *always)):
            yield name


@pytest.mark.parametrize("path", sorted(SUITE.glob("test_*.py")), ids=lambda path: path.stem)
def test_what_presses_a_button_needs_who_does(path: Path) -> None:
    assert list(_silent(importlib.import_module(f"hil.tests.{path.stem}"))) == []


HELPERS = """
import pytest

def deep(node):
    node.until(lambda: node.wake(), 5)

@pytest.fixture
def woken(node):
    deep(node)
"""
TESTS = """
import pytest
import needs_helpers
from needs_helpers import woken

def made(node):
    return [needs_helpers.deep(each) for each in node]

def test_itself(node):
    node.press("button")

def test_as_an_argument(node, power):
    power.cut_during(node.wake, 1)

def test_by_helpers(node):
    made(node)

def test_by_a_fixture(woken):
    pass

def test_by_what_is_sensed(stimulus):
    stimulus.level("cover", 1)

@pytest.mark.needs("modem-twin")
@pytest.mark.needs("stimulus", "virtual")
def test_that_says_so(node):
    node.wake()

def test_without_any(node):
    node.wait(1)
"""


def test_a_test_that_presses_and_does_not_say_so_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_helpers.py").write_text(HELPERS)
    (tmp_path / "needs_tests.py").write_text(TESTS)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("needs_tests")
    assert list(_silent(module)) == [
        "test_itself", "test_as_an_argument", "test_by_helpers", "test_by_a_fixture",
        "test_by_what_is_sensed",
    ]  # fmt: skip
    named = "\n@pytest.fixture(autouse=True)\ndef pressed(node):\n    node.press('button')\n"
    (tmp_path / "needs_all.py").write_text(TESTS + named)
    assert "test_without_any" in _silent(importlib.import_module("needs_all"))
