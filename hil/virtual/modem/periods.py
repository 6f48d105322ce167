"""The timers that a network grants, as bit texts of 3GPP TS 24.008."""

# Unit in seconds by the three highest bits: GPRS timer 3 (10.5.7.4a) and GPRS timer 2 (10.5.7.3).
_T3412 = {0: 600, 1: 3_600, 2: 36_000, 3: 2, 4: 30, 5: 60, 6: 1_152_000}
_T3324 = {0: 2, 1: 60, 2: 360}
_OFF = 7
# eDRX cycles in seconds (10.5.5.32); NB-S1 mode has no others than these.
_CYCLES_S = {
    2: 20.48, 3: 40.96, 5: 81.92, 9: 163.84, 10: 327.68, 11: 655.36, 12: 1310.72, 13: 2621.44,
    14: 5242.88, 15: 10485.76
}  # fmt: skip
_PTW_UNIT_S = 2.56  # NB-S1 mode


def is_bits(text: str, length: int) -> bool:
    """Whether `text` is that many zeros and ones."""
    return len(text) == length and set(text) <= {"0", "1"}


def t3412_s(bits: str) -> int | None:
    """Seconds of the periodic TAU timer (extended); None where it is deactivated."""
    return _decode(bits, _T3412, 3_600)


def t3324_s(bits: str) -> int | None:
    """Seconds of the active timer; None where it is deactivated."""
    return _decode(bits, _T3324, 60)


def t3412_bits(seconds: int) -> str:
    """In the network's way: the coarsest unit that is exact, else the finest that reaches it."""
    return _encode(seconds, _T3412)


def t3324_bits(seconds: int) -> str:
    """As `t3412_bits`."""
    return _encode(seconds, _T3324)


def t3412_floor(seconds: int) -> str:
    """The greatest value that there is and that is not greater."""
    return _floor(seconds, _T3412)


def t3324_floor(seconds: int) -> str:
    """As `t3412_floor`."""
    return _floor(seconds, _T3324)


def cycle_s(bits: str) -> float:
    """An eDRX cycle; values that NB-S1 mode does not know mean 20.48 s."""
    return _CYCLES_S.get(int(bits, 2), 20.48)


def window_s(bits: str) -> float:
    """The paging time window."""
    return (int(bits, 2) + 1) * _PTW_UNIT_S


def _decode(bits: str, units: dict[int, int], otherwise_s: int) -> int | None:
    value = int(bits, 2)
    if value >> 5 == _OFF:
        return None
    return (value & 31) * units.get(value >> 5, otherwise_s)


def _encode(seconds: int, units: dict[int, int]) -> str:
    coarse_first = sorted(units.items(), key=lambda item: -item[1])
    for code, unit in coarse_first:
        if seconds % unit == 0 and 0 < seconds // unit <= 31:
            return f"{code << 5 | seconds // unit:08b}"
    for code, unit in reversed(coarse_first):
        count = -(-seconds // unit)
        if count <= 31:
            return f"{code << 5 | count:08b}"
    code, unit = coarse_first[0]
    return f"{code << 5 | 31:08b}"


def _floor(seconds: int, units: dict[int, int]) -> str:
    values = [(unit * min(31, seconds // unit), -unit, code) for code, unit in units.items()]
    value, finest, code = max(values)
    return f"{code << 5 | value // -finest:08b}"
