"""What the world does to a board of the bench: the objects that the stimulus board takes, too."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.errors import Refusal
from hil.virtual.board import VirtualBoard

ALIASES = {"supply-fail": "pfail"}  # names of relays, where a board's pin has another
SHUNT_OHM = 150  # of a board's 4-20 mA inputs
PULSES_MOST = 100_000
WHEEL_MS = 240  # a wheel of two contacts turns no faster (hil/virtual/world.py)
ADC_MOST_MV = 3300
CURRENT_MOST_UA = 22_000  # what a shunt of 150 ohm turns into 3.3 V
MS_MOST = 86_400_000


class StimulusError(Refusal, ValueError):
    """There is no such channel, or not with that; the text is one line."""


class Stimuli:
    """`pins`: the board's, by name, which are the channels."""

    def __init__(self, board: VirtualBoard, pins: Mapping[str, int]) -> None:
        self._board = board
        self._pins = pins
        self._loops: dict[int, int] = {}  # uA by pin, of those behind the sensors' switch
        self._trains: dict[str, int] = {}  # by channel: the newest train of pulses
        self._do: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "pulse": self._pulse,
            "level": self._level,
            "voltage": self._voltage,
            "current": self._current,
            "relay": self._relay,
            "read": self._read,
        }
        if "sense" in pins:
            board.listen(pins["sense"], self._switched)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what one of its keys names; StimulusError where it cannot be done."""
        for name, do in self._do.items():
            if name in asked:
                return do(asked)
        raise StimulusError(f"a stimulus is one of {', '.join(self._do)}")

    def _pulse(self, asked: dict[str, Any]) -> dict[str, Any]:
        pin = self._pin(asked["pulse"])
        count = whole(asked, "count", 0, PULSES_MOST, 1)
        width_ms = whole(asked, "width_ms", 1, MS_MOST, 60)
        gap_ms = whole(asked, "gap_ms", 1, MS_MOST, 500)
        if self._board.world.has_wheel(pin) and width_ms + gap_ms < WHEEL_MS:
            raise StimulusError(f"a turn of two contacts takes {WHEEL_MS} ms: width_ms and gap_ms")
        channel = str(asked["pulse"])
        train = self._trains[channel] = self._trains.get(channel, 0) + 1

        def turn(left: int, at_us: int) -> None:
            if not left or self._trains[channel] != train:
                return
            self._board.world.turn(pin, width_ms * 1000)
            next_us = at_us + (width_ms + gap_ms) * 1000
            self._board.clock.board.add(next_us, lambda: turn(left - 1, next_us))

        turn(count, self._board.now_us)
        return {"ends_ms": count * (width_ms + gap_ms)}

    def _level(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._board.pins.drive(self._pin(asked["level"]), whole(asked, "value", 0, 1))
        return {}

    def _relay(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._board.pins.drive(self._pin(asked["relay"]), whole(asked, "value", 0, 1))
        return {}

    def _voltage(self, asked: dict[str, Any]) -> dict[str, Any]:
        pin = self._pin(asked["voltage"])
        self._loops.pop(pin, None)
        self._board.pins.microvolts[pin] = whole(asked, "mv", 0, ADC_MOST_MV) * 1000
        return {}

    def _current(self, asked: dict[str, Any]) -> dict[str, Any]:
        # A sensor gives it while it has a supply: where the board switches that, only then.
        pin = self._pin(asked["current"])
        self._loops[pin] = whole(asked, "ua", 0, CURRENT_MOST_UA)
        self._switched(self._board.pins.level(self._pins["sense"]) if "sense" in self._pins else 1)
        return {}

    def _switched(self, level: int) -> None:
        for pin, microamperes in self._loops.items():
            self._board.pins.microvolts[pin] = microamperes * SHUNT_OHM if level else 0

    def _read(self, asked: dict[str, Any]) -> dict[str, Any]:
        pin = self._pin(asked["read"])
        found = {"value": self._board.pins.level(pin)}
        if pin in self._board.pins.pwm:
            found["duty"] = self._board.pins.duty(pin)
        return found

    def _pin(self, name: object) -> int:
        pin = self._pins.get(ALIASES.get(str(name), str(name)))
        if pin is None:
            raise StimulusError(f"there is no channel {name!r}: {', '.join(self._pins)}")
        return pin


def whole(
    asked: dict[str, Any], key: str, least: int, most: int, default: int | None = None
) -> int:
    """A whole number of JSON within limits; StimulusError."""
    value = asked.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise StimulusError(f"{key} cannot be {value!r}: a whole number from {least} to {most}")
