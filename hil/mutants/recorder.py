"""A pytest plugin that records which lines of the firmware each test executes on CPython, and how
long it takes: `pytest -p hil.mutants.recorder`, with KAPOK_MUTANTS_MAP naming the JSON file.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from hil.mutants.trees import ROOT

TARGET = "KAPOK_MUTANTS_MAP"
_FOLDER = "firmware/node"


class Recorder:
    """Contexts of coverage are tests; what runs while modules load has none. A test whose context
    is a test file's alone executed them in its fixtures of the module."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(
            data_file=None, include=[f"{ROOT}/{_FOLDER}/*"], config_file=False
        )
        self._coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """One test: its lines and its time are its own."""
        self._coverage.switch_context(item.nodeid)
        began = time.monotonic()
        yield
        self._seconds[item.nodeid] += time.monotonic() - began
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails as things are can tell nothing of a mutant."""
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the map: lines by module and test, seconds, tests that fail, modules loaded."""
        self._coverage.stop()
        data = self._coverage.get_data()
        tests = list(self._seconds)
        number_of = {name: number for number, name in enumerate(tests)}
        lines: dict[str, dict[int, list[int]]] = {}
        for file in data.measured_files():
            module = Path(file).relative_to(ROOT).as_posix()
            lines[module] = {
                line: sorted(number_of.get(context, -1) for context in contexts)
                for line, contexts in data.contexts_by_lineno(file).items()
            }
        known = {
            "tests": tests,
            "seconds": [round(self._seconds[name], 4) for name in tests],
            "lines": lines,
            "failed": sorted(self._failed),
            "loaded": _loaded(),
        }
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._target.write_text(json.dumps(known, separators=(",", ":")))


def _loaded() -> list[str]:
    # What others wrote, and the tests load: a worker that has it already need not wait for it.
    own = f"{ROOT}{os.sep}"
    foreign = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (not file.startswith(own) or "site-packages" in file):
            foreign.append(name)
    return foreign


def pytest_configure(config: pytest.Config) -> None:
    """Record, where the target is named."""
    target = os.environ.get(TARGET)
    if target:
        config.pluginmanager.register(Recorder(Path(target).absolute()), "mutants-recorder")
