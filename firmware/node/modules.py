"""What only one phase of a wake needs leaves the heap when it is over; the rest is there once."""

import sys


def forget(names: str) -> None:
    """Let modules go, each with all below it; an import loads them again.

    `names` are whole (`node.link.dns`), with blanks between them, and stand in one text: the build
    finds them there (fleet/releases/flat.py), and each name of a table would stay in the heap.
    """
    for name in names.split(" "):
        _forget(name)


def named(values: dict) -> dict:
    """The same with keys that are names of the VM's, which the code has anyway: a text of its own
    takes 64 bytes for each. Where a key is none, as it is.
    """
    try:
        return dict(**values)
    except (TypeError, RuntimeError):
        return values


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
