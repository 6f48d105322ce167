"""One sample of a drainage point: what its sensors say, what that is worth, and what follows.

Loaded for the moment of a sample only. docs/architecture.md has the rules.
"""

import time

import machine
from micropython import const

from node.errors import JournalError
from node.events import Events
from node.sense import plausible
from node.sense.analog import AnalogInput
from node.wire import uplink

# wire/quantity.py
_Q_LEVEL = const(2)
_Q_SUPPLY_VOLTAGE = const(5)
_Q_FLOW_VELOCITY = const(12)
_Q_RAIN = const(13)
_Q_RAIN_RATE = const(14)
_Q_COVER_TILT = const(15)
_Q_COVER_OPEN = const(16)
_Q_CHAMBER_WATER = const(17)
_Q_H2S = const(18)
_Q_CH4 = const(19)
_Q_LEVEL_RATE = const(38)
_Q_LEVEL_FLAGS = const(55)
_Q_SAMPLING = const(56)
_E_LEVEL_HIGH = const(20)
_E_LEVEL_RISE = const(21)
_E_SENSOR_STUCK = const(22)
_E_SENSOR_FAULT = const(23)
_E_COVER_MOVED = const(24)
_E_CHAMBER_WATER = const(25)
_E_H2S = const(26)
_E_CH4 = const(27)
_E_SUPPLY_LOST = const(28)
_E_HEAVY_RAIN = const(29)
_BACK_S = const(60)  # of a float or a cover that nobody named a time for
_QUIET, _RISING, _STORM = const(0), const(1), const(2)
_BURST, _BURST_MS = const(5), const(20)
_LOOKS, _LOOK_MS = const(5), const(1000)  # at a cover that somebody moves
_WET_S = const(3600)  # after the last tip
_FULL_UV = const(2_000_000)  # at the supply's pin


class Manhole:
    """`rain` is the role's Rain, or None."""

    def __init__(self, config: dict, state, journal, rain) -> None:
        self._config = config
        self._get = config.get
        self._pins = config["pins"]
        self._fitted = config.get("fitted", ())
        self._state = state
        self._journal = journal
        self._rain = rain
        self._events = Events(state, journal)
        self._now = self._quality = 0
        self._good: list = []  # (quantity, value) of what can be believed, and of what cannot
        self._suspect: list = []
        self._broken = False  # a sensor beside the level says nothing that could be
        self._asked = True  # whether all that are fitted were asked

    def sample(self, now: int, quality: int) -> None:
        """Ask every sensor that is fitted, keep all it says, begin and end events."""
        self._now, self._quality = now, quality
        power = self._pins.get("sense")
        if power is not None:
            power = machine.Pin(power, machine.Pin.OUT, value=1)
            time.sleep_ms(self._get("warm_ms", 500))
        level = self._level()
        self._analog("velocity", _Q_FLOW_VELOCITY, self._get("velocity_full", 5000))
        h2s, ch4 = self._gases()
        if power is not None:
            power.value(0)
        supply = self._supply()
        wet, opened, shut = self._lines()
        rained = self._rained()
        memory = self._state.get("lv") or []
        flags, rise = plausible.judge(
            memory, now, level[0] if level else 0, bool(level and level[1]), self._limits()
        )
        if level:
            (self._suspect if flags else self._good).insert(0, (_Q_LEVEL, level[0]))
            if flags:
                self._suspect.insert(1, (_Q_LEVEL_FLAGS, flags))
        # The slot stays open where there was no room: the look behind a contact fills it.
        if self._keep():
            self._state.set("slot", now)
        self._state.set("lv", memory)
        high = self._get("level_high_mm", 0)
        if rise is not None and level:
            self._rising(level[0], rise, high)
        if plausible.faults(memory) >= self._get("jump_samples", 3) or self._broken:
            self._events.begin(_E_SENSOR_FAULT, now, quality, urgent=False)
        elif level and level[1] and self._asked:
            self._events.end(_E_SENSOR_FAULT, now, quality)
        if flags & plausible.STUCK:
            self._events.begin(_E_SENSOR_STUCK, now, quality, urgent=False)
        elif rise is not None:
            self._events.end(_E_SENSOR_STUCK, now, quality)
        self._line(_E_CHAMBER_WATER, "water", wet is True, not wet)
        self._line(_E_COVER_MOVED, "cover", opened, shut)
        self._state.set("look", self._events.again)
        self._limit(_E_H2S, h2s, "h2s", 10 * self._get("h2s_ppm", 10))
        self._limit(_E_CH4, ch4, "ch4", 10 * self._get("ch4_lel", 25))
        low = self._get("supply_low_mv", 0)
        if supply is None or not low:
            self._watch(_E_SUPPLY_LOST, False, True)
        else:
            self._watch(_E_SUPPLY_LOST, supply < low, 20 * supply > 21 * low)
        most = 10 * self._get("rain_mm_h", 20)
        if rained is None or not most:
            self._watch(_E_HEAVY_RAIN, False, True)
        else:
            values = [(_Q_RAIN_RATE, rained)]
            self._watch(_E_HEAVY_RAIN, rained >= most, 2 * rained < most, values)
        self._weather(plausible.doubtful(memory), level[0] if level else 0, rise, high)

    def _keep(self) -> bool:
        # What is suspect has a record of its own, so that it casts no doubt on the rest.
        kept = True
        for values, quality in ((self._good, self._quality), (self._suspect, uplink.SUSPECT)):
            if values:
                kept = self._record(values, quality) and kept
        return kept

    def _record(self, values: list, quality: int) -> bool:
        # Whether there was room; if not, events are no less watched.
        try:
            self._journal().append(uplink.encode_body(self._now, quality, values))
        except JournalError as e:
            self._state.set("error", e.code)
            self._state.set("cause", 0)
            return False
        return True

    def _level(self) -> "tuple[int, bool] | None":
        # The median of a few looks: a wave or a drop is no level.
        if self._get("level_by") == "ultrasonic":
            from node.sense import ultrasonic

            return ultrasonic.measure(
                self._pins["echo"], self._pins["ping"], self._config["mount_mm"]
            )
        sensor = self._input("level", self._config["full_scale"])
        looks = []
        for i in range(_BURST):
            if i:
                time.sleep_ms(_BURST_MS)
            looks.append(sensor.measure())
        looks.sort()
        return looks[_BURST // 2]

    def _input(self, pin: str, full_scale: int) -> AnalogInput:
        config = self._config
        return AnalogInput(self._pins[pin], config["low_uv"], config["high_uv"], full_scale)

    def _analog(self, pin: str, quantity: int, full_scale: int) -> "int | None":
        # The value, None where there is none that can be believed.
        if pin not in self._fitted:
            return None
        value, valid = self._input(pin, full_scale).measure()
        if not valid:
            self._suspect.append((quantity, value))
            self._broken = True
            return None
        self._good.append((quantity, value))
        return value

    def _gases(self) -> tuple:
        every, last = self._get("gas_s", 3600), self._state.get("gas", 0)
        fitted = "h2s" in self._fitted or "ch4" in self._fitted
        if not fitted or not every:
            return None, None
        if self._now // every == last // every:
            self._asked = False
            return None, None
        time.sleep_ms(1000 * self._get("gas_warm_s", 30))
        self._state.set("gas", self._now)
        return (
            self._analog("h2s", _Q_H2S, 10 * self._get("h2s_full_ppm", 100)),
            self._analog("ch4", _Q_CH4, 10 * self._get("ch4_full_lel", 100)),
        )

    def _supply(self) -> "int | None":
        if "supply" not in self._fitted:
            return None
        full = self._get("supply_full_mv", 20000)
        supply = AnalogInput(self._pins["supply"], 0, _FULL_UV, full).read()
        self._good.append((_Q_SUPPLY_VOLTAGE, supply))
        return supply

    def _lines(self) -> tuple:
        # Whether water stands in the chamber, None where nobody looks; whether the cover is open,
        # and whether it is shut: between the two lies the hysteresis.
        wet, opened, shut = None, False, True
        if "water" in self._fitted:
            wet = machine.Pin(self._pins["water"], machine.Pin.IN).value() == 1
            self._good.append((_Q_CHAMBER_WATER, int(wet)))
        if "cover" in self._fitted:
            opened = machine.Pin(self._pins["cover"], machine.Pin.IN).value() == 1
            shut = not opened
        if "tilt" in self._fitted:
            tenths = self._tilt()
            most = 10 * self._get("cover_deg", 15)
            if tenths is not None:
                self._good.append((_Q_COVER_TILT, tenths))
                if most:
                    opened = opened or tenths >= most
                    shut = shut and 5 * tenths < 4 * most
        if "cover" in self._fitted or "tilt" in self._fitted:
            self._good.append((_Q_COVER_OPEN, int(opened)))
        return wet, opened, shut

    def _tilt(self) -> "int | None":
        from node.sense import angle, tilt

        try:
            sensor = tilt.Tilt(self._pins["scl"], self._pins["sda"])
            looks = _LOOKS if sensor.moved() else 1
            tenths = 0
            for i in range(looks):
                if i:
                    time.sleep_ms(_LOOK_MS)
                felt = sensor.read()
                upright = tilt.upright(self._get("cover_zero", 0), felt)
                tenths = max(tenths, angle.between(upright, felt))
            sensor.arm(self._get("move_mg", 250))
        except OSError:
            self._broken = True
            return None
        return tenths

    def _rained(self) -> "int | None":
        # Tenths of a millimetre an hour.
        if self._rain is None:
            return None
        tip = self._get("tip_um", 200)
        self._good.append((_Q_RAIN, self._rain.tips() * tip // 100))
        return self._rain.rate(self._now) * tip // 100

    def _limits(self) -> plausible.Limits:
        get = self._get
        return plausible.Limits(
            get("jump_mm_h", 3000), get("jump_samples", 3), get("noise_mm", 20),
            get("rise_window_s", 600), get("stuck_s", 43200), get("still_mm", 3),
        )  # fmt: skip

    def _rising(self, level: int, rise: int, high: int) -> None:
        values = [(_Q_LEVEL_RATE, rise)]
        most = self._get("rise_mm_h", 0)
        self._watch(
            _E_LEVEL_RISE, bool(most) and rise >= most, 2 * rise < most or not most, values
        )
        back = high - self._get("level_back_mm", 50)
        self._watch(_E_LEVEL_HIGH, bool(high) and level >= high, level <= back or not high, values)

    def _limit(self, code: int, value: "int | None", name: str, most: int) -> None:
        if not most or name not in self._fitted or not self._get("gas_s", 3600):
            self._watch(code, False, True)  # what is on is over: nobody will see its end
        elif value is not None:
            self._watch(code, value >= most, 10 * value < 8 * most)

    def _line(self, code: int, name: str, beyond: bool, back: bool) -> None:
        # One that flaps is one event, not one for each time that it wakes the node.
        hold, back_s = self._get(name + "_s", 0), self._get(name + "_back_s", _BACK_S)
        self._events.watch(code, beyond, back, hold, self._now, self._quality, (), back_s)

    def _watch(self, code: int, beyond: bool, back: bool, values=()) -> None:
        self._events.watch(code, beyond, back, 0, self._now, self._quality, values)

    def _weather(self, doubtful: bool, level: int, rise: "int | None", high: int) -> None:
        # quiet, rising or storm: at once upwards, downwards once it was calmer for a while.
        on = self._events.on
        most = self._get("rise_mm_h", 0)
        mode, since, _ = self._state.get("mode", (_QUIET, 0, 0))
        want = _QUIET
        if on(_E_LEVEL_RISE) or on(_E_LEVEL_HIGH) or on(_E_HEAVY_RAIN):
            want = _STORM
        elif (
            (most and rise is not None and 2 * rise >= most)
            or (high and 4 * level >= 3 * high)
            or (self._rain is not None and self._rain.dry_for(self._now) < _WET_S)
        ):
            want = _RISING
        if want == mode:
            since = self._now
        elif want > mode or self._now - since >= self._get("calm_s", 1800):
            mode, since = want, self._now
            self._record([(_Q_SAMPLING, mode)], self._quality)
        self._state.set("mode", [mode, since, int(doubtful)])
