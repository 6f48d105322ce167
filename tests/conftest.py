"""Fixtures that more than one folder of tests uses."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def micropython() -> list[str]:
    """The command of the MicroPython VM that this environment has."""
    return [str(Path(sys.executable).with_name("micropython"))]
