"""A gas meter's contacts, counted by the ULP (ulp/reeds.s): asleep, awake and through resets."""

import esp32
import machine
from micropython import const

from node.modules import forget

_WORDS = const(0x50000200)  # DATA of ulp/reeds.s
_STATE = const(2)
_Q = const(3)
_FORWARD = const(4)
_LEFT = const(7)
_SETTING = const(10)  # what it was loaded with
_MAGIC = const(0x4B50)  # "KP": this memory was written by this program


class Reeds:
    """The ULP counts modulo 65536 from `start` on, until power is lost."""

    def __init__(self, config: dict, _state) -> None:
        self._config = config
        # Two contacts that overlap, two that are set apart, or one.
        two = 1 + config["reeds_overlap"] if "pulse2" in config["pins"] else 0
        self._setting = two << 8 | config["scan_ms"]

    def alive(self, mark: int) -> bool:
        """Whether it has counted since the start that got this mark."""
        return machine.mem32[_WORDS] == _MAGIC << 16 | mark

    def fits(self) -> bool:
        """Whether it counts as the configuration says now."""
        return self._word(_SETTING) == self._setting

    def read(self) -> "list[int]":
        """Pulses forwards, backwards, and what only a magnet does; each modulo 65536."""
        return [self._word(_FORWARD + n) for n in range(3)]

    def place(self) -> int:
        """Where the wheel stands: contacts (1 `pulse`, 2 `pulse2`) and 16 times the quarters."""
        return self._word(_STATE) | self._word(_Q) << 4

    def start(self, mark: int, place: int) -> None:
        """Count from 0. `place` of the wheel when it was counted last; with 256 more its contacts
        are taken as they are now, without a step, and -1 is a new meter's.
        """
        from node.sense import ulp

        ulp.load(self._config, self._setting, _MAGIC << 16 | mark, place)
        forget("node.sense.ulp node.sense.ulpcode")

    def arm(self, pulses: int) -> list:
        """End deep sleep after so many pulses (0: not for those), and for a magnet or reverse
        flow. No pin has to.
        """
        machine.mem32[_WORDS + 4 * _LEFT] = pulses
        esp32.wake_on_ulp(True)
        return []

    def _word(self, n: int) -> int:
        return machine.mem32[_WORDS + 4 * n] & 0xFFFF
