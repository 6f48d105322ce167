"""A manhole through dry days and storms: what its rain gauge, level and current say, and when."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from hil.virtual.stimulus import Change, Pulse

SECOND = 1_000_000
HOUR = 3600 * SECOND
TIP_UM = 200
_TIP_US = 500_000  # how long the board shows a tip


class Storm(NamedTuple):
    """Rain from `begins_us` for `rain_us`, heaviest in its middle, and a flood that follows it."""

    begins_us: int
    rain_us: int
    peak_mm_h: float
    rise_mm: int

    def rain_mm_h(self, at_us: int) -> float:
        """How hard it rains: a triangle."""
        part = (at_us - self.begins_us) / self.rain_us
        return self.peak_mm_h * max(0.0, 1 - abs(2 * part - 1))

    def level_mm(self, at_us: int) -> float:
        """What it adds to the level: up as the sine goes, down as a reservoir empties."""
        hours = (at_us - self.begins_us) / HOUR - 0.5  # the catchment is late by half an hour
        rising = self.rain_us / HOUR
        if hours <= 0:
            return 0.0
        if hours < rising:
            return self.rise_mm * float(math.sin(math.pi / 2 * hours / rising) ** 2)
        return self.rise_mm * math.exp(-(hours - rising) / 2.5)


class Weather:
    """Storms from `start_us` on: the first after some two hours, then one in about a day."""

    def __init__(self, start_us: int, seed: int) -> None:
        chance = random.Random(seed)
        at = start_us + 2 * HOUR
        self.storms: list[Storm] = []
        for _ in range(200):
            rain = chance.randint(60, 150) * 60 * SECOND
            peak = chance.uniform(25, 60)
            self.storms.append(Storm(at, rain, peak, chance.randint(900, 2200)))
            at += round(chance.uniform(20, 30) * HOUR)
        self._start_us = start_us

    def level_mm(self, at_us: int) -> int:
        """With the daily swing of waste water, and some ripple that no level is without."""
        hours = (at_us - self._start_us) / HOUR
        swing = 300 + 60 * math.sin(hours * math.pi / 12) + 8 * math.sin(hours * 40)
        near = (storm for storm in self.storms if at_us < storm.begins_us + 40 * HOUR)
        flood = 0.0
        for storm in near:
            if storm.begins_us > at_us:
                break
            flood += storm.level_mm(at_us)
        return round(swing + flood)

    def velocity_mm_s(self, at_us: int) -> int:
        """The more water, the faster: about Manning's law."""
        return round(45 * math.sqrt(self.level_mm(at_us)))

    def tips(self, pin: int) -> Iterator[tuple[int, Change]]:
        """The rain gauge, as changes of the board's pin."""
        for storm in self.storms:
            at, caught = storm.begins_us, 0.0
            while at < storm.begins_us + storm.rain_us:
                at += 5 * SECOND
                caught += storm.rain_mm_h(at) * 1000 * 5 / 3600
                if caught >= TIP_UM:
                    caught -= TIP_UM
                    yield at, Pulse(pin, _TIP_US)
