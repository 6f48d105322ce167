"""Fixtures that more than one folder of tests uses."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_modules import restored
from hypothesis import HealthCheck, settings

# How long an example takes is a matter of what else the machine does.
settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker's share begins with slow modules and ends with quick tests, which the others
    take from it: no core waits at the end.
    """
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    slow = {path for path in modules if "unit" not in path.parts}
    for number, path in enumerate(sorted(slow)):
        shares[number % workers] += modules[path]
    for path in sorted(modules.keys() - slow):
        min(shares, key=len).extend(modules[path])
    if workers > 1:
        items[:] = [item for share in shares for item in share]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What failed is named at once: a run that somebody ends says nothing more at its end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nfailed: {report.nodeid} ({report.when})", file=sys.__stderr__)


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
