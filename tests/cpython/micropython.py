"""Stand-in for MicroPython's `micropython` module where firmware modules are tested on CPython."""


def const(value: int) -> int:
    """What mpy-cross folds at compile time."""
    return value
