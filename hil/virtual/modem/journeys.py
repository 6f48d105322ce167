"""What befalls packets beyond the radio, between modem and host, by chance."""

import random

from hil.virtual.modem.airhooks import AirOptions


class Journeys:
    """`duplicated` and `delayed` count datagrams, both ways together."""

    def __init__(self, rng: random.Random, options: AirOptions) -> None:
        self._rng = rng
        self._options = options
        self.dark = False  # nothing passes, either way
        self.duplicated = 0
        self.delayed = 0

    def lost(self) -> bool:
        """Whether this packet gets lost."""
        return self.dark or self._happens(self._options.loss)

    def change(self, options: AirOptions) -> None:
        """From now on."""
        self._options = options

    def copies(self) -> list[int]:
        """By how many microseconds each copy of a datagram is late: one, or two copies."""
        copies, (least_s, most_s) = [0], self._options.late_s
        if self._happens(self._options.duplicate):
            self.duplicated += 1
            copies.append(int(self._rng.uniform(0, most_s) * 1_000_000))
        if self._happens(self._options.reorder):
            self.delayed += 1
            copies[0] += int(self._rng.uniform(least_s, most_s) * 1_000_000)
        return copies

    def _happens(self, chance: float) -> bool:
        # What cannot happen takes nobody's luck.
        return chance > 0 and self._rng.random() < chance
