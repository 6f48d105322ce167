"""A gas meter keeps those keys of its configuration that its counting asks for, and no less."""

import ast
from collections.abc import Iterator

import pytest

from fleet import schema
from fleet.paths import firmware_dir

NODE = firmware_dir() / "node"
COUNTING = ("roles/gas_meter.py", "roles/gas_tamper.py", "sense/reeds.py", "sense/ulp.py")


def asked(tree: ast.AST) -> Iterator[str]:
    """Texts by which something may be looked up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def kept() -> set[str]:
    tree = ast.parse((NODE / COUNTING[0]).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MINE":
            return set(ast.literal_eval(node.value))
    raise AssertionError("roles/gas_meter.py has no _MINE")


@pytest.mark.parametrize("path", COUNTING)
def test_every_key_that_counting_asks_for_is_kept(path: str) -> None:
    known = set(schema.rules("gas-meter"))
    assert set(asked(ast.parse((NODE / path).read_text()))) & known <= kept()


def test_what_is_kept_are_keys() -> None:
    assert kept() <= set(schema.rules("gas-meter"))
