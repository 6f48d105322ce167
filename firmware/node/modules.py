"""Modules that only one phase of a wake needs leave the heap when it is over."""

import sys


def forget(name: str) -> None:
    """Let module `name` (`package.module`) and all below it go; an import loads them again."""
    below = name + "."
    path = name
    while path:  # one at a time: a list of all modules is more than a full heap may have room for
        if path in sys.modules:
            del sys.modules[path]
        path = ""
        for other in sys.modules:
            if other.startswith(below):
                path = other
                break
    package, _, last = name.rpartition(".")
    if package in sys.modules and hasattr(sys.modules[package], last):
        delattr(sys.modules[package], last)
