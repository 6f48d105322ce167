"""Which modules a file reaches by its imports: for the tests whose firmware runs on a VM, where no
coverage sees it.
"""

import ast
import functools
import re
from collections.abc import Iterable

from hil.mutants.trees import ROOT

_FIRMWARE = "firmware/node/"
_ROLES = "firmware/node/roles"
_RIG = "hil/tests/"
_ROOTS = ("", "firmware/", "tests/cpython/")  # as pytest's pythonpath
_VM = frozenset({"hil/virtual/process.py", "hil/fleet_process.py"})
# The command of the VM, as tests take it or make it.
_FIXTURE = re.compile(r"\bmicropython(_run\b|_unix\b|\b[,:)])")
# Nodes with whole slots: of all that some role may load.
_NODES = frozenset({"hil/virtual/node.py", "hil/fleet_process.py"})
_NODE_IMPORT = re.compile(
    r"(?:from|import)\s+(node(?:\.\w+)*)(?:\s+import\s+(?:\(([\w,\s]+)\)|([\w, ]+)))?"
)


def closure(path: str) -> frozenset[str]:
    """The repository's files that `path` loads, itself included."""
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += imported(one)
    return frozenset(seen)


@functools.cache
def imported(path: str) -> tuple[str, ...]:
    """The repository's files that a file imports by itself, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(file for name in found for file in _files(name)))


def on_vm(path: str) -> frozenset[str]:
    """The firmware's modules that the test file at `path` may run on a VM; none without a VM. A
    rig's tests run all of it."""
    if path.startswith(_RIG):
        return _all()
    reached = closure(path)
    near = {path, *(one for one in reached if one.startswith("tests/"))}
    text = "".join((ROOT / one).read_text() for one in sorted(near))
    if not reached & _VM and not _FIXTURE.search(text):
        return frozenset()
    if reached & _NODES or "slots.build" in text:
        return _all()
    scripts = {
        script.relative_to(ROOT).as_posix()
        for script in (ROOT / "tests" / "vm").glob("*.py")
        if re.search(rf"\b{script.stem}\b", text)
    }
    found: set[str] = set()
    for one in near | scripts:
        found |= _named((ROOT / one).read_text())
    return frozenset(found)


def _named(text: str) -> set[str]:
    # Modules that are imported in strings: what a VM is given; with all that they load.
    found: set[str] = set()
    for module, several, some in _NODE_IMPORT.findall(text):
        names = (several + some).split(",")
        wanted = [module, *(f"{module}.{name.strip()}" for name in names)]
        for file in _files_of(wanted):
            found |= {one for one in closure(file) if one.startswith(_FIRMWARE)}
    return found


@functools.cache
def _all() -> frozenset[str]:
    return frozenset(p.relative_to(ROOT).as_posix() for p in (ROOT / _FIRMWARE).rglob("*.py"))


def _files_of(names: Iterable[str]) -> list[str]:
    return [file for name in names for file in _files(name)]


@functools.cache
def _files(name: str) -> tuple[str, ...]:
    inner = name.replace(".", "/")
    candidates = [f"{root}{inner}{end}" for root in _ROOTS for end in (".py", "/__init__.py")]
    found = [ROOT / one for one in candidates if inner and (ROOT / one).is_file()]
    # The fleet has the firmware's wire and schema by a link: they are one file.
    return tuple(one.resolve().relative_to(ROOT.resolve()).as_posix() for one in found)


def loads(path: str) -> frozenset[str]:
    """The firmware's modules that the test file at `path` may load on CPython."""
    return frozenset(one for one in closure(path) if one.startswith(_FIRMWARE))


@functools.cache
def roles(path: str) -> tuple[str, ...]:
    """The roles whose firmware has the module at `path`; none where that is most of them."""
    everything = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / _ROLES).glob("*.py"))
    found = tuple(role for role in everything if path in closure(role))
    return found if 2 * len(found) < len(everything) else ()


def all_tests() -> list[str]:
    """Every test file, sorted; the rig's last."""
    return [
        p.relative_to(ROOT).as_posix()
        for folder in ("tests", _RIG)
        for p in sorted((ROOT / folder).rglob("test_*.py"))
    ]


def direct_tests() -> list[str]:
    """The test files that load modules of the firmware on CPython, and no VM but beside that."""
    return [
        test
        for test in all_tests()
        if any(file.startswith(_FIRMWARE) for file in closure(test))
        and not (test.startswith(("tests/integration/", _RIG)) and on_vm(test))
    ]
