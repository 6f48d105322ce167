"""The deliberate faults, and whether the suite catches each of them."""

import ast
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from hil.mutants import runs
from hil.mutants.runs import Outcome
from hil.mutants.trees import ROOT, Tree

_LIST = Path(__file__).with_name("faults.toml")
_SUITE = "hil/tests"
_LIMIT_S = 900.0


class FaultError(Refusal, ValueError):
    """A fault of the list does not fit the sources any more, or was never caught; one line."""


class Fault(NamedTuple):
    """`find` in the file at `path` becomes `put`, and breaks the `requirements`."""

    id: str
    says: str
    path: str
    find: str
    put: str
    requirements: tuple[str, ...]
    tests: tuple[str, ...]

    def applied(self) -> str:
        """The file's text with this fault; FaultError unless `find` stands there once."""
        text = (ROOT / self.path).read_text()
        if text.count(self.find) != 1:
            raise FaultError(
                f"{self.id}: {self.path} has {text.count(self.find)} times {self.find!r}:"
                " mend hil/mutants/faults.toml"
            )
        return text.replace(self.find, self.put)


class Verdict(NamedTuple):
    """What became of a fault; `proved`: whether a test of its own requirements caught it."""

    fault: Fault
    outcome: Outcome
    proved: bool

    def __str__(self) -> str:
        what = f"{self.fault.id}: {self.outcome.kind} in {self.outcome.seconds:.0f} s"
        return f"{what} by {self.outcome.by}" if self.outcome.by else what


def load() -> list[Fault]:
    """Every fault of the list."""
    return [
        Fault(
            row["id"],
            row["says"],
            row["path"],
            row["find"],
            row["put"],
            tuple(row["requirements"]),
            tuple(row["tests"]),
        )
        for row in tomllib.loads(_LIST.read_text())["fault"]
    ]


class Suite:
    """The tests that are to catch faults: of a rig (`hil/tests`), by the requirements that they
    name, or the repository's own, by name."""

    def __init__(self, rig: str | None) -> None:
        self.rig = rig
        self._naming: dict[str, list[str]] = {}
        for path in sorted((ROOT / _SUITE).glob("test_*.py")) if rig else ():
            for name, ids in _proving(path.read_text()):
                for each in ids:
                    self._naming.setdefault(each, []).append(f"{_SUITE}/{path.name}::{name}")

    def first(self, fault: Fault) -> list[str]:
        """Arguments of pytest: the tests that prove what the fault breaks."""
        named = self._named(fault)
        return [*named, *self._options("0")] if named else []

    def only(self, test: str) -> list[str]:
        """Arguments of pytest: this test; none where it is the name of none."""
        return [test, *self._options("0")] if "::" in test else []

    def whole(self) -> list[str]:
        """Arguments of pytest for all of it; none where a fault's own tests are all there is."""
        return [_SUITE, *self._options("2")] if self.rig else []

    def _options(self, workers: str) -> list[str]:
        return [*(["--rig", self.rig] if self.rig else []), "-n", workers]

    def _named(self, fault: Fault) -> list[str]:
        if not self.rig:
            return [name for name in fault.tests if (ROOT / name).exists()]
        found = [test for each in fault.requirements for test in self._naming.get(each, ())]
        return list(dict.fromkeys(found))


def _proving(text: str) -> Iterator[tuple[str, list[str]]]:
    # Each test of a file, and the requirements that it names.
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = (each for each in node.decorator_list if isinstance(each, ast.Call))
            for mark in marks:
                if ast.unparse(mark.func) == "pytest.mark.requirement":
                    yield node.name, [ast.literal_eval(each) for each in mark.args]


def judge(fault: Fault, suite: Suite, tree: Tree) -> Verdict:
    """Put the fault into the copy and run the suite: its own tests first, then all. What fails
    without the fault too is no catch: a rig on a busy machine may fail by itself."""
    seconds, kind = 0.0, ""
    for proved, arguments in ((True, suite.first(fault)), (False, suite.whole())):
        if not arguments:
            continue
        with tree.changed(fault.path, fault.applied()):
            outcome = runs.run(tree, arguments, _LIMIT_S)
        seconds += outcome.seconds
        if not outcome.caught:
            continue
        alone = runs.run(tree, suite.only(outcome.by) or arguments, _LIMIT_S)
        seconds += alone.seconds
        if not alone.caught:
            return Verdict(fault, outcome._replace(seconds=seconds), proved)
        kind = f"{alone.by} fails without it too"
    return Verdict(fault, Outcome("survived", kind, seconds), False)


def judge_all(
    wanted: Iterable[Fault], suite: Suite, tree: Tree, tell: Callable[[str], None]
) -> list[Verdict]:
    """A verdict on each, told as it comes."""
    faults = list(wanted)
    for fault in faults:
        fault.applied()  # before hours are spent
    verdicts = []
    for number, fault in enumerate(faults, 1):
        verdicts.append(judge(fault, suite, tree))
        tell(f"{number}/{len(faults)} {verdicts[-1]}")
    return verdicts
