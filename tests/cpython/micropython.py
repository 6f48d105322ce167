"""Stand-in for MicroPython's `micropython` module where firmware modules are tested on CPython,
and for what its `os` has more than CPython's.
"""

import os
from collections.abc import Iterator


def const(value: int) -> int:
    """What mpy-cross folds at compile time."""
    return value


def _ilistdir(path: str) -> Iterator[tuple[str]]:
    """(name,) of each entry: MicroPython's has more fields."""
    for name in os.listdir(path):
        yield (name,)


if not hasattr(os, "ilistdir"):
    os.ilistdir = _ilistdir  # type: ignore[attr-defined]
