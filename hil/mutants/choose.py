"""Which tests may notice a mutant, nearest and quickest first: those that execute its line on
CPython, as recorded runs tell, then those that may run its module on a VM, as their imports tell.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fleet.errors import Refusal
from hil.mutants import imports
from hil.mutants.points import Mutant

DIRECT_S = 60.0  # of recorded time: what one mutant is worth in tests that execute its line
VM_MOST = 6  # files of tests on a VM that one mutant is worth
VM_S = 120.0  # and their recorded time
RIG_MOST = 2  # files of tests of the virtual rig, of those that are about the module
RIG = "hil/tests/"
# These read the sources, or what they say when they are loaded: asked about every module.
READERS = (
    "tests/unit/firmware/test_codes.py",
    "tests/unit/firmware/test_private_codes.py",
    "tests/unit/firmware/test_defaults_told.py",
    "tests/unit/firmware/test_wire_codes.py",
    "tests/unit/firmware/test_protocol_page.py",
    "tests/unit/fleet/test_quantity_codes.py",
    "tests/unit/fleet/test_config_keys.py",
)
GENERAL = ("tests/integration/test_roles.py",)  # of whole nodes: asked about every module
_UNKNOWN_S = 20.0  # of a test file that was never timed
_STEPS = (2, 8)  # files of the first looks: most mutants are caught by the nearest


class MapError(Refusal, ValueError):
    """There is no map of which tests execute what; one line."""


class Chosen(NamedTuple):
    """Tests in the order in which they are asked, in batches, and their recorded seconds."""

    direct: list[list[str]]
    vm: list[list[str]]
    rig: list[list[str]]


class Map:
    """Recorded runs, put together; `vm`: what each test file may run on a VM, of which a mutant
    is worth `vm_most`."""

    def __init__(
        self,
        runs: Iterable[Mapping[str, Any]],
        vm: Mapping[str, frozenset[str]],
        vm_most: int = VM_MOST,
    ) -> None:
        self._seconds: dict[str, float] = {}
        self._file_seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._loading: dict[str, set[int]] = defaultdict(set)
        self._vm = vm
        self._vm_most = vm_most
        modules: set[str] = set()
        for run in runs:
            self._add(run)
            modules.update(run["loaded"])
        self.modules = sorted(modules)

    def _add(self, run: Mapping[str, Any]) -> None:
        tests = run["tests"]
        for test, seconds in zip(tests, run["seconds"], strict=True):
            self._seconds[test] = seconds
            self._file_seconds[_file(test)] += seconds
        self._failed.update(run["failed"])
        for module, lines in run["lines"].items():
            for line, numbers in lines.items():
                if -1 in numbers:
                    self._loading[module].add(int(line))
                self._lines[module][int(line)].update(tests[n] for n in numbers if n >= 0)

    @property
    def failed(self) -> list[str]:
        """Tests that fail without any mutant: they are asked nothing."""
        return sorted(self._failed)

    @property
    def files(self) -> list[str]:
        """Test files that execute something of the firmware on CPython."""
        lines = (tests for module in self._lines.values() for tests in module.values())
        return sorted({_file(test) for tests in lines for test in tests})

    def seconds(self, tests: list[str]) -> float:
        """What these, tests or files of them, took when they were recorded."""
        return sum(self._seconds_of(test) for test in tests)

    def chosen(self, mutant: Mutant, wide: int) -> Chosen:
        """The tests for a mutant of so many lines. One that runs while its module is loaded is
        everybody's who executes anything of the module."""
        touched = set(range(mutant.line, mutant.line + wide))
        lines = self._lines.get(mutant.path, {})
        asked = lines.keys() if touched & self._loading[mutant.path] else touched & lines.keys()
        executing = {test for line in asked for test in lines[line]} - self._failed
        about = _words(mutant.path)
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(executing, key=lambda test: (self._seconds[test], test)):
            by_file[_file(test)].append(test)
        near = sorted(
            by_file,
            key=lambda file: (-len(about & _words(file)), self.seconds(by_file[file]), file),
        )
        roles = {word for role in imports.roles(mutant.path) for word in _words(role)}

        def nearness(file: str) -> int:
            direct = 3 if mutant.path in imports.imported(file) else 0
            return direct + 2 * len(about & _words(file)) + len(roles & _words(file))

        on_vm = sorted(
            (file for file, modules in self._vm.items() if mutant.path in modules),
            key=lambda file: (-nearness(file), self._seconds_of(file), file),
        )
        rig = [file for file in on_vm if file.startswith(RIG) and nearness(file)]
        vm = [f for f in on_vm if not f.startswith(RIG) and (nearness(f) or f in GENERAL)]
        direct = [self._within(tests, DIRECT_S) for tests in _batches(near, by_file) if tests]
        return Chosen(
            [each for each in (*direct[:1], list(READERS), *direct[1:]) if each],
            [[file] for file in self._within(vm[: self._vm_most], VM_S)],
            [[file] for file in rig[: RIG_MOST if self._vm_most else 0]],
        )

    def _within(self, tests: list[str], seconds: float) -> list[str]:
        left = seconds
        found: list[str] = []
        for test in tests:
            left -= self._seconds_of(test)
            if left < 0 and found:
                break
            found.append(test)
        return found

    def _seconds_of(self, test: str) -> float:
        return self._seconds.get(test, self._file_seconds.get(test, _UNKNOWN_S))


def _batches(files: list[str], tests: Mapping[str, list[str]]) -> Iterator[list[str]]:
    first, second = _STEPS
    for some in (files[:first], files[first : first + second], files[first + second :]):
        yield [test for file in some for test in tests[file]]


def _file(test: str) -> str:
    return test.partition("::")[0]


def _words(path: str) -> set[str]:
    # What a file is about, by its name and its folder's: the modems' drivers, a modem's test.
    parts = path.removesuffix(".py").replace("/", "_").split("_")
    return {part.rstrip("s") for part in parts} - {
        "firmware",
        "node",
        "hil",
        "test",
        "integration",
        "unit",
    }


def load(folder: Path, vm_most: int = VM_MOST) -> Map:
    """The map that was recorded into `folder`; MapError when none was."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(json.loads(path.read_text()))
        except ValueError:
            raise MapError(f"{path} is damaged: python -m hil.mutants record") from None
    if not found:
        raise MapError(f"{folder} has no map: python -m hil.mutants record")
    recorded = {_file(test) for run in found for test in run["tests"]}
    unseen = {
        file: imports.on_vm(file) | (frozenset() if file in recorded else imports.loads(file))
        for file in imports.all_tests()
    }
    return Map(found, {file: modules for file, modules in unseen.items() if modules}, vm_most)
