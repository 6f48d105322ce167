"""The Echo option (RFC 9175) without state: the time, and a MAC over it by a key of the server.

A node whose replay window the fleet lost must show that its request is new. A value that was good
for one loss must not be good for the next: with a recorded request the window would go back to
where it was then, and all behind it would be new once more. So the MAC covers which loss it is,
and its key is drawn when the process starts, as it does after a database was restored.
"""

import hashlib
import hmac

VALID_S = 600  # answer, wake-up of the radio and repeat over NB-IoT take minutes at worst
AHEAD_S = 5  # a clock that was set back
# Losing a window makes the fleet's own sender numbers skip so many: which loss it is, is their
# upper part (fleet.identity.oscore.distrust).
NUMBERS_OF_A_LOSS = 1 << 20
_TIME_BYTES = 4
_MAC_BYTES = 8


def value(key: bytes, number: int, now_s: int) -> bytes:
    """The value for a challenge at `now_s`, s since 1970; `number` is one of the fleet's own."""
    moment = (now_s & 0xFFFFFFFF).to_bytes(_TIME_BYTES, "big")
    loss = (number // NUMBERS_OF_A_LOSS).to_bytes(5, "big")
    return moment + hmac.digest(key, moment + loss, hashlib.sha256)[:_MAC_BYTES]


def is_fresh(key: bytes, given: bytes, number: int, now_s: int) -> bool:
    """Whether `given` was made for this loss, not over VALID_S ago. `number` is taken for this."""
    if len(given) != _TIME_BYTES + _MAC_BYTES:
        return False
    made_s = int.from_bytes(given[:_TIME_BYTES], "big")
    if not hmac.compare_digest(given, value(key, number, made_s)):
        return False
    return -AHEAD_S <= now_s - made_s <= VALID_S
