"""Modules that only one phase of a wake needs leave the heap when it is over."""

import sys


def forget(names: str) -> None:
    """Let modules go, each with all below it; an import loads them again.

    `names` are whole (`node.link.dns`), with blanks between them, and stand in one text: the build
    finds them there (fleet/releases/flat.py), and each name of a table would stay in the heap.
    """
    for name in names.split(" "):
        _forget(name)


def _forget(name: str) -> None:
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
