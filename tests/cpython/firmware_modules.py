"""The firmware's modules on CPython: loaded anew over another chip's stand-in, and put back."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from node import modules
from node.modules import forget as _forget

_CHIP = ("machine", "esp32")
slow_forget = modules._forget


def quick_forget(name: str) -> None:
    """As the firmware's, which looks through all modules for some below: those are thousands here,
    and below a module that is no package there is none.
    """
    if name not in sys.modules or hasattr(sys.modules[name], "__path__"):
        slow_forget(name)
        return
    del sys.modules[name]
    package, _, last = name.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(last, None)


class _Kept(Loader):
    """Loads a module whose code was read before."""

    def __init__(self, code: CodeType) -> None:
        self._code = code

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, vars(module))  # noqa: S102


class _Firmware(MetaPathFinder):
    """Finds what lies below `node`, which nodes load and forget in each wake."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith("node.") or not path:
            return None
        found = _found(name, tuple(path))
        if found is None:
            return None
        origin, below = found
        loader = _Kept(code_of(origin))
        return spec_from_file_location(
            name, origin, loader=loader, submodule_search_locations=below
        )


@cache
def code_of(path: str) -> CodeType:
    """The code of a file of the firmware: compiled once in this process."""
    return compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)


@cache
def _found(name: str, path: tuple[str, ...]) -> tuple[str, list[str] | None] | None:
    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    return spec.origin, spec.submodule_search_locations


modules._forget = quick_forget
sys.meta_path.insert(0, _Firmware())


def forget(*names: str) -> None:
    """The next import of `names` (`"sense.tilt"`: below `node`) loads them anew.

    To take them from `sys.modules` is not enough: their package has them as attributes still, and
    `from node.sense import tilt` prefers that one, which is bound to the chip of its time.
    """
    for name in names:
        _forget("node." + name)


def fresh(name: str) -> Any:
    """The module `name` below `node`, loaded anew."""
    forget(name)
    return importlib.import_module("node." + name)


@contextmanager
def restored() -> Iterator[None]:
    """Afterwards the modules of firmware and chip are those from before, and no others."""
    held = _loaded()
    try:
        yield
    finally:
        for name in _loaded().keys() - held.keys():
            del sys.modules[name]
        sys.modules.update(held)
        for name, module in held.items():
            package, _, last = name.rpartition(".")
            if package in sys.modules:
                setattr(sys.modules[package], last, module)
        for name in ("node", *held):
            _drop_stale(name)


def _loaded() -> dict[str, ModuleType]:
    return {n: m for n, m in sys.modules.items() if n in _CHIP or n.startswith("node.")}


def _drop_stale(package: str) -> None:
    # What is an attribute of it, and no loaded module any more.
    names = vars(sys.modules[package]) if package in sys.modules else {}
    if "__path__" in names:
        for last, each in list(names.items()):
            name = f"{package}.{last}"
            if getattr(each, "__name__", "") == name and sys.modules.get(name) is not each:
                del names[last]
