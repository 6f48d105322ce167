"""A motor valve on a virtual board: an H bridge, two end stops, the motor's current."""

from collections.abc import Callable, Mapping

from hil.virtual.board import VirtualBoard

_MICROVOLTS = 6_000  # of the current's amplifier for a milliampere: 3 V at 500 mA
PINS = ("valve_open", "valve_close", "valve_opened", "valve_closed")


class MotorValve:
    """It keeps its position without power. `position` is 0 (open) to 1000 (closed); `jam` is one
    that it does not get past, from either side; `runs` counts how often the motor was started,
    by direction. Currents in mA: a usual 6 V valve motor behind its gear.
    """

    RUN_MA, INRUSH_MA, STALL_MA = 60, 250, 300

    def __init__(
        self, board: VirtualBoard, pins: Mapping[str, int], *, travel_us: int = 4_000_000
    ) -> None:
        self._board = board
        self._pins = pins
        self._travel_us = travel_us
        self._position = 0
        self._since = 0
        self._toward = 0  # -1 opens, 1 closes
        self._levels = {"valve_open": 0, "valve_close": 0}
        self._turn = 0  # counts changes, so that what was foreseen before one does not happen
        self.jam: int | None = None
        self.runs = {"valve_open": 0, "valve_close": 0}
        self.on_current: Callable[[int], None] = lambda ma: None
        self.openings = 0  # how often it let gas through again
        for name in self._levels:
            board.listen(pins[name], lambda level, name=name: self._driven(name, level))  # type: ignore[misc]
        self._show()

    @property
    def position(self) -> int:
        """Where it is now."""
        if not self._toward:
            return self._position
        moved = (self._board.now_us - self._since) * 1000 // self._travel_us
        return self._bounded(self._position + self._toward * moved)

    @property
    def closed(self) -> bool:
        """Whether no gas gets through."""
        return self.position >= 1000

    def put(self, position: int) -> None:
        """Somebody turns it by hand."""
        self._position, self._since = position, self._board.now_us
        self._show()

    def _bounded(self, to: int) -> int:
        low, high = 0, 1000
        if self.jam is not None and self._toward > 0 and self._position <= self.jam:
            high = self.jam
        elif self.jam is not None and self._toward < 0 and self._position >= self.jam:
            low = self.jam
        return max(low, min(to, high))

    def _driven(self, name: str, level: int) -> None:
        before = self.position
        if before >= 1000 and name == "valve_open" and level:
            self.openings += 1
        self._position, self._since = before, self._board.now_us
        self._levels[name] = level
        self.runs[name] += level
        self._toward = self._levels["valve_close"] - self._levels["valve_open"]
        self._turn += 1
        self._show()
        if self._toward:
            self._current(self.INRUSH_MA)
            self._later(200_000, lambda: self._current(self.RUN_MA))
            end = self._bounded(1000 if self._toward > 0 else 0)
            way = abs(end - before) * self._travel_us // 1000
            self._later(1, self._leave)
            self._later(way + 1000, self._arrive)
        else:
            self._current(0)

    def _later(self, after_us: int, what: Callable[[], None]) -> None:
        turn = self._turn

        def due() -> None:
            if turn == self._turn:
                what()

        self._board.clock.board.add(self._board.now_us + after_us, due)

    def _leave(self) -> None:
        # A stop is let go as soon as it moves off it.
        for name, moving in (
            ("valve_opened", self._toward > 0),
            ("valve_closed", self._toward < 0),
        ):
            if moving and self.jam != self._position:
                self._board.pins.drive(self._pins[name], 0)

    def _arrive(self) -> None:
        self._show()
        self._current(self.STALL_MA)  # at the stop or at what it is stuck on

    def _show(self) -> None:
        at = self.position
        self._board.pins.drive(self._pins["valve_opened"], int(at == 0))
        self._board.pins.drive(self._pins["valve_closed"], int(at == 1000))

    def _current(self, milliamperes: int) -> None:
        self.on_current(milliamperes)
        if "valve_ma" in self._pins:
            self._board.pins.microvolts[self._pins["valve_ma"]] = milliamperes * _MICROVOLTS
