"""What the world does to a board of the bench: the objects that the stimulus board takes, too."""

from collections.abc import Callable, Mapping
from typing import Any

from hil.virtual.bench.post import MAINS_DV_PER_3V, Post
from hil.virtual.bench.stimulus_error import StimulusError, flag, whole
from hil.virtual.bench.subdevices import SubDevices
from hil.virtual.board import VirtualBoard
from hil.virtual.fittings import Fittings
from hil.virtual.rs485.line import BusTwin
from hil.virtual.sensors.ultrasonic import Ultrasonic

ALIASES = {"supply-fail": "pfail"}  # names of relays, where a board's pin has another
SHUNT_OHM = 150  # of a board's 4-20 mA inputs
PULSES_MOST = 100_000
WHEEL_MS = 240  # a wheel of two contacts turns no faster (hil/virtual/world.py)
ADC_MOST_MV = 3300
CURRENT_MOST_UA = 22_000  # what a shunt of 150 ohm turns into 3.3 V
MS_MOST = 86_400_000


class Stimuli:
    """`pins`: the board's, by name, which are the channels. `bus` and `sonar` are what hangs on
    its UARTs, where it has them.
    """

    def __init__(
        self,
        board: VirtualBoard,
        pins: Mapping[str, int],
        fittings: Fittings,
        bus: BusTwin | None,
        sonar: Ultrasonic | None,
    ) -> None:
        self._board = board
        self._pins = pins
        self._fittings = fittings
        self._sonar = sonar
        self.distance_mm: int | None = None
        self._post = Post(board, pins) if "relay" in pins and "dim" in pins else None
        lamp = None if self._post is None else self._post.measured
        self._sub_devices = None if bus is None else SubDevices(bus, lamp)
        self._loops: dict[int, int] = {}  # uA by pin, of those behind the sensors' switch
        self._trains: dict[str, int] = {}  # by channel: the newest train of pulses
        self._do: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "pulse": self._pulse,
            "level": self._level,
            "voltage": self._voltage,
            "current": self._current,
            "relay": self._relay,
            "read": self._read,
            "bus": self._bus,
            "i2c": self._i2c,
            "lamp": self._lamp,
            "valve": self._valve,
            "distance": self._distance,
        }
        if sonar is not None:
            sonar.distance = lambda _: self.distance_mm
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
        millivolts = whole(asked, "mv", 0, ADC_MOST_MV)
        if self._post is not None and pin == self._pins.get("supply"):
            self._post.mains(millivolts * MAINS_DV_PER_3V // 3000)
        self._board.pins.microvolts[pin] = millivolts * 1000
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

    def _bus(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._sub_devices is None:
            raise StimulusError("the board has no RS-485 line")
        return self._sub_devices.answer(asked)

    def _i2c(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["i2c"] == "wires":
            self._board.i2c.dead = flag(asked, "cut", self._board.i2c.dead)
            return {}
        found = self._fittings.accelerometer
        if asked["i2c"] != "accelerometer" or found is None:
            known = "wires" if found is None else "accelerometer, wires"
            raise StimulusError(f"on I2C there is no {asked['i2c']!r}: {known}")
        if "turn" in asked:
            turn = asked["turn"]
            if not isinstance(turn, list) or len(turn) != 3:
                raise StimulusError("turn is [x, y, z] in mg: what it feels at rest")
            x, y, z = (whole({"turn": mg}, "turn", -16_000, 16_000) for mg in turn)
            found.turn(x, y, z)
        if "shake" in asked:
            found.shake(whole(asked, "shake", 0, 16_000))
        return {"running": found.running}

    def _lamp(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._post is None:
            raise StimulusError("the board drives no lamp")
        return self._post.answer(asked)

    def _valve(self, asked: dict[str, Any]) -> dict[str, Any]:
        valve, change = self._fittings.valve, asked["valve"]
        if valve is None or not isinstance(change, dict):
            raise StimulusError("valve is an object, put or jam, on a board that drives one")
        if "jam" in change:
            valve.jam = None if change["jam"] is None else whole(change, "jam", 0, 1000)
        if "put" in change:
            valve.put(whole(change, "put", 0, 1000))
        runs = dict(valve.runs)
        return {
            "position": valve.position,
            "closed": valve.closed,
            "openings": valve.openings,
            "runs": runs,
        }

    def _distance(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._sonar is None:
            raise StimulusError("the board hears no ultrasonic sensor")
        silent = asked["distance"] is None
        self.distance_mm = None if silent else whole(asked, "distance", 0, 65_535)
        return {}

    def _pin(self, name: object) -> int:
        pin = self._pins.get(ALIASES.get(str(name), str(name)))
        if pin is None:
            raise StimulusError(f"there is no channel {name!r}: {', '.join(self._pins)}")
        return pin
