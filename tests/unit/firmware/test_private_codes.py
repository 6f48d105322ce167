"""A number that a module keeps for itself, since to load its owner costs heap, is its owner's: the
comment `# wire/release.py` behind it says whose, and `, NAME` which one where the name differs.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

FIRMWARE = Path(__file__).parents[3] / "firmware" / "node"
OWNER = re.compile(r"#.*?\b([a-z0-9_/]+)\.py(?:, ([A-Z_0-9]+))?")
BY_NAME = {"_Q_", "_E_", "_L_"}  # test_codes.py


class Private(NamedTuple):
    """`name` in the module `path` has the value of `of` in the module `owner`."""

    path: str
    name: str
    value: int
    owner: str
    of: str


def consts(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, value, line) of what a module gives a name once, also several at a time."""
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign):
            continue
        (target,) = node.targets
        several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        names = target.elts if several else [target]  # type: ignore[attr-defined]
        values = node.value.elts if several else [node.value]  # type: ignore[attr-defined]
        for name, value in zip(names, values, strict=True):
            match name, value:
                case ast.Name(id=known), (
                    ast.Constant(value=int(number))
                    | ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=int(number))])
                ):
                    yield known, number, node.end_lineno or node.lineno


def owner_of(path: Path, named: str) -> Path | None:
    for folder in (FIRMWARE, path.parent, FIRMWARE.parent):
        found = folder / f"{named}.py"
        if found.exists() and found != path:
            return found
    return None


def private() -> Iterator[Private]:
    for path in sorted(FIRMWARE.rglob("*.py")):
        text = path.read_text()
        lines = text.splitlines()
        for name, value, line in consts(text):
            match = OWNER.search(lines[line - 1])
            if match and name[:3] not in BY_NAME and (owner := owner_of(path, match[1])):
                held = {of: number for of, number, _ in consts(owner.read_text())}
                of = match[2] or next((n for n in (name, name.lstrip("_")) if n in held), "")
                if of:
                    where = owner.relative_to(FIRMWARE.parent).as_posix()
                    yield Private(path.relative_to(FIRMWARE).as_posix(), name, value, where, of)


FOUND = list(private())


@pytest.mark.parametrize("each", FOUND, ids=lambda each: f"{each.path}:{each.name}")
def test_a_number_that_is_anothers_is_his(each: Private) -> None:
    held = {name: value for name, value, _ in consts((FIRMWARE.parent / each.owner).read_text())}
    assert each.value == held[each.of]


def test_there_are_such_numbers() -> None:
    assert len(FOUND) >= 20
