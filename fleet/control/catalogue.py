"""The commands that a person may send: names, arguments with their bounds, roles, and which need
two persons.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from fleet.control.errors import ControlError
from fleet.wire import command

DAY_S = 86400
_TIME = (1_500_000_000, 0xFFFFFFFF)  # s since 1970


class Argument(NamedTuple):
    """An integer of a command, least to most."""

    name: str
    least: int
    most: int


class Known(NamedTuple):
    """`roles`: whose nodes take it, empty: all. `valve`: two persons must want it."""

    name: str
    code: int
    arguments: tuple[Argument, ...] = ()
    roles: tuple[str, ...] = ()
    valve: bool = False
    stamped: bool = False  # its argument is the time of the hand-over


_SECONDS = Argument("seconds", 1, 7 * DAY_S)
KNOWN = (
    Known("valve-close", command.VALVE_CLOSE, (), ("gas-meter",), valve=True),
    # It opens nothing: it lets a person open at the meter, by its button, for so long.
    Known(
        "valve-arm", command.VALVE_ARM, (Argument("seconds", 60, DAY_S),), ("gas-meter",),
        valve=True,
    ),
    Known("read-now", command.READ_NOW),
    Known("set-time", command.SET_TIME, stamped=True),
    Known("reboot", command.REBOOT),
    Known("relay", command.RELAY, (Argument("on", 0, 1), _SECONDS), ("lamppost", "gateway")),
    Known("dim", command.DIM, (Argument("permille", 0, 1000), _SECONDS), ("lamppost",)),
    Known("identify", command.IDENTIFY, (Argument("seconds", 1, 3600),)),
    Known("log-level", command.LOG_LEVEL, (Argument("level", 0, 3),)),
    Known("diagnose", command.DIAGNOSE),
    Known("resend", command.RESEND, (Argument("since", *_TIME), Argument("until", *_TIME))),
    Known("log-pull", command.LOG_PULL),
    # Searches an RS-485 line: 0 Modbus, 1 DL/T 645, 2 CJ/T 188; the addresses are Modbus's.
    Known(
        "scan", command.SCAN,
        (Argument("protocol", 0, 2), Argument("baud", 1200, 115_200),
         Argument("first", 1, 247), Argument("last", 1, 247)),
        ("gateway", "lamppost"),
    ),
    # Lets a master station read devices through the node: kapok node sub pass.
    Known(
        "pass", command.PASS,
        (Argument("seconds", 10, 600), Argument("baud", 1200, 115_200), Argument("parity", 0, 2)),
        ("gateway",),
    ),
)  # fmt: skip
_BY_NAME = {one.name: one for one in KNOWN}
_BY_CODE = {one.code: one for one in KNOWN}


def by_name(name: str) -> Known:
    """ControlError names what there is."""
    if name not in _BY_NAME:
        raise ControlError(f"no such command: {name[:40]!r}; one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def name_of(code: int) -> str:
    """Its name, or the number where this fleet knows none."""
    return _BY_CODE[code].name if code in _BY_CODE else str(code)


def is_stamped(code: int) -> bool:
    """Whether the argument is the time of the hand-over."""
    return code in _BY_CODE and _BY_CODE[code].stamped


def check(known: Known, arguments: Sequence[int]) -> str:
    """The arguments as JSON; ControlError when they are too few, too many or out of bounds."""
    names = " ".join(one.name.upper() for one in known.arguments) or "no arguments"
    if len(arguments) != len(known.arguments):
        raise ControlError(f"{known.name} takes {names}, not {len(arguments)} argument(s)")
    for one, value in zip(known.arguments, arguments, strict=True):
        if not one.least <= value <= one.most:
            raise ControlError(
                f"{known.name}: {one.name} is {one.least} to {one.most}, not {value}"
            )
    if known.code == command.RESEND and arguments[0] >= arguments[1]:
        raise ControlError(f"{known.name}: since lies before until")
    if known.code == command.SCAN and arguments[2] > arguments[3]:
        raise ControlError(f"{known.name}: first lies before last")
    return json.dumps(list(arguments))
