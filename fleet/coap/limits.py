"""What strangers may cost: buckets of tokens by address, by network and for all, in memory alone.

A datagram takes a token from each of its buckets when it comes, and gives them back as soon as it
proves to be of a node. So nodes behind one address do not use up each other's, and what proves to
be forged costs its address many more.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple


class Rate(NamedTuple):
    """Tokens: how many a second, and how many at once."""

    per_s: float
    burst: float


ADDRESS = Rate(50, 200)  # an operator's NAT may put a district behind one address
NETWORK = Rate(500, 2_000)  # of 256 addresses: /24, or /48 of IPv6
EVERYBODY = Rate(5_000, 10_000)
KEPT = 65_536  # addresses, and networks, that are remembered: about 15 MB
# A kid that nobody has, or a tag that is wrong: a node has one of them after a rotation that went
# wrong, a guesser has nothing else. A full bucket lets 18 of them pass, and then 5 a second.
FORGED = 10
# What was sealed by a node, but before: NAT rebinding gives a few, a recording any number.
REPLAYED = 5


class Buckets:
    """Tokens by key. The least recently used keys are forgotten: their buckets are full again."""

    def __init__(self, rate: Rate, kept: int = KEPT) -> None:
        self._rate = rate
        self._kept = kept
        self._levels: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def level(self, key: object, now: float) -> float:
        """Tokens there at `now`, in s of the clock that `put` is given too."""
        level, at = self._levels.get(key, (self._rate.burst, now))
        return min(self._rate.burst, level + (now - at) * self._rate.per_s)

    def put(self, key: object, tokens: float, now: float) -> None:
        """Add tokens, or take them when negative: down to a debt of as many as a full bucket."""
        level = self.level(key, now) + tokens
        self._levels[key] = (max(-self._rate.burst, min(self._rate.burst, level)), now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._kept:
            self._levels.popitem(last=False)

    def __len__(self) -> int:
        return len(self._levels)


class Limits:
    """The buckets of one server. An address is the text that a socket gives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses = Buckets(ADDRESS)
        self._networks = Buckets(NETWORK)
        self._everybody = Buckets(EVERYBODY, 1)

    def admit(self, address: str) -> bool:
        """Take a token from each bucket; False, and nothing is taken, where one is empty."""
        now = self._clock()
        keys = _keys(address)
        if any(bucket.level(key, now) < 1 for bucket, key in self._of(keys)):
            return False
        for bucket, key in self._of(keys):
            bucket.put(key, -1, now)
        return True

    def proven(self, address: str) -> None:
        """What was admitted is of a node: give the tokens back."""
        now = self._clock()
        for bucket, key in self._of(_keys(address)):
            bucket.put(key, 1, now)

    def forged(self, address: str) -> None:
        """What was admitted is not of the node that it names."""
        self._punish(address, FORGED)

    def replayed(self, address: str) -> None:
        """What was admitted is of a node, but not new."""
        self._punish(address, REPLAYED)

    def challenged(self, address: str) -> None:
        """What was admitted may be a recording: the token that `proven` gave back is spent."""
        self._punish(address, 1)

    def _punish(self, address: str, tokens: float) -> None:
        # Never the bucket for all: a forger with any number of addresses would empty it quickly.
        now = self._clock()
        key, network = _keys(address)
        self._addresses.put(key, -tokens, now)
        self._networks.put(network, -tokens, now)

    def _of(self, keys: tuple[object, object]) -> tuple[tuple[Buckets, object], ...]:
        address, network = keys
        return (
            (self._addresses, address),
            (self._networks, network),
            (self._everybody, None),
        )


def _keys(address: str) -> tuple[object, object]:
    """The address and its network: /32 and /24; of IPv6 /64, which one host has, and /48."""
    if address.startswith("::ffff:") and "." in address:  # IPv4 on a socket for both
        return address, address.rpartition(".")[0]
    raw = int(ipaddress.IPv6Address(address.partition("%")[0]))
    return raw >> 64, raw >> 80
