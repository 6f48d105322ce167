"""What to do about a mute modem, gentlest first: AT, escape, reset pin, power key, supply.

Imported when a modem does not answer AT. One call climbs as far as it takes; a wake that ends in
the middle leaves in `state` where the next one goes on. Each rung that was used is counted there,
and reported.
"""

import asyncio

from micropython import const

from node.errors import AtError, ModemMute
from node.link.modem import SHORT_MS

AT, ESCAPE, RESET, PWRKEY, CUT = 0, 1, 2, 3, 4
_PINS = (None, None, "reset", "pwrkey", "cut")
_GUARD_MS = const(1_100)  # over 1 s of silence before and behind +++ (V.250 6.2.9; EC2x AT manual)
_ESCAPE_TRIES = const(3)
_BREAK = b"\x1b"  # ends a text prompt without sending (27.005 4.4)
_CUT_MS = const(2_000)  # until the capacitors behind the switch are empty
_MOST = const(0xFFFF)  # a counter goes no further


async def climb(modem, state=None) -> None:
    """Go up from where `state` says the last wake ended, until the modem says OK.

    Its pins decide which rungs there are. ModemMute when the last one did not help: the next climb
    begins with that one.
    """
    _count(state, AT)
    for name in ("reset", "cut"):
        # A session hands them on as numbers: few wakes need them.
        if isinstance(modem._pins.get(name), int):
            import machine

            modem._pins[name] = machine.Pin(modem._pins[name], machine.Pin.OUT)
    rungs = [ESCAPE] + [rung for rung in (RESET, PWRKEY, CUT) if _PINS[rung] in modem._pins]
    last = 0 if state is None else state.get("rung", 0)
    for rung in [rung for rung in rungs if rung > last] or rungs[-1:]:
        _count(state, rung)
        if state is not None:
            state.set("rung", rung)  # before it is tried: the wake's cap may end it
        try:
            await (escape, _reset, _press, _cut)[rung - 1](modem)
            return
        except ModemMute:
            if rung == rungs[-1]:
                raise


def _count(state, rung: int) -> None:
    if state is not None:
        counts = state.get("rungs") or [0] * 5
        counts[rung] = min(counts[rung] + 1, _MOST)
        state.set("rungs", counts)


async def power_off(modem) -> None:
    """Switch an awake modem off in good order; AtError where its family cannot.

    Only the power key or new supply bring it back.
    """
    if not modem.OFF:
        raise AtError("this modem has no command to switch it off")
    await modem.at.command(modem.OFF, SHORT_MS)
    modem.lose_sockets("the modem is off")
    modem.at.stop()


async def escape(modem) -> None:
    """Back to command mode, from wherever a host that was reset has left the modem."""
    # It takes AT for data: in PPP or transparent mode +++ between two silences ends that, at a
    # prompt ESC, or as many bytes as the longest send can still lack.
    await asyncio.sleep_ms(_GUARD_MS)
    await modem.at.write(b"+++")
    await asyncio.sleep_ms(_GUARD_MS)
    await modem.at.write(_BREAK + b"\r" * modem.MAX_SEND)
    await modem.at.sync(_ESCAPE_TRIES)


async def _reset(modem) -> None:
    await modem._pulse("reset", modem.RESET_MS)
    await modem.at.sync(modem.WAKE_TRIES)


async def _press(modem) -> None:
    # The key switches a running module off as well: then the second press switches it on.
    await modem._pulse("pwrkey", modem.PWRKEY_MS)
    try:
        await modem.at.sync(modem.WAKE_TRIES)
    except ModemMute:
        await modem._pulse("pwrkey", modem.PWRKEY_MS)
        await modem.at.sync(modem.WAKE_TRIES)


async def _cut(modem) -> None:
    await modem._pulse("cut", _CUT_MS)
    if "pwrkey" in modem._pins:
        await modem._pulse("pwrkey", modem.PWRKEY_MS)
    await modem.at.sync(modem.WAKE_TRIES)
