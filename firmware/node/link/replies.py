"""What the replies of 3GPP TS 27.007 mean. Pure and total: a line without sense gives None."""

_MONTH_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_FIRST_YEAR = 2020  # an older clock was never set by a network; clock.FLOOR says the same


def whole(text: str) -> "int | None":
    """The decimal integer, with sign, of at most nine digits."""
    text = text.strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not 1 <= len(digits) <= 9:
        return None
    for c in digits:
        if not "0" <= c <= "9":
            return None
    return -int(digits) if text[0] == "-" else int(digits)


def _digits(text: str) -> int:
    # The number that digits alone make, else -1.
    n = whole(text)
    return n if n is not None and "0" <= text[0] <= "9" else -1


def fields(line: str) -> "list[str]":
    """What stands behind the colon, cut at commas outside quotes; quotes and blanks taken off."""
    text = line.split(":", 1)[-1]
    parts = [""]
    quoted = False
    for c in text:
        if c == '"':
            quoted = not quoted
        elif c == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


def registration(line: str) -> "tuple[bool, int, int] | None":
    """(is it a URC, stat 0..10, EMM cause or 0) of a `+CEREG:` line.

    The query's answer has <n> before <stat>, the URC has not: behind the URC's first number comes
    a quoted area code or nothing. Cause type 0 is an EMM cause (27.007 section 10.1.22).
    """
    raw = line.split(":", 1)[-1].split(",")
    first = whole(raw[0])
    second = whole(raw[1]) if len(raw) > 1 else None
    urc = second is None
    stat = first if urc else second
    if stat is None or not 0 <= stat <= 10:
        return None
    values = fields(line)[1 if urc else 2 :]  # area, cell, technology, cause type, cause
    cause = None
    if len(values) > 4 and values[3] == "0":
        cause = whole(values[4])
    return urc, stat, cause or 0


def written_time(line: str) -> "tuple[int, int] | None":
    """(seconds since 1970 of the time as written, zone in quarter hours) of +CCLK or +QLTS.

    `yy/MM/dd,hh:mm:ss+zz`, quoted or not, with two or four digits of year. None for a clock that
    no network has set: one before 2024, or an empty text.
    """
    text = line.split(":", 1)[-1].strip().replace('"', "")
    cut = text.find("/")
    if cut not in (2, 4) or len(text) < cut + 15:
        return None
    year = _digits(text[:cut])
    month, day, hour, minute, second = [
        _digits(text[cut + 1 + 3 * i : cut + 3 + 3 * i]) for i in range(5)
    ]
    if "".join([text[cut + 3 * i] for i in range(5)]) != "//,::":
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
