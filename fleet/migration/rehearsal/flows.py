"""The truth of a rehearsal: what flows at each asset, and what a dial on it shows."""

from typing import Final

from fleet.migration.policy import DAY_S, US

DAY_US: Final = DAY_S * US
_MASK: Final = (1 << 64) - 1
UNIT: Final = 100  # a flow is whole units of this: every dial resolves them
_LEAST, _SPREAD = 3, 18  # units a day


def mix(*numbers: int) -> int:
    """A number of 64 bits that looks like chance, always the same for the same numbers
    (the finalizer of SplitMix64).
    """
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class Flow:
    """What has flowed at an asset since `start_us`, in its register's scale: from midnight to
    midnight a straight line, each day at another rate.
    """

    __slots__ = ("_day", "_seed", "_sums", "base")

    def __init__(self, seed: int, start_us: int, base: int) -> None:
        self._seed = seed
        self._day = start_us // DAY_US
        self._sums = [0]  # units until the midnight of each day
        self.base = base

    def at(self, time_us: int) -> int:
        """Since ever, at a time that is not before the start's day."""
        day, rest = divmod(time_us, DAY_US)
        place = day - self._day
        while len(self._sums) <= place:
            self._sums.append(self._sums[-1] + self._rate(len(self._sums) - 1))
        units = self._sums[place] + self._rate(place) * rest // DAY_US
        return self.base + units * UNIT

    def _rate(self, place: int) -> int:
        return _LEAST + mix(self._seed, place) % _SPREAD


class Dial:
    """A counter on a flow: it showed 0 when `since` had flowed, and again after `modulus`. While
    it is taken off the pipe it stands still.
    """

    __slots__ = ("flow", "modulus", "off_us", "since")

    def __init__(self, flow: Flow, since: int, modulus: int | None = None) -> None:
        self.flow = flow
        self.since = since
        self.modulus = modulus
        self.off_us: int | None = None

    def take_off(self, at_us: int) -> None:
        """Nothing flows through it from then on."""
        self.off_us = at_us

    def put_on(self, at_us: int) -> None:
        """It goes on from what it shows; what flowed meanwhile it never saw."""
        if self.off_us is not None:
            self.since += self.flow.at(at_us) - self.flow.at(self.off_us)
            self.off_us = None

    def at(self, time_us: int) -> int:
        """What it shows, in the register's scale."""
        if self.off_us is not None:
            time_us = min(time_us, self.off_us)
        counted = self.flow.at(time_us) - self.since
        return counted if self.modulus is None else counted % self.modulus


def level(seed: int, time_us: int) -> int:
    """What stands for a measurement that is no register: a number of 0 to 9999."""
    return mix(seed, time_us // US) % 10_000
