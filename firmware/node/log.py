"""A bounded log of integers: when, what, and a number to it. It outlives a deep sleep in RTC
memory, and goes to the fleet when that asks for it. What a code means: wire/logcode.py.

Loaded where there is something to note, and forgotten again: `from node import log`, then
`modules.forget("node.log")`.
"""

import struct

from micropython import const

from node import clock
from node.errors import JournalError
from node.wire import uplink

ERROR, WARNING, INFO, DEBUG = 0, 1, 2, 3  # levels; the configuration's log_level is the last kept

_FORMAT = "<IBi"  # seconds since 1970, code, number: as many bytes as _ENTRY
_ENTRY = const(9)
_MOST = const(16)  # entries: 144 bytes of RTC memory, which all share
_Q_LOG = const(920)  # wire/quantity.py
_Q_LOG_ARGUMENT = const(921)
_LEAST = const(-0x80000000)


def note(state, level: int, code: int, argument: int = 0) -> None:
    """Keep an entry in `state` (RtcState), unless it is of less interest than the level in force;
    the oldest one makes room. `code` 1..255; of `argument` what 32 bits hold.
    """
    if level > state.get("lvl", WARNING):
        return
    argument = max(_LEAST, min(argument, -1 - _LEAST))
    entry = struct.pack(_FORMAT, max(clock.now(), 0), code, argument)
    state.set("log", (state.get("log", b"") + entry)[-_MOST * _ENTRY :])


def set_level(state, level: int) -> bool:
    """Keep entries up to this level until power is lost; whether there is such a level."""
    if not ERROR <= level <= DEBUG:
        return False
    state.set("lvl", level)
    return True


def pull(state, journal) -> int:
    """Move every entry into `journal`, a record each; how many. What it does not take stays."""
    raw = state.get("log", b"")
    count = 0
    try:
        while raw:
            time, code, argument = struct.unpack(_FORMAT, raw[:_ENTRY])
            values = [(_Q_LOG, code), (_Q_LOG_ARGUMENT, argument)]
            journal.append(uplink.encode_body(time, uplink.GOOD, values))
            raw = raw[_ENTRY:]
            count += 1
    except JournalError as e:
        state.set("error", e.code)
    state.set("log", raw)
    return count
