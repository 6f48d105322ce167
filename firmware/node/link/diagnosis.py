"""What a modem tells of itself and of its cell. No wake needs it: imported when somebody asks."""

from micropython import const

from node.link.replies import fields, whole

_ECL_FIELD = const(11)  # of +QENG: 0,...


async def identity(modem) -> dict:
    """As Modem.identity."""
    return {
        "imei": await modem.value(modem.IMEI, "+CGSN:"),
        "imsi": await modem.value("AT+CIMI", ""),
        "iccid": await modem.value("AT+QCCID", "+QCCID:"),
        "model": await modem.value("AT+CGMM", ""),
        "firmware": await modem.value("AT+CGMR", ""),
    }


async def signal(modem) -> dict:
    """As Modem.signal, with the coverage enhancement level where the family has one."""
    rsrp, rsrq = extended_quality(await modem.line("AT+CESQ", "+CESQ:"))
    ecl = None
    if modem.ENGINE:
        engine = fields(await modem.line(modem.ENGINE, "+QENG: 0,"))
        ecl = whole(engine[_ECL_FIELD]) if len(engine) > _ECL_FIELD else None
    return {
        "rssi_dbm": signal_quality(await modem.line("AT+CSQ", "+CSQ:")),
        "rsrp_dbm": rsrp,
        "rsrq_ddb": rsrq,
        "ecl": ecl if ecl in (0, 1, 2) else None,
    }


def signal_quality(line: str) -> "int | None":
    """RSSI in dBm of a `+CSQ:` line; 99 is unknown."""
    n = whole(fields(line)[0])
    return -113 + 2 * n if n is not None and 0 <= n <= 31 else None


def extended_quality(line: str) -> "tuple[int | None, int | None]":
    """(RSRP in dBm, RSRQ in tenths of dB) of a `+CESQ:` line; 255 is unknown."""
    values = fields(line)
    if len(values) < 6:
        return None, None
    rsrq = whole(values[4])
    rsrp = whole(values[5])
    return (
        rsrp - 141 if rsrp is not None and 0 <= rsrp <= 97 else None,
        5 * rsrq - 200 if rsrq is not None and 0 <= rsrq <= 34 else None,
    )
