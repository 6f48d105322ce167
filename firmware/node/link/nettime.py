"""The network's time, as a modem's clock writes it. Read once in a contact, then forgotten."""

from node.link.replies import whole

_MONTH_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_FIRST_YEAR = 2020  # an older clock was never set by a network; clock.FLOOR says the same


async def network_time(modem) -> "int | None":
    """Seconds since 1970 UTC; None before the network has told the time."""
    written = written_time(await modem.line(*modem.CLOCK))
    if written is None:
        return None
    seconds, quarters = written
    return seconds if modem.CLOCK_UTC else seconds - quarters * 900


def written_time(line: str) -> "tuple[int, int] | None":
    """(seconds since 1970 of the time as written, zone in quarter hours) of +CCLK or +QLTS.

    `yy/MM/dd,hh:mm:ss+zz`, quoted or not, with two or four digits of year. None for a clock that
    no network has set: one before 2020, or an empty text.
    """
    text = line.split(":", 1)[-1].strip().replace('"', "")
    cut = text.find("/")
    if cut not in (2, 4) or len(text) < cut + 15:
        return None
    year = _digits(text[:cut])
    month, day, hour, minute, second = [
        _digits(text[cut + 1 + 3 * i : cut + 3 + 3 * i]) for i in range(5)
    ]
    if "".join([text[cut + 3 * i :][:1] for i in range(5)]) != "//,::":
        return None
    if cut == 2:
        year += 1900 if year >= 70 else 2000
    zone = text[cut + 15 :].split(",")[0]
    quarters = whole(zone) if zone else 0
    if quarters is None or not -96 <= quarters <= 96:
        return None
    if not (_FIRST_YEAR <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        return None
    leap = (year - 1969) // 4  # 2000 was a leap year, 2100 lies behind the range
    if year % 4 == 0 and month > 2:
        leap += 1
    days = (year - 1970) * 365 + leap + _MONTH_DAYS[month - 1] + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second, quarters


def _digits(text: str) -> int:
    # The number that digits alone make, else -1.
    n = whole(text)
    return n if n is not None and "0" <= text[:1] <= "9" else -1
