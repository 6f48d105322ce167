"""Private constants that are codes of quantities and events are those of the catalogue."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.paths import firmware_dir
from fleet.wire import logcode, quantity

NAMES = {"_Q_": {name: code for code, (name, _, _) in quantity.QUANTITIES.items()}}
NAMES["_L_"] = {name: code for code, (name, _) in logcode.CODES.items()}
NAMES["_E_"] = {name: code for code, name in quantity.EVENTS.items()}


def constants(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=int(value))]),
            ) if name[:3] in NAMES:
                yield name, value


FOUND = {
    f"{path.name}:{name}": (name, value)
    for path in sorted(firmware_dir().rglob("*.py"))
    for name, value in constants(path)
}


@pytest.mark.parametrize("where", FOUND)
def test_a_constant_has_the_code_of_its_name(where: str) -> None:
    name, value = FOUND[where]
    assert NAMES[name[:3]][name[3:].lower()] == value


def test_names_are_given_once() -> None:
    assert len(NAMES["_Q_"]) == len(quantity.QUANTITIES)
    assert len(NAMES["_L_"]) == len(logcode.CODES)
    assert len(NAMES["_E_"]) == len(quantity.EVENTS)
