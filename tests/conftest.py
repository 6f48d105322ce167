"""Fixtures that more than one folder of tests uses."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def micropython() -> list[str]:
    """The command of the MicroPython VM that this environment has."""
    return [str(Path(sys.executable).with_name("micropython"))]


@pytest.fixture(autouse=True)
def _same_firmware() -> Iterator[None]:
    """The firmware's modules stay those that the tests hold, whatever a test makes it forget; what
    it kept in NVS is gone.
    """
    held = {name: each for name, each in sys.modules.items() if name.startswith("node.")}
    yield
    chip = sys.modules.get("esp32")
    if hasattr(chip, "Flash"):
        chip.flash = chip.Flash()  # type: ignore[union-attr]
    for name in [name for name in sys.modules if name.startswith("node.")]:
        if name not in held:
            del sys.modules[name]
            package, _, last = name.rpartition(".")
            vars(sys.modules.get(package, sys)).pop(last, None)
    sys.modules.update(held)
    for name, each in held.items():
        package, _, last = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], last, each)
