"""A gas meter's safety monitoring: what is watched, how far and for how long, and what closes.

Loaded at each look: at a full hour, when pulses or a contact woke the node, before a command.
Flow is judged by the register between two looks. A pulse of `litres_per_pulse` may have been about
to come or have just come at either end, so "at least" counts one pulse less and "below" one more.
"""

import machine
from micropython import const

from node.events import Events
from node.sense.analog import AnalogInput

_Q_GAS_VOLUME = const(1)
_Q_GAS_FLOW = const(8)  # wire/quantity.py
_Q_GAS_CONCENTRATION = const(10)
_Q_VALVE = const(11)
_Q_TILT = const(20)
_Q_BATTERY_VOLTAGE = const(100)
_E_LEAK = const(1)
_E_OVER_FLOW = const(2)
_E_LONG_USE = const(3)
_E_BURST = const(4)
_E_NO_USE = const(5)
_E_GAS = const(6)
_E_TILT = const(7)
_E_EARTHQUAKE = const(8)
_E_BATTERY_LOW = const(9)
_E_COVER = const(10)
_E_SENSOR_FAULT = const(23)
_HOUR = const(3600)
_DAY = const(86400)
_ADC_UV = const(3_000_000)  # at `battery_full_mv`
_SOON = const(5)  # pulses at the limit: enough to tell
_HEAD = const(6)  # values in front of the watches: see `_flow`
# The gas sensor's signal in permille of its span: below 3.6 mA of 4-20 mA the wire is cut
# (NAMUR NE 43), from 3.8 mA on it is whole again.
_CUT = const(-25)
_WHOLE = const(-12)
_AT_ONCE = const(2)  # of RTC `urgent`: no bound on contacts holds it back, see cycle.py


class GasSafety:
    """RTC `saf`: the flow's anchors, `look`: when a time runs out that began in this one, `high`:
    lines that the last look saw high."""

    def __init__(self, config: dict, state, journal) -> None:
        self._config = config
        self._state = state
        self._journal = journal
        self._events = Events(state, journal)
        self._now = 0
        self._quality = 0
        self._again = 0
        self._pulse = False
        self._close = 0  # the event to close for

    def look(self, now: int, quality: int, pulse: bool, button: bool) -> None:
        """Judge what is watched, and move the valve where that says so.

        `pulse`: gas flows, and only that is judged, since the other inputs cost time. `button`: it
        may have called.
        """
        self._now, self._quality, self._close = now, quality, 0
        self._pulse = pulse
        again = self._state.get("look", 0)
        passed = again <= now  # a pulse came just when it was to look
        self._again = again if pulse and not passed else 0
        high = self._high()
        if not pulse or high or (again and passed):
            self._inputs()
        self._state.set("high", high)  # read first: one that rose since then wakes the node
        self._flow()
        self._state.set("look", self._again)
        if self._close:
            self._state.set("urgent", _AT_ONCE)
        valve = self.valve()
        if valve is None:
            return
        if self._close and valve.wanted() != self._close:
            valve.close(self._close, now, quality)
        else:
            valve.settle(now, quality)
        valve.release()
        if button:
            valve.pressed(quality)

    def start(self) -> None:
        """Power came back: finish closing before a network tells the time."""
        valve = self.valve()
        if valve is not None:
            valve.finish()

    def command(self, code: int, arguments: list, now: int) -> tuple:
        """(result, detail) of VALVE_CLOSE, VALVE_ARM and READ_NOW."""
        from node.wire import command, uplink

        quality = uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED
        if code == command.READ_NOW:
            if arguments:
                return command.BAD_ARGUMENTS, 0
            return command.DONE, self._read(uplink, now, quality)
        valve = self.valve() if code in (command.VALVE_CLOSE, command.VALVE_ARM) else None
        if valve is None:
            return command.NOT_MINE, 0
        self._now, self._quality = now, quality
        self._inputs()  # what is dangerous now, not at the last full hour
        return valve.command(code, arguments, now, quality)

    def _read(self, uplink, now: int, quality: int) -> int:
        litres = self._state.get("pulses", 0) * self._config["litres_per_pulse"]
        values = [(_Q_GAS_VOLUME, litres % 10 ** self._config["register_digits"])]
        valve = self.valve()
        if valve is not None:
            values.append((_Q_VALVE, valve.where()))
        return self._journal().append(uplink.encode_body(now, quality, values), 1)

    def callers(self) -> list:
        """Pins whose going high ends deep sleep. One that the last look saw high wakes nobody: it
        is looked at every full hour until it is low again. One that rose since then does, at once.
        """
        seen = self._state.get("high", 0)
        return [pin for n, pin in self._contacts() if not (pin.value() and seen >> n & 1)]

    def calling(self) -> bool:
        """Whether a contact is closed and the button is not pressed."""
        button = self._config["pins"].get("button")
        if button is not None and machine.Pin(button, machine.Pin.IN).value():
            return False
        return self._high() != 0

    def _high(self) -> int:
        # A bit for each line that is.
        high = 0
        for n, pin in self._contacts():
            if pin.value():
                high |= 1 << n
        return high

    def _contacts(self) -> list:
        pins, pin = self._config["pins"], machine.Pin
        return [
            (n, pin(pins[name], pin.IN, pin.PULL_DOWN))
            for n, name in enumerate(("cover", "gas_call", "shock"))
            if name in pins
        ]

    def valve(self):
        """The GasValve, None where the board has none."""
        if "valve_close" not in self._config["pins"]:
            return None
        from node.roles.gas_valve import GasValve

        return GasValve(self._config, self._state, self._journal)

    def _inputs(self) -> None:
        config = self._config
        pins = config["pins"]
        fault = False
        limit = config["gas_permille"]
        if "gas" in pins and limit:
            value = AnalogInput(pins["gas"], config["gas_low_uv"], config["gas_high_uv"], 1000)
            level = value.read()
            fault = level < (_WHOLE if self._events.on(_E_SENSOR_FAULT) else _CUT)
            if fault:  # that is not to say that there is no gas
                self._watch(_E_GAS, False, False, 0, 0, ())
            else:
                level = max(level, 0)
                values = [(_Q_GAS_CONCENTRATION, level)]
                back = level < config["gas_back_permille"]
                self._watch(_E_GAS, level >= limit, back, config["gas_s"], 0, values)
        else:
            self._unwatched(_E_GAS)
        limit = config["battery_low_mv"]
        if "battery" in pins and limit:
            level = AnalogInput(pins["battery"], 0, _ADC_UV, config["battery_full_mv"]).read()
            values = [(_Q_BATTERY_VOLTAGE, level)]
            back = level >= config["battery_back_mv"]
            self._watch(_E_BATTERY_LOW, level < limit, back, config["battery_s"], 0, values)
        else:
            self._unwatched(_E_BATTERY_LOW)
        if "sda" in pins and (config["tilt_ddeg"] or config["quake_mg"]):
            fault = not self._motion() or fault
        else:
            self._unwatched(_E_TILT)
            self._unwatched(_E_EARTHQUAKE)
        if fault != self._events.on(_E_SENSOR_FAULT):
            self._tell(_E_SENSOR_FAULT, fault, ())
        if "cover" in pins and config["cover_s"]:
            up = machine.Pin(pins["cover"], machine.Pin.IN, machine.Pin.PULL_DOWN).value()
            hold, back_s = config["cover_s"], config["cover_back_s"]
            self._watch(_E_COVER, up == 1, up == 0, hold, back_s, ())
        else:
            self._unwatched(_E_COVER)

    def _motion(self) -> bool:
        # Whether the accelerometer answers.
        from node.roles import gas_motion

        config = self._config
        try:
            askew, quake = gas_motion.feel(config, self._events.on(_E_EARTHQUAKE))
        except OSError:  # that is not a danger
            return False
        values = [(_Q_TILT, askew)]
        limit = config["tilt_ddeg"]
        if limit:
            back = askew < config["tilt_back_ddeg"]
            self._watch(_E_TILT, askew >= limit, back, config["tilt_s"], 0, values)
        else:
            self._unwatched(_E_TILT)
        if config["quake_mg"]:
            self._watch(_E_EARTHQUAKE, quake, not quake, 0, config["quake_back_s"], ())
        else:
            self._unwatched(_E_EARTHQUAKE)
        return True

    def _unwatched(self, code: int) -> None:
        # Whatever is on is over: nobody will see its end, and it may lock the valve.
        self._watch(code, False, True, 0, 0, ())

    def _watch(self, code: int, beyond: bool, back: bool, hold: int, back_s: int, values) -> None:
        # As Events.watch, with a time for the way back as well, and noting when to look again.
        since = self._state.get("since", {})
        on = self._events.on(code)
        if on:
            beyond, hold = back, back_s
        if not beyond:
            since.pop(code, None)
        elif hold and self._now - since.setdefault(code, self._now) < hold:
            self._look_at(since[code] + hold)
        else:
            since.pop(code, None)
            self._tell(code, not on, values)
        self._state.set("since", since)

    def _look_at(self, at: int) -> None:
        if at > self._now and (not self._again or at < self._again):
            self._again = at

    def _tell(self, code: int, begins: bool, values) -> None:
        if not begins:
            self._events.end(code, self._now, self._quality, values)
            return
        self._events.begin(code, self._now, self._quality, values)
        if code in self._config["close_on"]:  # whether or not the journal had room for it
            self._close = code

    def _flow(self) -> None:
        # `saf`: time and volume of the last look, when gas was last seen to flow, time and volume
        # of the last full hour, the mean flow of the hour before; then for each watch the time and
        # volume from which its flow is counted, and since when it has been at its limit, or 0.
        config, now = self._config, self._now
        pulse = config["litres_per_pulse"]
        volume = self._state.get("pulses", 0) * pulse
        saf = self._state.get("saf")
        if not saf or volume < saf[1] or now < saf[0]:  # power was lost, or a clock was set back
            saf = [now, volume, now, now, volume, 0] + [now, volume, 0] * 4
        if volume > saf[1]:
            saf[2] = now
        saf[0], saf[1] = now, volume
        burst = config["burst_l_h"]
        at = _HEAD
        for code, limit, hold in (
            (_E_LEAK, config["leak_l_h"], config["leak_s"]),
            (_E_LONG_USE, config["long_use_l_h"], config["long_use_s"]),
            (_E_OVER_FLOW, config["over_flow_l_h"], config["over_flow_s"]),
            (_E_BURST, burst and burst + saf[5], config["burst_s"]),
        ):
            if limit:
                self._judge(saf, at, code, limit, hold, pulse)
            else:
                self._unwatched(code)
                saf[at], saf[at + 1], saf[at + 2] = now, volume, 0
            at += 3
        if now - saf[3] >= _HOUR:
            saf[5] = (volume - saf[4]) * _HOUR // (now - saf[3])
            saf[3], saf[4] = now, volume
        days = config["no_use_d"]
        if days:
            idle = now - saf[2] >= days * _DAY
            if idle != self._events.on(_E_NO_USE):
                self._tell(_E_NO_USE, idle, ())
        else:
            self._unwatched(_E_NO_USE)
        self._state.set("saf", saf)

    def _judge(self, saf: list, at: int, code: int, limit: int, hold: int, pulse: int) -> None:
        now, volume = saf[0], saf[1]
        passed, came = now - saf[at], volume - saf[at + 1]
        on = self._events.on(code)
        if on:
            limit = limit * self._config["flow_back_percent"] // 100
        # Since the look that saw the newest pulse less than another one came.
        still = pulse * _HOUR - limit * (now - saf[2])
        if passed > 0 and (came - pulse) * _HOUR >= limit * passed:
            if not saf[at + 2]:
                saf[at + 2] = saf[at]
            saf[at], saf[at + 1] = now, volume
        elif min((came + pulse) * _HOUR - limit * passed, still) < 0:
            if self._pulse and hold < _HOUR and 4 * came * _HOUR < limit * passed:
                # Gas flows since nobody knows when, and so nobody knows how much: see soon.
                self._look_at(now + _SOON * pulse * _HOUR // limit)
            saf[at], saf[at + 1], saf[at + 2] = now, volume, 0
        since = saf[at + 2]
        if not since:
            if on:
                self._tell(code, False, ())
        elif now - since < hold:
            if hold < _HOUR:
                self._look_at(since + hold)
        elif not on and saf[at] == now:
            self._tell(code, True, [(_Q_GAS_FLOW, came * _HOUR // passed)])
