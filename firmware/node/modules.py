"""Modules that only one phase of a wake needs leave the heap when it is over."""

import sys


def forget(name: str) -> None:
    """Let module `name` (`package.module`) and all below it go; an import loads them again."""
    for path in list(sys.modules):
        if path == name or path.startswith(name + "."):
            del sys.modules[path]
    package, _, last = name.rpartition(".")
    if hasattr(sys.modules[package], last):
        delattr(sys.modules[package], last)
