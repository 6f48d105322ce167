"""The states of a modem."""

from enum import Enum, auto


class State(Enum):
    """What the modem does with bytes that come in."""

    OFF = auto()  # nothing
    BOOTING = auto()  # loses them
    ASLEEP = auto()  # wakes up on the first, and loses them all
    WAKING = auto()  # loses them
    WRITING = auto()  # loses them, and interrupting it is what no maker allows: its own firmware
    COMMAND = auto()
    DATA = auto()
