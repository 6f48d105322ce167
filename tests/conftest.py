"""Fixtures that more than one folder of tests uses."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_modules import restored
from hypothesis import HealthCheck, settings

# How long an example takes is a matter of what else the machine does.
settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


@pytest.fixture(scope="session")
def micropython() -> list[str]:
    """The command of the MicroPython VM that this environment has."""
    return [str(Path(sys.executable).with_name("micropython"))]


@pytest.fixture(autouse=True)
def _same_firmware() -> Iterator[None]:
    """The firmware's modules stay those that the tests hold, whatever a test makes it forget or
    loads over a chip of its own; what it kept in NVS is gone.
    """
    with restored():
        yield
    chip = sys.modules.get("esp32")
    if hasattr(chip, "Flash"):
        chip.flash = chip.Flash()  # type: ignore[union-attr]
