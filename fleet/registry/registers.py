"""Registers that count for ever: how an asset's series goes on when its terminal is replaced."""

import re

from fleet.registry.operations import Placement, RegistryError
from fleet.wire import quantity as quantities

# Role -> the register that its asset has. Of all other quantities each reading stands alone.
OF_ROLE = {"gas-meter": quantities.GAS_VOLUME}
# The same register, frozen at other times; what flowed backwards is a register of its own.
REGISTERS = frozenset(
    (quantities.GAS_VOLUME, quantities.GAS_VOLUME_DAY, quantities.GAS_VOLUME_MONTH)
)
_MOST = (1 << 63) - 1
_DIGITS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?")


def continued(quantity: int, value: int, place: Placement) -> int:
    """The asset's value for what a terminal at `place` counted, both scaled.

    Kept to 64 bits: a node that reports the greatest number must not stop its batch.
    """
    if quantity not in REGISTERS:
        return value
    return min(max(value + place.register_offset, -_MOST), _MOST)


def offset(register_old: int, offset_old: int, register_new: int) -> int:
    """What a new terminal's register lacks, all scaled: the series goes on where it stood."""
    return register_old + offset_old - register_new


def scaled(text: str, role: str) -> int:
    """A register as its dial shows it, such as 1234.567, as the wire's integer."""
    if role not in OF_ROLE:
        raise RegistryError(f"a {role} has no register: leave --register-old and -new out")
    return scaled_as(text, OF_ROLE[role])


def scaled_as(text: str, quantity: int) -> int:
    """A register of a quantity as its dial shows it, as the wire's integer."""
    _name, unit, decimals = quantities.QUANTITIES[quantity]
    found = _DIGITS.fullmatch(text)
    fraction = (found[2] or "") if found else ""
    if found is None or fraction[decimals:].strip("0"):
        raise RegistryError(f"register {text[:20]!r}: {unit} with up to {decimals} decimals")
    return int(found[1] + fraction[:decimals].ljust(decimals, "0"))
