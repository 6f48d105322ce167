"""What is renamed in a slot, what is not, and that it still does the same."""

import ast
from typing import Any

import pytest

from fleet.paths import firmware_dir
from fleet.releases.shrink import parameters, shrink

BASE = '''
"""Doc."""
from micropython import const
_LIMIT = const(3)
_table = {"_kept": 1}

def _helper(amount: int, *, scale=2) -> int:
    """Doc."""
    step: int = _LIMIT
    return amount * scale + step

class Base:
    _level = 5

    def __init__(self, start):
        self._count = start
        self._hook = lambda amount: amount + self._count

    def _bump(self, amount):
        global _calls
        _calls = _calls + 1
        self._count += _helper(amount, scale=amount) + self._level
        return [amount for _ in range(2)] + [self._hook(amount)]

    def _kept(self):
        return getattr(self, "_kept")

_calls = 0
def calls(): return _calls
'''
CHILD = """
from base import Base
import base
class Child(Base):
    def __init__(self, first, second):
        super().__init__(first)
        self._extra = second
    def total(self, reach):
        result = super()._bump(reach)
        def _inner(number):
            return number + self._extra
        try:
            raise ValueError(reach)
        except ValueError as error:
            result.append(_inner(error.args[0]))
        return result, self._count, Base._level
class Other:
    def __init__(self, thing):
        self._mine = thing
    def look(self):
        return self._mine._open
def peek(thing):
    return thing._open
"""
SLOT = {"base.py": BASE, "child.py": CHILD}


def run(sources: dict[str, str]) -> Any:
    """What the slot computes."""
    base: dict[str, Any] = {"const": int}
    exec(sources["base.py"].replace("from micropython import const", ""), base)  # noqa: S102
    child: dict[str, Any] = {"Base": base["Base"]}
    text = sources["child.py"].replace("from base import Base", "").replace("import base", "")
    exec(text, child)  # noqa: S102
    one = child["Child"](10, 100)
    return one.total(4), one.total(5), base["calls"](), hasattr(one, "_kept")


def names_of(sources: dict[str, str]) -> set[str]:
    """Distinct names that bytecode would carry."""
    found: set[str] = set()
    for text in sources.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
    return found


def test_the_slot_does_the_same() -> None:
    assert run(shrink(SLOT).sources) == run(SLOT)


def test_private_names_are_short_and_public_ones_stay() -> None:
    small = names_of(shrink(SLOT).sources)
    assert {"Base", "Child", "total", "calls", "peek", "look"} <= small
    assert not {"_helper", "_bump", "_count", "_extra", "amount", "reach"} & small


def test_names_in_texts_and_arguments_by_name_stay() -> None:
    small = names_of(shrink(SLOT).sources)
    assert "_kept" in small
    assert "scale" in small


def test_an_attribute_that_others_reach_for_has_one_name_everywhere() -> None:
    text = shrink(SLOT).sources["child.py"]
    reached = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    (both,) = shrink(SLOT).names["child.py"].keys() & {
        short for short, old in shrink(SLOT).names["child.py"].items() if "_open" in old
    }
    assert both in reached
    assert text.count(f".{both}") == 2


def test_it_tells_what_a_short_name_was() -> None:
    told = shrink(SLOT).names["base.py"]
    assert {"_helper", "_count", "_bump"} <= {name for names in told.values() for name in names}


def test_the_same_input_gives_the_same_output_in_any_order() -> None:
    assert shrink(dict(reversed(SLOT.items()))) == shrink(SLOT)


def test_parameters_of_public_functions_can_be_kept() -> None:
    slot = {"a.py": "def go(needed, other=1):\n    return needed + other\n"}
    small = shrink(slot, parameters(slot)).sources["a.py"]
    assert "other" in small
    assert "needed" not in small, "it is given by its place"


def test_a_private_name_of_another_module_stays() -> None:
    slot = {"a.py": "_x_one = 1\n", "b.py": "import a\nfrom a import _x_one\nvalue = a._x_one\n"}
    assert "_x_one" in shrink(slot).sources["a.py"]
    assert shrink(slot).sources["b.py"].count("_x_one") == 2


def test_a_text_that_is_no_python_is_named() -> None:
    with pytest.raises(SyntaxError) as caught:
        shrink({"node/bad.py": "def ("})
    assert caught.value.filename == "node/bad.py"


def test_the_firmware_loses_a_third_of_its_names() -> None:
    root = firmware_dir()
    slot = {p.relative_to(root).as_posix(): p.read_text() for p in root.glob("node/**/*.py")}
    assert len(names_of(shrink(slot).sources)) * 3 < len(names_of(slot)) * 2
