"""What a stranger may cost the enrolment API: requests by address, and dearly for a bad token."""

import ipaddress
import time
from collections.abc import Callable

from fleet.coap.limits import Buckets, Rate

# A bench of 32 boards makes 100 requests at once, and then none for minutes.
ADDRESS = Rate(10, 400)
# A token that is not accepted: 20 at once, and then one in 2 s.
REFUSED = 20


class Limits:
    """Tokens by address; of IPv6 by /64, which one host has."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses = Buckets(ADDRESS)

    def admit(self, address: str) -> bool:
        """Take one; False where none is left."""
        key, now = _key(address), self._clock()
        if self._addresses.level(key, now) < 1:
            return False
        self._addresses.put(key, -1, now)
        return True

    def refused(self, address: str) -> None:
        """What was admitted carried a token that is not accepted."""
        self._addresses.put(_key(address), 1 - REFUSED, self._clock())


def _key(address: str) -> object:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return found if found.version == 4 else int(found) >> 64
