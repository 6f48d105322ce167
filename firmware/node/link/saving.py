"""PSM and eDRX: what is asked for, and what the network grants, read back from the modem.

Commands: 3GPP TS 27.007, 7.38 (CPSMS), 7.40 (CEDRXS), 7.41 (CEDRXRDP) and 10.1.22 (CEREG).
"""

import asyncio

from micropython import const

from node.errors import AtError, AtTimeout
from node.link import timers
from node.link.modem import SHORT_MS
from node.link.replies import fields

# A request makes a registered modem send a tracking area update: 2 s in good coverage, and with
# the repetitions of level 2 a good deal more.
_GRANT_TRIES = const(15)
_GRANT_MS = const(1_000)


async def power_saving(modem, tau_s: "int | None", active_s: "int | None") -> "tuple | None":
    """Ask for PSM, None for none; (T3412, T3324) in s that the network granted, or None.

    `tau_s` is rounded up and `active_s` down, see link/timers.py. AtError when it is refused.
    """
    if not modem.PSM:
        return None
    before = await granted(modem)
    if tau_s is None or active_s is None:
        await modem.at.command("AT+CPSMS=0", SHORT_MS)
        wanted = None
    else:
        await modem._sleep_soon()
        tau, active = timers.encode_t3412(tau_s), timers.encode_t3324(active_s)
        wanted = (timers.decode_t3412(tau), timers.decode_t3324(active))
        await modem.at.command('AT+CPSMS=1,,,"%s","%s"' % (tau, active), SHORT_MS)
    return await _settled(modem, granted, before, wanted)


async def ensure_psm(modem, tau_s: int, active_s: int) -> "tuple | None":
    """Ask for PSM unless that is what the modem has asked for already; what is granted.

    A network that grants other timers than these is not asked again in each contact.
    """
    if not modem.PSM:
        return None
    tau, active = timers.encode_t3412(tau_s), timers.encode_t3324(active_s)
    asked = fields(await modem.line("AT+CPSMS?", "+CPSMS:"))
    if asked[0] == "1" and asked[3:5] == [tau, active]:
        return await granted(modem)
    return await power_saving(modem, tau_s, active_s)


async def granted(modem) -> "tuple[int | None, int] | None":
    """(T3412, T3324) in s as the network gave them; None where it granted no PSM.

    A periodic timer that the modem does not tell is None.
    """
    try:
        await modem.at.command("AT+CEREG=4", SHORT_MS)
    except AtError:
        return None  # a firmware that does not tell
    # <n>,<stat>,<tac>,<ci>,<AcT>,<cause_type>,<cause>,<Active-Time>,<Periodic-TAU>
    values = fields(await modem.line("AT+CEREG?", "+CEREG:"))
    if len(values) < 8:
        return None
    active_s = timers.decode_t3324(values[7])
    if active_s is None:
        return None
    return timers.decode_t3412(values[8]) if len(values) > 8 else None, active_s


async def edrx(modem, cycle_ms: "int | None") -> "tuple | None":
    """Ask for eDRX, None for none; (cycle, paging time window) in ms that is granted, or None.

    The cycle is rounded down to one that exists, see link/timers.py. For <AcT-type> 5, E-UTRAN in
    NB-S1 mode. AtError when it is refused.
    """
    if not modem.EDRX:
        return None
    before = await granted_edrx(modem)
    if cycle_ms is None:
        await modem.at.command("AT+CEDRXS=0,5", SHORT_MS)
        return await _settled(modem, granted_edrx, before, None)
    bits = timers.encode_edrx(cycle_ms)
    await modem.at.command('AT+CEDRXS=1,5,"%s"' % bits, SHORT_MS)
    return await _settled(modem, granted_edrx, before, (timers.decode_edrx(bits),))


async def ensure_edrx(modem, cycle_ms: int) -> "tuple | None":
    """Ask for a cycle, 0 for none, unless that is what the modem asks for already; as `edrx`."""
    if not modem.EDRX:
        return None
    # <AcT-type>,<requested>: a line for each technology, none where nothing is asked for
    asked = fields(await modem.line("AT+CEDRXS?", "+CEDRXS:"))
    bits = asked[1] if len(asked) > 1 else ""
    if bits == (timers.encode_edrx(cycle_ms) if cycle_ms else ""):
        return await granted_edrx(modem) if cycle_ms else None
    return await edrx(modem, cycle_ms or None)


async def granted_edrx(modem) -> "tuple[int, int] | None":
    """(cycle, paging time window) in ms as the network gave them; None for no eDRX."""
    # <AcT>,<requested>,<granted>,<window>; AcT 0 where the cell does not use it
    values = fields(await modem.line("AT+CEDRXRDP", "+CEDRXRDP:"))
    if len(values) < 4 or values[0] == "0":
        return None
    cycle, window = timers.decode_edrx(values[2]), timers.ptw_ms(values[3])
    return None if cycle is None or window is None else (cycle, window)


async def _settled(modem, read, before, wanted):
    # What is granted: as soon as it begins with what is wanted or has changed, and in the end
    # whatever it is. Without registration the request only goes out with the attach.
    for _ in range(_GRANT_TRIES):
        try:
            now = await read(modem)
        except AtTimeout:
            continue  # granted and asleep already: the next command wakes it
        if now != before or (now[: len(wanted)] if now and wanted else now) == wanted:
            return now
        registered = fields(await modem.line("AT+CEREG?", "+CEREG:"))
        if len(registered) < 2 or registered[1] not in ("1", "5"):
            return now
        await asyncio.sleep_ms(_GRANT_MS)
    return before
