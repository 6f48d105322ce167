"""Where the node's time comes from: the network, a time server, the fleet; and what none of them
can do: put it back behind the newest time that somebody signed, or, but for the fleet, far away
from one. Loaded in a contact.
"""

import esp32
from micropython import const

from node import clock, log
from node.config import NAMESPACE
from node.errors import JournalError
from node.wire import uplink

_HOUR = const(3600)
_DAY = const(86400)
_JITTER = const(2)  # whole seconds come in: a smaller correction would only add to it
_E_CLOCK = const(84)  # wire/quantity.py: reported by health.py
_L_CLOCK_SET = const(5)  # wire/logcode.py
_L_CLOCK_REFUSED = const(6)
_L_NTP = const(13)
# What RTC memory has of times: put back by hours, the node would wait for them to come again. So
# there are none, or those that let all begin anew.
_TIMES = {
    "slot": None, "dslot": -1, "day": None, "lv": None, "lamp": None, "arm": None, "vtry": 0,
    "look": 0, "next_report": 0,
}  # fmt: skip


def floor() -> int:
    """No time before this is true: the build's, or the newest that the fleet has signed."""
    try:
        return clock.FLOOR + esp32.NVS(NAMESPACE).get_i32("tfl")
    except OSError:
        return clock.FLOOR


async def learn(state, link, config: dict) -> None:
    """Ask the network; where it tells nothing and nobody did so far, the configured server."""
    if heard(state, await link.network_time()) or state.get("clock_sure"):
        return
    server = config.get("ntp")
    if server:
        from node.link import sntp

        heard(state, await sntp.ask(link.modem, server), _L_NTP)


def heard(state, seconds: "int | None", code: int = _L_CLOCK_SET) -> bool:
    """Somebody whom nobody vouches for says what time it is; False where it cannot be true."""
    if seconds is None:
        return False
    behind = floor() - seconds
    vouched = clock.is_set() and state.get("vch")
    if behind <= 0 and vouched and abs(clock.now() - seconds) > _DAY:
        behind = clock.now() - seconds  # of what the fleet's own time has become
    elif behind <= 0:
        behind = 0
    if behind:
        log.note(state, log.WARNING, _L_CLOCK_REFUSED, behind)
        if _E_CLOCK not in state.get("new", ()):
            state.set("new", state.get("new", []) + [_E_CLOCK])
        return False
    state.set("vch", 1 if vouched else 0)
    _take(state, seconds, code)
    return True


def signed(state, seconds: int) -> None:
    """The fleet's time, under its signature: the clock is set by it when it is not sure or a day
    away, and by nobody else to an earlier one ever again. NVS has that, a day at a time.
    """
    if seconds < clock.FLOOR:
        return
    # One from before the floor was a long time on its way.
    if not state.get("clock_sure") or (seconds >= floor() and abs(seconds - clock.now()) > _DAY):
        _take(state, seconds, _L_CLOCK_SET)
    state.set("vch", 1)
    passed(seconds)


def put(state, seconds: int) -> int:
    """Set the clock; by how many s. What lies ahead of it then begins anew."""
    step = seconds - clock.now()
    clock.set(seconds)
    if step < -_HOUR:
        for key, value in _TIMES.items():
            if state.get(key) is not None:
                state.set(key, value)
        state.set("since", {})
        for key, places in (("mode", (1,)), ("rain", (1, 2, 4))):
            held = state.get(key)
            for place in places if held else ():
                held[place] = 0
    return step


def passed(seconds: int) -> None:
    """`seconds` since 1970 lie behind us: the fleet's signature says so."""
    if seconds - floor() >= _DAY:
        nvs = esp32.NVS(NAMESPACE)
        nvs.set_i32("tfl", seconds - clock.FLOOR)
        nvs.commit()


def guess(state, journal) -> None:
    """Nobody told it since power came on: go on from the newest record, and say it is a guess."""
    if not clock.is_set():
        body = None
        try:
            body = journal().last_body
        except JournalError as e:
            state.set("error", e.code)
        clock.set(max(uplink.body_time(body) if body else 0, floor()))
        state.set("clock_sure", 0)


def _take(state, seconds: int, code: int) -> None:
    step = seconds - clock.now()
    if abs(step) > _JITTER or not state.get("clock_sure"):
        put(state, seconds)
        log.note(state, log.INFO, code, step)
    state.set("clock_sure", 1)
