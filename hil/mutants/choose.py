"""Which tests may notice a mutant, quickest first: those that execute its line on CPython, as a
recorded run tells, then those that may run its module on a VM, as their imports tell.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from hil.mutants import imports
from hil.mutants.points import Mutant

_UNKNOWN_S = 20.0  # of a test file that was never timed


class MapError(Refusal, ValueError):
    """There is no map of which tests execute what; one line."""


class Chosen(NamedTuple):
    """`direct`: test files that execute the line. `vm`: that may run the module on a VM."""

    direct: list[str]
    vm: list[str]


class Map:
    """A recorded run: lines by test file and module, seconds by test file, and who failed."""

    def __init__(self, known: Mapping[str, object], vm: Mapping[str, frozenset[str]]) -> None:
        self._lines: dict[str, dict[str, list[int]]] = known["lines"]  # type: ignore[assignment]
        self._seconds: dict[str, float] = known["seconds"]  # type: ignore[assignment]
        self._failed = set(known["failed"])  # type: ignore[call-overload]
        self._vm = vm
        self._loading = self._lines.get("", {})

    @property
    def failed(self) -> list[str]:
        """Test files that fail without any mutant: they are asked nothing."""
        return sorted(self._failed)

    def seconds(self, files: list[str]) -> float:
        """What these took when they were recorded."""
        return sum(self._seconds.get(file, _UNKNOWN_S) for file in files)

    def chosen(self, mutant: Mutant, wide: int) -> Chosen:
        """The tests for a mutant of so many lines. One that runs while its module is loaded is
        everybody's who executes anything of the module."""
        touched = set(range(mutant.line, mutant.line + wide))
        while_loading = touched & set(self._loading.get(mutant.path, ()))
        direct = [
            file
            for file, modules in self._lines.items()
            if file
            and mutant.path in modules
            and (while_loading or touched & set(modules[mutant.path]))
        ]
        on_vm = [file for file, modules in self._vm.items() if mutant.path in modules]
        about = _words(mutant.path)
        return Chosen(
            sorted(set(direct) - self._failed, key=self._quickness),
            sorted(
                set(on_vm) - set(direct) - self._failed,
                key=lambda file: (-len(about & _words(file)), self._quickness(file)),
            ),
        )

    def _quickness(self, file: str) -> tuple[float, str]:
        return self._seconds.get(file, _UNKNOWN_S), file


def _words(path: str) -> set[str]:
    # What a file is about, by its name and its folder's: the modems' drivers, a modem's test.
    parts = path.removesuffix(".py").replace("/", "_").split("_")
    return {part.rstrip("s") for part in parts} - {
        "firmware",
        "node",
        "test",
        "integration",
        "unit",
    }


def load(path: Path) -> Map:
    """The map that was recorded into `path`; MapError when none was."""
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        raise MapError(f"{path} is missing: python -m hil.mutants record") from None
    except ValueError:
        raise MapError(f"{path} is damaged: python -m hil.mutants record") from None
    vm = {file: imports.on_vm(file) for file in imports.all_tests()}
    return Map(known, {file: modules for file, modules in vm.items() if modules})
