"""The analogue sensors of a drainage point behind their load switch: they speak while it is on.

They count how often they were asked: a bench knows how many samples there must be without asking
the firmware.
"""

from collections.abc import Callable, Mapping

from hil.virtual.board import VirtualBoard

LOW_UV, HIGH_UV = 600_000, 3_000_000  # 4-20 mA over 150 ohm
BROKEN_UV = 300_000  # 2 mA: a transmitter that found a fault in itself (NAMUR NE 43)

Curve = Callable[[int], int]  # us since 1970 to the value


class Loop:
    """One 4-20 mA sensor: `value(us)` in the unit of `full_scale`."""

    def __init__(self, value: Curve, full_scale: int) -> None:
        self.value = value
        self.full_scale = full_scale
        self.broken = False

    def microvolts(self, at_us: int) -> int:
        """Over its resistor."""
        if self.broken:
            return BROKEN_UV
        span = HIGH_UV - LOW_UV
        return max(0, min(LOW_UV + self.value(at_us) * span // self.full_scale, 3_300_000))


class SwitchedSensors:
    """`loops` by the names of their pins. `asked` has the times, in us, at which they were
    switched on.
    """

    def __init__(self, loops: Mapping[str, Loop]) -> None:
        self.loops = loops
        self.asked: list[int] = []
        self.told: Callable[[int], None] = lambda at_us: None

    def attach(self, board: VirtualBoard, pins: Mapping[str, int]) -> None:
        """Hang on a board that has a pin `sense`."""

        def switched(level: int) -> None:
            now = board.now_us
            for name, loop in self.loops.items():
                board.pins.microvolts[pins[name]] = loop.microvolts(now) if level else 0
            if level:
                self.asked.append(now)
                self.told(now)

        board.listen(pins["sense"], switched)
