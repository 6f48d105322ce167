"""What a modem tells of its cell: imported when somebody asks, and by CoAP once in a contact."""

from node.link.replies import fields, whole

_CELL = ("rsrp_dbm", "rsrq_ddb", "snr_ddb", "ecl", "cell", "tac", "band", "earfcn", "pci")


async def signal(modem) -> dict:
    """Integers, None where unknown.

    rssi_dbm (27.007 8.5); rsrp_dbm, rsrq_ddb in tenths of dB (TS 36.133, 9.1.4 and 9.1.7);
    snr_ddb in tenths of dB; ecl 0..2, the NB-IoT coverage enhancement level; of the serving cell
    cell (28 bits), tac, band, earfcn and pci. What the family's own command tells goes first.
    Some tell more, which else is not there: plmn (as `network`) and radio (Modem.RADIO).
    """
    told = {"rssi_dbm": signal_quality(await modem.line("AT+CSQ", "+CSQ:"))}
    for key in _CELL:
        told[key] = None
    told["rsrp_dbm"], told["rsrq_ddb"] = extended_quality(await modem.line("AT+CESQ", "+CESQ:"))
    for key, value in (await modem._engine()).items():
        if value is not None:
            told[key] = value
    if told["ecl"] not in (0, 1, 2):
        told["ecl"] = None
    return told


def pick(line: str, names: str) -> dict:
    """The fields of `line` by the names of `signal`, in their order, "-" for what is not wanted.

    cell and tac are hexadecimal; rsrp in dBm becomes rsrp_dbm, rsrq and snr in dB become
    rsrq_ddb and snr_ddb.
    """
    values = fields(line)
    told = {}
    for at, key in enumerate(names.split()):
        text = values[at] if at < len(values) else ""
        if key == "-":
            continue
        if key in ("cell", "tac"):
            told[key] = hexadecimal(text)
        elif key == "rsrp":
            told["rsrp_dbm"] = whole(text)
        elif key in ("rsrq", "snr"):
            n = whole(text)
            told[key + "_ddb"] = None if n is None else 10 * n
        else:
            told[key] = whole(text)
    return told


def network(mcc: str, mnc: str) -> "int | None":
    """An operator's codes as one number, 1000 * MCC + MNC: firmware writes 460,00 and 460,0."""
    high, low = whole(mcc), whole(mnc)
    return None if high is None or low is None else 1000 * high + low


def hexadecimal(text: str) -> "int | None":
    """The number that one to eight hexadecimal digits make."""
    n = 0
    for c in text.lower().encode():
        if not 48 <= c <= 57 and not 97 <= c <= 102:
            return None
        n = n << 4 | (c - 48 if c < 97 else c - 87)
    return n if 1 <= len(text) <= 8 else None


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
