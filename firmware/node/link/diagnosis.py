"""What a modem tells of itself. No wake needs it: imported when somebody asks."""

from node.errors import AtError
from node.link.modem import SHORT_MS


async def identity(modem) -> dict:
    """{imei, imsi, iccid, model, firmware}: texts, None where the modem does not tell."""
    return {
        "imei": await _value(modem, modem.IMEI, "+CGSN:"),
        "imsi": await _value(modem, "AT+CIMI", ""),
        "iccid": await _value(modem, modem.ICCID[0], modem.ICCID[1]),
        "model": await _value(modem, "AT+CGMM", ""),
        "firmware": await firmware(modem),
    }


async def firmware(modem) -> "str | None":
    """The version of its firmware."""
    version = await _value(modem, "AT+CGMR", "+CGMR:")
    if version is not None and version.startswith("Revision:"):
        version = version[9:].strip()  # BC660K AT manual, 2.4
    return version


async def _value(modem, command: str, prefix: str) -> "str | None":
    # What the answer says; a line of another kind (a URC that nobody handles) does not count.
    try:
        lines = await modem.at.command(command, SHORT_MS)
    except AtError:
        return None
    for line in lines:
        if prefix and line.startswith(prefix):
            return line[len(prefix) :].strip().strip('"')
        if line[0] not in "+*^":
            return line
    return None
