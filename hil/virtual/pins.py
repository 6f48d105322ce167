"""The chip's pins as the outside world and the firmware see them: levels, ADC, PCNT, PWM."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

_RISING, _FALLING = 1, 2
_ACTION = {0: 0, 1: 1, 2: -1}  # PCNT: ignore, increment, decrement


@dataclass
class Counter:
    """One PCNT unit."""

    pin: int
    rising: int
    falling: int
    running: bool = False
    count: int = 0


class Pins:
    """`on_output` is told about every change of an output: (pin, level)."""

    def __init__(self, on_output: Callable[[int, int], None]) -> None:
        self._on_output = on_output
        self._inputs: defaultdict[int, int] = defaultdict(int)
        self._pulls: dict[int, int] = {}
        self._outputs: dict[int, int] = {}
        self._held: set[int] = set()
        self._triggers: dict[int, int] = {}
        self._edges: dict[int, int] = {}
        self._counters: dict[int, Counter] = {}
        self.microvolts: defaultdict[int, int] = defaultdict(int)
        self.pwm: dict[int, tuple[int, int]] = {}  # pin: (frequency in Hz, duty of 65535)
        self.on_input: Callable[[], None] = lambda: None  # told of each change of an input
        self.before_change: list[Callable[[], None]] = []  # told before an output changes
        self.after_change: list[Callable[[], None]] = []

    # The outside world

    def drive(self, pin: int, level: int) -> None:
        """Something outside drives an input to `level`."""
        old = self.level(pin)
        self._inputs[pin] = level
        if pin in self._outputs or old == level:
            return
        self.on_input()
        flag = _RISING if level else _FALLING
        if self._triggers.get(pin, 0) & flag:
            self._edges[pin] = self._edges.get(pin, 0) | flag
        for unit in self._counters.values():
            if unit.running and unit.pin == pin:
                unit.count += unit.rising if level else unit.falling

    def level(self, pin: int) -> int:
        """Level of a pin, as an input or an output."""
        if pin in self._outputs:
            return self._outputs[pin]
        if pin in self._inputs:
            return self._inputs[pin]
        return 1 if self._pulls.get(pin) == 2 else 0

    def duty(self, pin: int) -> int:
        """PWM duty of 65535; 0 when there is none."""
        return self.pwm.get(pin, (0, 0))[1]

    # The firmware

    def mode(self, pin: int, mode: int, pull: int, hold: int) -> None:
        """Fields of Pin.init; 255 leaves one as it is."""
        if mode in (3, 7):
            self._outputs.setdefault(pin, 0)
        elif mode == 1:
            self._outputs.pop(pin, None)
        if pull != 255:
            self._pulls[pin] = pull
        if hold == 1:
            self._held.add(pin)
        elif hold == 0:
            self._held.discard(pin)

    def write(self, pin: int, level: int) -> None:
        """Set an output."""
        old = self._outputs.get(pin, 0)
        if old == level:
            self._outputs[pin] = level
            return
        self._tell(self.before_change)
        self._outputs[pin] = level
        self._on_output(pin, level)
        self._tell(self.after_change)

    def dim(self, pin: int, frequency: int, duty: int) -> None:
        """Set a PWM output: Hz, and of 65535."""
        self._tell(self.before_change)
        self.pwm[pin] = (frequency, duty)
        self._tell(self.after_change)

    @staticmethod
    def _tell(watchers: list[Callable[[], None]]) -> None:
        for watcher in watchers:
            watcher()

    def trigger(self, pin: int, flags: int) -> None:
        """Edges that interrupt; 0 for none."""
        self._triggers[pin] = flags
        self._edges.pop(pin, None)

    @property
    def has_edges(self) -> bool:
        """Whether an edge waits for its handler."""
        return bool(self._edges)

    def take_edges(self) -> dict[int, int]:
        """Pins whose handlers are due, with their edges."""
        edges, self._edges = self._edges, {}
        return edges

    def pcnt_init(self, unit: int, pin: int, rising: int, falling: int) -> None:
        """Set up a counter; it keeps its count and whether it runs."""
        old = self._counters.get(unit)
        running, value = (old.running, old.count) if old else (False, 0)
        self._counters[unit] = Counter(
            pin, _ACTION.get(rising, 0), _ACTION.get(falling, 0), running, value
        )

    def pcnt_run(self, unit: int, running: bool) -> None:
        """Start or stop a counter."""
        if unit in self._counters:
            self._counters[unit].running = running

    def pcnt_value(self, unit: int, clear: bool) -> int:
        """The count, which is 16 bits wide and starts again from 0 beyond them."""
        counter = self._counters.get(unit)
        if counter is None:
            return 0
        value = abs(counter.count) % 32768 * (-1 if counter.count < 0 else 1)
        if clear:
            counter.count = 0
        return value

    def reset(self) -> None:
        """The chip was reset or sleeps: outputs that are not held let go."""
        self._triggers.clear()
        self._edges.clear()
        self._counters.clear()
        self._tell(self.before_change)
        self.pwm.clear()
        for pin in [pin for pin in self._outputs if pin not in self._held]:
            if self._outputs.pop(pin):
                self._on_output(pin, 0)
        self._tell(self.after_change)

    def boot(self) -> None:
        """Pulls last through deep sleep, not through a boot."""
        self._pulls.clear()

    def power_off(self) -> None:
        """Holding needs power too."""
        self._held.clear()
        self.reset()
