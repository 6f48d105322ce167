"""The firmware's modules on CPython: loaded anew over another chip's stand-in, and put back."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from node.modules import forget as _forget

_CHIP = ("machine", "esp32")


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
