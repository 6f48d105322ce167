"""Modules that only one phase of a wake needs leave the heap when it is over."""

import sys


def forget(name: str) -> None:
    """Let module `name` (`package.module`) go; the next import loads it from flash again."""
    module = sys.modules.pop(name, None)
    package, _, last = name.rpartition(".")
    if module is not None:
        delattr(sys.modules[package], last)
