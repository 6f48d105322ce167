"""A survey's step: one operator, on one band or on all, searched for and looked at.

What a modem does not surely say is not recorded: a cell counts for an operator where the modem was
told to take no other, or names the cell's operator; and "nothing" where it searched to the end.
"""

import asyncio
import time

from micropython import const

from node.errors import AtError
from node.link import bands
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.registration import parse
from node.link.replies import fields

_MORE_MS = const(30_000)  # that a modem may search on before it answers
_LOOK_MS = const(5_000)  # between two looks: a modem measures no more often when it idles
_NO_NETWORK = const(30)  # +CME ERROR (27.007 9.2)
_DENIED = const(3)
_SEARCHES = (0, 2)  # <stat> of CEREG: nothing was found
_Q_RSRP = const(101)  # wire/quantity.py
_Q_COVERAGE_LEVEL = const(102)
_Q_RSRQ = const(103)
_Q_SNR = const(104)
_Q_OPERATOR = const(105)
_Q_RADIO = const(106)
_Q_BAND = const(107)
_Q_CELL = const(108)
_Q_PHYSICAL_CELL = const(109)
_Q_EARFCN = const(123)
_Q_TRACKING_AREA = const(124)
_Q_REFUSAL = const(125)


async def step(modem, operator: int, band: int, search_ms: int, looks: int) -> list:
    """Records of an operator, MCC and MNC, on `band`, 0 for all: each a list of (quantity, value).

    One without RSRP is of an operator that was not found, or, with a refusal, not measured. Empty:
    nothing is sure. LinkError, and OSError of NVS; bands.give_back is due in any case.
    """
    until = time.ticks_add(time.ticks_ms(), search_ms)
    await bands.hold(modem)
    await modem.at.command("AT+CFUN=0", CFUN_MS)
    if band and not await bands.only(modem, band):
        band = 0
    await modem._quietly("AT+CEREG=3")
    await modem._quietly("AT+COPS=3,2")  # operators are told by their numbers
    await modem._search()
    cause = await _choose(modem, operator, time.ticks_diff(until, time.ticks_ms()))
    manual = await _manual(modem, operator)
    found: list = []
    head = [(_Q_OPERATOR, operator), (_Q_RADIO, modem.RADIO)]
    while (manual or not cause) and len(found) < looks:
        told = await modem.signal()
        if _counts(told, operator, band, manual):
            found.append(head[:1] + _values(told, modem.RADIO))
        if time.ticks_diff(until, time.ticks_ms()) <= 0:
            break
        await asyncio.sleep_ms(_LOOK_MS)
    if found:
        return found
    if band:
        head.append((_Q_BAND, band))
    stat, emm = await _registration(modem)
    if manual and stat == _DENIED:
        return [head + [(_Q_REFUSAL, emm)]]
    if cause == _NO_NETWORK or (manual and not cause and stat in _SEARCHES):
        return [head]
    return []


async def _choose(modem, operator: int, left_ms: int) -> int:
    # 0, or the modem's error, -1 for one without a number. It may answer before it has searched.
    try:
        await modem.at.command('AT+COPS=1,2,"%05d"' % operator, max(left_ms, 0) + _MORE_MS)
    except AtError as e:
        return e.cause or -1
    return 0


async def _manual(modem, operator: int) -> bool:
    # Whether it is bound to this operator. A refused choice may leave the one before in force.
    values = fields(await modem.line("AT+COPS?", "+COPS:"))
    if values[0] != "1":
        return False
    return len(values) < 3 or values[2] in ("", "%05d" % operator)


def _counts(told: dict, operator: int, band: int, manual: bool) -> bool:
    if told["rsrp_dbm"] is None or told["cell"] is None:
        return False
    if band and told["band"] not in (None, band):
        return False
    digits = "%05d" % operator
    whose = told.get("plmn")
    return manual if whose is None else whose == 1000 * int(digits[:3]) + int(digits[3:])


def _values(told: dict, radio: int) -> list:
    values = [(_Q_RADIO, told.get("radio", radio))]
    for code, key in (
        (_Q_RSRP, "rsrp_dbm"), (_Q_COVERAGE_LEVEL, "ecl"), (_Q_RSRQ, "rsrq_ddb"),
        (_Q_SNR, "snr_ddb"), (_Q_BAND, "band"), (_Q_CELL, "cell"), (_Q_PHYSICAL_CELL, "pci"),
        (_Q_EARFCN, "earfcn"), (_Q_TRACKING_AREA, "tac"),
    ):  # fmt: skip
        if told[key] is not None:
            values.append((code, told[key]))
    return values


async def _registration(modem) -> "tuple[int, int]":
    # <stat> and EMM cause; -1 where it does not tell.
    for line in await modem.at.command("AT+CEREG?", SHORT_MS, expect="+CEREG:"):
        state = parse(line)
        if state is not None:
            return state[1], state[2]
    return -1, 0
