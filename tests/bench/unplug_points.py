"""Where to pull the plug: points spread over every step of flashing and provisioning."""

import random
import threading
from typing import NamedTuple

from tests.bench.unplug_rig import Bench, Rig

FLASH, PROVISION = "flash", "provision"
BYTES, LATER, TORN = "bytes", "later", "torn"
MUCH = 1 << 40
NARROW = 64  # bytes: a step with fewer on the wire is cut by time
LATEST_S = 0.5  # after a step began


class Step(NamedTuple):
    """A step of a command, as it says itself: from which byte of the host's to which."""

    name: str
    first: int
    behind: int


class Point(NamedTuple):
    """`at`: bytes from the command's start (BYTES), seconds from the step's start (LATER), or the
    byte of NVS that the write came to (TORN: power went while a sector was being programmed, which
    the wire's bytes do not show).
    """

    phase: str
    step: str
    kind: str
    at: float

    def __str__(self) -> str:
        unit = {BYTES: f"byte {self.at:.0f}", LATER: f"+{self.at:.2f} s"}
        return f"{self.phase} {self.step} {unit.get(self.kind, f'torn at {self.at:.0f}')}"


def measure(rig: Rig, bench: Bench, phase: str) -> tuple[list[Step], float]:
    """The steps of a command that nobody cuts, by the bytes that board 1 takes; its seconds."""
    bench.do("1", "unplug-after", bytes=MUCH)
    begins: list[tuple[str, int]] = []

    def on_step(board: str, text: str) -> None:
        name = text.rsplit(" ", 2)[0] if text.endswith("%") else text
        if board == "1" and (not begins or begins[-1][0] != name):
            begins.append((name, MUCH - (bench.left("1") or 0)))

    ran = rig.run(phase, on_step)
    if ran.code:
        raise RuntimeError(f"kapok {phase} fails without a cut: {ran.last}")
    ends = [first for _, first in begins[1:]] + [MUCH - (bench.left("1") or 0)]
    bench.do("1", "fault", set={"unplug_after": None})
    steps = [Step(*begin, end) for begin, end in zip(begins, ends, strict=True)]
    return steps, ran.seconds


class Spread:
    """Points in turn over the steps of a phase, at seeded places within a step.

    `only`: the one step to cut in, of either phase.
    """

    def __init__(
        self, chance: random.Random, flash: list[Step], provision: list[Step], only: str = ""
    ) -> None:
        self._chance = chance
        self._only = only
        steps = {FLASH: flash, PROVISION: provision}
        if only:
            steps = {p: [step for step in steps[p] if step.name == only] for p in steps}
        self._steps = {phase: found for phase, found in steps.items() if found}
        self._turn = {FLASH: 0, PROVISION: 0}

    def point(self, phase: str) -> Point:
        """The next one; of the other phase where this one has no step to cut in."""
        phase = phase if phase in self._steps else next(iter(self._steps))
        steps = self._steps[phase]
        # One turn in three is anywhere in the phase, by bytes: the long steps get their share.
        turn, self._turn[phase] = self._turn[phase], self._turn[phase] + 1
        if turn % 3 == 2 and not self._only:
            at = self._chance.randrange(1, steps[-1].behind)
            name = next(step.name for step in steps if at < step.behind)
            return Point(phase, name, BYTES, at)
        number = turn if self._only else turn // 3 * 2 + turn % 3
        step = steps[number % len(steps)]
        if phase == PROVISION and step.name == "verify" and number // len(steps) % 2 == 0:
            return Point(phase, step.name, TORN, self._chance.randrange(0x4000))
        if step.behind - step.first >= NARROW:
            return Point(phase, step.name, BYTES, self._chance.randrange(step.first, step.behind))
        return Point(phase, step.name, LATER, self._chance.random() * LATEST_S)


class Scissors:
    """Cuts the boards of a bench at their points while a command runs."""

    def __init__(self, bench: Bench, points: dict[str, Point]) -> None:
        self._bench, self._points = bench, points
        self._timers: list[threading.Timer] = []
        self.torn: set[str] = set()
        for board, point in points.items():
            if point.kind == BYTES:
                bench.do(board, "unplug-after", bytes=int(point.at))

    def on_step(self, board: str, text: str) -> None:
        """A board begins something."""
        point = self._points.get(board)
        if point is None or not (text == point.step or text.startswith(f"{point.step} ")):
            return
        if point.kind == TORN:
            self._bench.off(board)
            self._tear(board, int(point.at))
        elif point.kind == LATER:
            timer = threading.Timer(point.at, self._bench.off, [board])
            timer.start()
            self._timers.append(timer)

    def _tear(self, board: str, at: int) -> None:
        """What was written behind byte `at` of NVS was not: erased, as on a blank board."""
        if board in self.torn:
            return
        self.torn.add(board)
        with self._bench.flash(board).open("r+b") as file:
            file.seek(0x9000 + at)
            file.write(b"\xff" * (0x4000 - at))

    def put_away(self) -> None:
        """Cut nobody any more."""
        for timer in self._timers:
            timer.cancel()
            timer.join()
        for board in self._points:
            self._bench.do(board, "fault", set={"unplug_after": None})

    def close(self) -> None:
        """Cut now whoever was to be cut and was not: the command was over."""
        for timer in self._timers:
            timer.join()
        for board in self._points:
            self._bench.off(board)
        self.put_away()
