"""A lamppost: follows its dimming plan, watches lamp and pole, measures what the lamp takes, and
asks the devices on its RS-485 line.
"""

from micropython import const

from node import clock
from node.modules import forget
from node.roles.grid import Grid
from node.sense.analog import AnalogInput
from node.wire import uplink

_Q_LAMP_ON = const(3)  # wire/quantity.py
_Q_LAMP_DIM = const(4)
_Q_SUPPLY_VOLTAGE = const(5)
_READ_NOW, _RELAY, _DIM = const(3), const(6), const(7)  # wire/command.py
_IDENTIFY, _SCAN = const(8), const(13)
_DONE, _BAD_ARGUMENTS, _NOT_MINE = const(0), const(5), const(7)
_LONGEST_S = const(604_800)  # of an override
_BLINK_S = const(3600)  # of IDENTIFY, at most
_FULL = const(1000)
_LOW = const(100)  # while it blinks: not off, which would wear the relay
_MOST = const(16)  # values of a record


class Lamppost:
    """Mains powered: it never sleeps deeply, since the lamp must go on burning."""

    mains = True

    def __init__(self, config: dict, state, journal, kept=None) -> None:
        pins = config["pins"]
        self._config = config
        self._state = state
        self._journal = journal
        self._grid = Grid(config["sample_s"], state, journal)
        self._supply = AnalogInput(
            pins["supply"], config["low_uv"], config["high_uv"], config["full_scale"]
        )
        if kept is not None:
            self._lamp, self._planned, self._since, self._until, self._blinks = kept[:5]
            self._wanted_now, self._measured, self._misses, self._asked = kept[5:9]
            self._stale, self._line, self._mute, self._beats = kept[9:]
            return
        if config.get("lamp_driver") == "dali":
            from node.sense.dali import Dali

            address = config.get("dali_address", 255)
            self._lamp = Dali(pins["scl"], pins["sda"], pins["relay"], address)
        else:
            from node.sense.luminaire import Luminaire

            self._lamp = Luminaire(pins["relay"], pins["dim"])
        self._planned = 0  # permille, from _since on; until _until nothing changes
        self._since = self._until = 0
        self._blinks = 0  # until then
        self._wanted_now = False  # a record, slot or none
        self._measured: dict = {}  # by the meter: quantity to value
        self._misses = 0  # of the meter, in a row
        self._asked = 0  # when it was asked last
        self._stale = False  # the lamp was dimmed otherwise since
        self._line = None  # a Gateway, while it has devices to ask
        self._mute: tuple = ({}, {})  # what it knows of those that do not answer
        self._beats = None

    def leave(self) -> tuple:
        """The lamp burns on as it does."""
        return (
            self._lamp, self._planned, self._since, self._until, self._blinks,
            self._wanted_now, self._measured, self._misses, self._asked,
            self._stale, self._line, self._mute, self._beats,
        )  # fmt: skip

    def start(self, beats) -> None:
        """Beat (node/heartbeats.py) with each poll and each look at the lamp that ends."""
        self._beats = beats
        for name in ("poll", "lamp"):
            beats.expect(name, 2000 * (self._config["watch_s"] + self._config["awake_s"]))

    async def poll(self, now: int) -> None:
        """Ask the meter at each look, and in a new slot every other device on the line.

        The lamp comes first: it does not wait for who is slow.
        """
        self._drive(now)
        watch = self._config["watch_s"]
        again = self._stale or self._wanted_now or self._asked // watch != now // watch
        if self._config["meter"] and again:
            self._asked = now
            self._stale = False
            from node.sense import meter

            sure = self._misses < self._config["silent_polls"]
            self._measured = await meter.read(self._config, self._state, sure)
            self._misses = 0 if self._measured else self._misses + 1
            self._drive(clock.now())
        if self._config["devices"] or self._line is not None:
            self._line = self._line or self._open_line()
            await self._line.poll(clock.now())
            if self._line.due(clock.now()) > clock.now():  # nobody is left to ask in this slot
                self._line = None
                forget("node.roles.gateway")
                forget("node.events")
        self._beat("poll")

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Drive the lamp, watch over it and its pole, and record the slot once."""
        self._drive(now)
        from node.roles import pole

        seen = pole.look(self._config, self._measured)
        seen[_Q_SUPPLY_VOLTAGE] = self._supply.read()
        if self._config["meter"]:
            pole.meter(
                self._state,
                self._journal,
                self._misses,
                self._config["silent_polls"],
                now,
                quality,
            )
        pole.judge(self._config, self._state, self._journal, self._lamp, seen, now, quality)
        forget("node.roles.pole")
        forget("node.events")
        self._drive(now)  # what was found may have tripped it
        self._beat("lamp")
        if not self._wanted_now and not self._grid.open(now):
            return
        if self._stale and not self._blinking(now):
            return  # what the meter said belongs to another light: the next cycle asks it first
        self._wanted_now = False
        seen[_Q_LAMP_DIM] = self._lamp.dim
        seen[_Q_LAMP_ON] = 1 if self._lamp.dim else 0
        values = sorted([item for item in seen.items() if item[1] is not None])
        for i in range(0, len(values), _MOST):
            self._journal().append(uplink.encode_body(now, quality, values[i : i + _MOST]))
        self._grid.taken(now)

    def due(self, now: int) -> int:
        """The next slot, look, step of the plan or end of an override, whichever comes first."""
        watch = self._config["watch_s"]
        due = min(self._grid.next(now), now - now % watch + watch)
        forced = self._state.get("lamp")
        for other in (self._until, forced[1] if forced else 0):
            if now < other < due:
                due = other
        if self._blinking(now) or self._wanted_now or self._stale:
            return now + 1
        period = self._config["sample_s"]
        late = self._config["devices"] and self._state.get("dslot", -1) < now // period
        return now if late or self._line is not None else due

    def command(self, code: int, arguments: list, now: int) -> "tuple[int, int]":
        """RELAY, DIM, IDENTIFY, READ_NOW: the detail is the lamp's permille from now on. SCAN."""
        if code == _READ_NOW:
            self._wanted_now = True
            self._state.set("urgent", 2)
            if self._config["devices"]:
                self._line = self._line or self._open_line()
                self._line.command(code, arguments, now)
        elif code == _IDENTIFY and len(arguments) == 1 and 0 <= arguments[0] <= _BLINK_S:
            self._blinks = now + arguments[0]
        elif code in (_RELAY, _DIM):
            if len(arguments) != 2 or not 0 <= arguments[1] <= _LONGEST_S:
                return _BAD_ARGUMENTS, 0
            dim, seconds = arguments
            if not 0 <= dim <= (1 if code == _RELAY else _FULL):
                return _BAD_ARGUMENTS, 0
            if code == _RELAY:
                dim *= _FULL
            if dim:
                self._state.set("trip", 0)
            self._state.set("lamp", [dim, now + seconds])
        elif code == _IDENTIFY:
            return _BAD_ARGUMENTS, 0
        elif code == _SCAN and "bus_tx" in self._config["pins"]:
            self._line = self._line or self._open_line()
            return self._line.command(code, arguments, now)
        else:
            return _NOT_MINE, 0
        self._drive(now)
        return _DONE, self._lamp.dim

    def called(self) -> bool:
        """Never: nothing calls a lamppost."""
        return False

    def arm(self) -> None:
        """Nothing ends a deep sleep that never comes."""

    def _beat(self, name: str) -> None:
        if self._beats is not None:
            self._beats.beat(name)

    def _open_line(self):
        from node.roles.gateway import Gateway

        if self._state.get("dslot") is None:  # the newest record is of the lamp, not of the line
            self._state.set("dslot", -1)
        return Gateway(self._config, self._state, self._journal, None, "dslot", self._mute)

    def _drive(self, now: int) -> None:
        dim = self._wanted(now)
        if dim != self._lamp.dim:
            self._lamp.set(dim)
            self._stale = bool(self._config["meter"])

    def _blinking(self, now: int) -> bool:
        # Not for longer than it may: the clock may have been put back.
        return 0 < self._blinks - now <= _BLINK_S

    def _wanted(self, now: int) -> int:
        # Permille. A street is rather lit by day than dark at night.
        if self._blinking(now):
            return _FULL if now & 1 else _LOW
        if self._state.get("trip"):
            return 0
        forced = self._state.get("lamp")
        if forced:
            if now < forced[1]:
                return forced[0]
            self._state.set("lamp", None)
        if not clock.is_set() or not self._state.get("clock_sure"):
            return _FULL
        if not self._since <= now < self._until:
            self._plan(now)
        return self._planned

    def _plan(self, now: int) -> None:
        # A few times a day: what it takes is in the heap no longer than that.
        from node import lampplan

        self._since = now
        self._planned, self._until = lampplan.planned(self._config, now)
        forget("node.lampplan")
        forget("node.twilight")
