"""The timers that a terminal asks the network for, as bits: PSM's T3412 and T3324, and eDRX.

Coding: 3GPP TS 24.008, 10.5.7.4a (GPRS timer 3), 10.5.7.3 (GPRS timer 2) and 10.5.5.32.
"""

T3412_MOST_S = 35_712_000  # 31 x 320 h
T3324_MOST_S = 11_160  # 31 x 6 min

# (seconds, unit bits), the finest first; the unit 111 means that the timer is deactivated
_T3412 = ((2, 3), (30, 4), (60, 5), (600, 0), (3600, 1), (36_000, 2), (1_152_000, 6))
_T3324 = ((2, 0), (60, 1), (360, 2))
_CYCLES = b"\x02\x03\x05\x09\x0a\x0b\x0c\x0d\x0e\x0f"  # 20.48 s and its doubles, in NB-S1 mode


def encode_t3412(seconds: int) -> str:
    """Eight bits in the finest unit that holds `seconds`, rounded up where it does not fit.

    ValueError outside 0..T3412_MOST_S.
    """
    if seconds < 0:
        raise ValueError("T3412 of %d s" % seconds)
    for unit, code in _T3412:
        n = -(-seconds // unit)
        if n <= 31:
            return _bits(code << 5 | n, 8)
    raise ValueError("T3412 of %d s" % seconds)


def decode_t3412(bits: str) -> "int | None":
    """Seconds; None where the timer is deactivated, or `bits` are not eight bits."""
    return _seconds(bits, _T3412)


def encode_t3324(seconds: int) -> str:
    """Eight bits for the longest time that is not over `seconds`, in the finest unit.

    Only 0 becomes 0: 1 s becomes 2 s. ValueError outside 0..T3324_MOST_S.
    """
    if not 0 <= seconds <= T3324_MOST_S:
        raise ValueError("T3324 of %d s" % seconds)
    best, best_code, best_n = -1, 0, 0
    for unit, code in _T3324:
        n = min(seconds // unit, 31)
        if n * unit > best:
            best, best_code, best_n = n * unit, code, n
    if seconds and not best:
        best_n = 1
    return _bits(best_code << 5 | best_n, 8)


def decode_t3324(bits: str) -> "int | None":
    """Seconds; None where the timer is deactivated, or `bits` are not eight bits."""
    return _seconds(bits, _T3324)


def encode_edrx(cycle_ms: int) -> str:
    """Four bits for the longest cycle that is not over `cycle_ms`; the shortest is 20.48 s."""
    at = 0
    while at + 1 < len(_CYCLES) and 20_480 << (at + 1) <= cycle_ms:
        at += 1
    return _bits(_CYCLES[at], 4)


def decode_edrx(bits: str) -> "int | None":
    """The cycle in ms; None where `bits` are not four bits. Unused values mean 20.48 s."""
    n = _number(bits, 4)
    return None if n < 0 else 20_480 << max(0, _CYCLES.find(bytes([n])))


def ptw_ms(bits: str) -> "int | None":
    """The paging time window of NB-S1 mode in ms; None where `bits` are not four bits."""
    n = _number(bits, 4)
    return None if n < 0 else (n + 1) * 2560


def _seconds(bits: str, units) -> "int | None":
    n = _number(bits, 8)
    if n < 0 or n >> 5 == 7:
        return None
    for unit, code in units:
        if code == n >> 5:
            return (n & 31) * unit
    return (n & 31) * 60  # timer 2: "other values shall be interpreted as multiples of 1 minute"


def _bits(n: int, width: int) -> str:
    return "".join(["1" if n >> i & 1 else "0" for i in range(width - 1, -1, -1)])


def _number(bits: str, width: int) -> int:
    # -1 for what is not `width` bits.
    if len(bits) != width:
        return -1
    n = 0
    for bit in bits:
        if bit not in ("0", "1"):
            return -1
        n = n << 1 | (bit == "1")
    return n
