"""Vouchers in a laptop's file, as no fleet ever gave them."""

import time

from fleet.flashing.vouchers import Fleet, Voucher

FLEET = Fleet(b"root", "fleet.example", 8883, "coap.example", 5683)
SECRET = bytes(16)
SOON = int(time.time()) + 86_400


def voucher(n: int) -> Voucher:
    """One for a gas meter, good for a day."""
    return Voucher(
        f"v{n:010d}",
        "wang",
        "440106",
        "gas-meter",
        SOON,
        b"certificate",
        b"key",
        b"kid",
        b"s" * 16,
    )
