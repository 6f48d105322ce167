"""A year of twilight at five places as one number, on any MicroPython: the same without floats,
with 32-bit and with 64-bit ones. Usage: twilight_year.py FIRMWARE

A VM without floats is MicroPython's own: `make -C ports/unix VARIANT=minimal` with
MICROPY_LONGINT_IMPL_MPZ; MICROPY_FLOAT_IMPL_FLOAT gives it 32-bit ones.
"""

import sys

if len(getattr(sys, "argv", ())) > 1:  # the smallest VMs have none: MICROPYPATH names it
    sys.path.insert(0, sys.argv[1])

from node import twilight

PLACES = (
    (23130000, 113260000),
    (-33870000, 151210000),
    (69650000, 18960000),
    (60170000, 24940000),
    (-77850000, 166670000),
)
_MODULUS = (1 << 61) - 1


def fingerprint(first: int = 20454, days: int = 365) -> int:
    """Of both times of each day from `first` on, in s, at each place in turn."""
    found = 0
    for place in PLACES:
        for day in range(first, first + days):
            for time in twilight.twilight(day, place[0], place[1]):
                found = (found * 1000003 + time) % _MODULUS
    return found


print(fingerprint())
