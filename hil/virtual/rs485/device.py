"""A device on the line: its line settings, its delay, and what goes wrong with its answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

Values = Callable[[int], dict[str, int]]
"""What a device measures at a virtual time in us: by name, in its own counts."""


@dataclass
class Faults:
    """Each `lose_every`-th answer is not given, each `spoil_every`-th has one wrong byte, each
    `noise_every`-th has two bytes of noise before it; 0: none. A dead device answers nothing."""

    delay_us: int = 60_000
    lose_every: int = 0
    spoil_every: int = 0
    noise_every: int = 0
    dead: bool = False


@dataclass
class Device:
    """One device. `answer` is its protocol; `asked` and `answered` count what was for it."""

    baud: int
    parity: int  # as machine.UART: 0 even, 1 odd, 255 none
    values: Values
    faults: Faults = field(default_factory=Faults)
    asked: int = 0
    answered: int = 0
    good: int = 0  # answers that left it whole

    def answer(self, frame: bytes, now_us: int) -> bytes | None:
        """What it says to a frame that it heard, None when that was not for it."""
        raise NotImplementedError

    def hear(self, frame: bytes, now_us: int) -> bytes | None:
        """The bytes that it puts on the line, faults and all."""
        found = self.answer(frame, now_us)
        if found is None:
            return None
        self.asked += 1
        if self.faults.dead or _every(self.faults.lose_every, self.asked):
            return None
        self.answered += 1
        if _every(self.faults.spoil_every, self.answered):
            place = self.answered % len(found)
            return found[:place] + bytes((found[place] ^ 0x5A,)) + found[place + 1 :]
        self.good += 1
        return b"\x00\xff" + found if _every(self.faults.noise_every, self.answered) else found


def _every(n: int, count: int) -> bool:
    return n > 0 and count % n == 0
