"""A pytest plugin that records which lines of the firmware each test file executes on CPython, and
how long it takes: `pytest -p hil.mutants.recorder`, with KAPOK_MUTANTS_MAP naming the JSON file.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from hil.mutants.trees import ROOT

_TARGET = "KAPOK_MUTANTS_MAP"
_FOLDER = "firmware/node"


class Recorder:
    """Contexts of coverage are test files; what runs while modules load has none."""

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
        """One test: its lines and its time are its file's."""
        name = item.path.relative_to(ROOT).as_posix()
        self._coverage.switch_context(name)
        began = time.monotonic()
        yield
        self._seconds[name] += time.monotonic() - began
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails as things are can tell nothing of a mutant."""
        if report.failed:
            self._failed.add(report.nodeid.partition("::")[0])

    def pytest_sessionfinish(self) -> None:
        """Write the map: lines by test file and module, seconds, files that fail."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for file in data.measured_files():
            module = Path(file).relative_to(ROOT).as_posix()
            for number, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines[context].setdefault(module, []).append(number)
        for modules in lines.values():
            for numbers in modules.values():
                numbers.sort()
        known = {"lines": lines, "seconds": self._seconds, "failed": sorted(self._failed)}
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._target.write_text(json.dumps(known, separators=(",", ":")))


def pytest_configure(config: pytest.Config) -> None:
    """Record, where the target is named."""
    target = os.environ.get(_TARGET)
    if target:
        config.pluginmanager.register(Recorder(Path(target).absolute()), "mutants-recorder")
