"""Numbers that go over the air or lie in nodes of the field: none ever changes its meaning."""

import csv
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests" / "vectors" / "codes.csv"  # rows are added, none changes
WIRE = sorted(path.stem for path in (ROOT / "firmware/node/wire").glob("[a-z]*.py"))
NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def constants(module: str) -> dict[str, int]:
    """The whole numbers that a module of the wire gives names."""
    found = vars(importlib.import_module(f"node.wire.{module}"))
    return {
        name: value
        for name, value in found.items()
        if NAME.fullmatch(name) and isinstance(value, int) and not isinstance(value, bool)
    }


def kept() -> Iterator[tuple[str, str, int]]:
    with KEPT.open() as file:
        for module, name, value in list(csv.reader(file))[1:]:
            yield module, name, int(value)


@pytest.mark.parametrize("module", WIRE)
def test_a_number_of_the_wire_keeps_its_meaning(module: str) -> None:
    assert constants(module) == {name: value for of, name, value in kept() if of == module}


def test_errors_keep_their_codes() -> None:
    from node import errors

    found = {
        name: getattr(made, "code")  # noqa: B009  of some only
        for name, made in vars(errors).items()
        if isinstance(made, type) and isinstance(getattr(made, "code", None), int)
    }
    assert found == {name: value for of, name, value in kept() if of == "errors"}
