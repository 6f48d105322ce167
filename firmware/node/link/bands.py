"""The bands that a modem may use: one alone for a survey, and afterwards those from before.

Modems keep their bands through power cuts. So what they were lies in NVS `bands` from before the
first change until all is as it was: a node that dies in between gives them back in its next wake.
Grammar: BC660K-GL AT manual (QBAND), BC95-G&BC68 AT manual (NBAND), EC2x and EC200 QCFG guides.
"""

import esp32
from micropython import const

from node.config import NAMESPACE
from node.errors import AtError
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.replies import fields

_KEY = "bands"
_LONGEST = const(100)
_OPERATOR_MS = const(180_000)  # EC2x AT manual: COPS


def held() -> "str | None":
    """What is to be given back; None: the modem is as it should be."""
    buffer = bytearray(_LONGEST)
    try:
        length = esp32.NVS(NAMESPACE).get_blob(_KEY, buffer)
    except OSError:
        return None
    return str(memoryview(buffer)[:length], "utf-8")


async def hold(modem) -> None:
    """Keep what it has, before anything of it is changed. OSError: NVS is full."""
    if held() is not None:
        return
    told = ""
    if modem.BANDS:
        if "=" not in modem.BANDS:
            told = await modem.line(modem.BANDS + "?", modem.BANDS[2:] + ":")
        else:
            told = await modem.line(modem.BANDS, '+QCFG: "band",')
    nvs = esp32.NVS(NAMESPACE)
    nvs.set_blob(_KEY, told.encode()[:_LONGEST] or b"-")
    nvs.commit()


async def only(modem, band: int) -> bool:
    """Let it use no other band; whether it has a command for that. The radio is off."""
    parts = fields(held() or "")
    if modem.BANDS == "AT+QBAND":
        text = "=1,%d" % band
    elif modem.BANDS == "AT+NBAND":
        text = "=%d" % band
    elif modem.BANDS and len(parts) > 2:
        # 2G and 3G, LTE, and TD-SCDMA with some: masks in hex, bit 0 for band 1. EC200A takes
        # them without 0x, and as many as it tells.
        text = ",%s,%x" % (_bare(parts[1]), 1 << (band - 1))
        if len(parts) > 3:
            text += "," + _bare(parts[3])
    else:
        return False
    await modem.at.command(modem.BANDS + text, SHORT_MS)
    return True


async def give_back(modem) -> None:
    """Its bands, and a choice of the operator of its own; AtError where it does not take them."""
    told = held()
    if told is None:
        return
    await modem.at.command("AT+CFUN=0", CFUN_MS)
    parts = fields(told)
    if told != "-":
        if modem.BANDS == "AT+QBAND":
            # The list that it told, which may be shorter than all; 0 is all.
            text = "=%d,%s" % (len(parts), ",".join(parts)) if parts[0] > "0" else "=0"
        elif modem.BANDS == "AT+NBAND":
            text = "=" + ",".join(parts)
        else:
            text = "," + ",".join([_bare(part) for part in parts[1:]])
        await modem.at.command(modem.BANDS + text, SHORT_MS)
    await modem._search()
    try:
        await modem.at.command("AT+COPS=0", _OPERATOR_MS)
    except AtError:
        # Where there is no network it says so: what counts is that it chooses by itself.
        if fields(await modem.line("AT+COPS?", "+COPS:"))[0] != "0":
            raise
    nvs = esp32.NVS(NAMESPACE)
    nvs.erase_key(_KEY)
    nvs.commit()


def _bare(mask: str) -> str:
    return mask[2:] if mask[:2].lower() == "0x" else mask
