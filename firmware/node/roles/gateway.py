"""A gateway: polls meters and sensors on its RS-485 line, each once in a slot of time.

A device that answers nothing costs the others little: it is asked last, once instead of `tries`
times, and ever more rarely.
"""

import time

from micropython import const

from node import clock
from node.errors import ConfigError, JournalError
from node.events import Events
from node.modules import forget
from node.roles.grid import Grid
from node.wire import uplink

_Q_SUB_DEVICE = const(99)  # wire/quantity.py: which device the record is of stands first
_E_DEVICE_SILENT = const(60)
_E_BUS_FAULT = const(61)
_EVENT = const(1000)
_ALARM = const(2)  # store/journal.py
_READ_NOW = const(3)  # wire/command.py
_SCAN = const(13)
_PASS = const(14)
_PASS_S = const(600)  # within so long a session has begun and is over
_DONE, _BAD_ARGUMENTS, _NOT_MINE = const(0), const(5), const(7)
_PART = const(250)  # ms of each second of `awake_s` that polling may take in one cycle
# One text: each name of a list would stay in the heap.
_FORGOTTEN = (
    "node.passing node.sense.subdevice node.sense.bus"
    " node.wire.modbus node.wire.dlt645 node.wire.cjt188"
)


class Gateway:
    """Mains powered: a device may be asked at any time. `devices` is the configuration's."""

    mains = True

    def __init__(
        self, config: dict, state, journal, kept=None, key: str = "slot", mute: tuple = ()
    ) -> None:
        self._config = config
        self._devices = config["devices"]
        self._state = state
        self._journal = journal
        self._grid = Grid(config["sample_s"], state, journal, key)
        self._events = Events(state, journal)
        # By number: polls in a row without an answer; not asked before, in s since 1970.
        self._misses, self._later = mute or ({}, {})
        self._left: list = []  # who is still to be asked in this slot
        self._asked = False  # the fleet wants to know now
        self._search: "object | None" = None
        # (seconds, baud, parity) for which a master station has the line, and when it is over.
        self.session: "tuple | None" = None
        self._until = 0
        self._beats = None
        if kept is not None:
            self._misses, self._later, self._left, self._asked = kept[:4]
            self._search, self.session, self._until, self._beats = kept[4:]

    def leave(self) -> tuple:
        """The devices can wait; who waits for what stays known."""
        return (
            self._misses, self._later, self._left, self._asked,
            self._search, self.session, self._until, self._beats,
        )  # fmt: skip

    def start(self, beats) -> None:
        """Beat (node/heartbeats.py) with each poll that comes to its end."""
        self._beats = beats
        beats.expect("poll", 2000 * (self._config["sample_s"] + self._config["awake_s"]))

    async def converse(self, door, left_ms: int) -> None:
        """The session, over an open door that carries frames, for `left_ms` at most."""
        session, self.session = self.session, None
        if session is None or not hasattr(door, "hear"):
            return
        left_s = self._until - clock.now()
        if not 0 < left_s <= _PASS_S:
            return  # nobody waits for it any more
        left_ms = min(left_ms, left_s * 1000)
        from node import passing

        try:
            await passing.serve(door, self._config["pins"], session, left_ms)
        finally:
            forget(_FORGOTTEN)

    async def poll(self, now: int) -> None:
        """Ask who is due, as far as a quarter of the wake's cap goes; what is left comes next."""
        if clock.is_set() and self._due(now):
            await self._round(now)
        if self._beats is not None:
            self._beats.beat("poll")

    async def _round(self, now: int) -> None:
        from node.sense.bus import Bus

        until = time.ticks_add(time.ticks_ms(), self._config["awake_s"] * _PART)
        bus = Bus(self._config["pins"])
        try:
            if self._search is not None:
                await self._look(self._search, bus, until)
            if not self._left and (self._asked or self._grid.open(now)):
                self._asked = False
                self._grid.taken(now)
                self._left = self._order(now)
            while self._left and time.ticks_diff(until, time.ticks_ms()) > 0:
                await self._ask(bus, self._left.pop(0))
            if not self._left:
                self._judge(clock.now())
        finally:
            bus.close()
            forget(_FORGOTTEN)

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Nothing but what `poll` does."""

    def due(self, now: int) -> int:
        """Now, while somebody is to be asked; else the next slot."""
        return now if self._due(now) else self._grid.next(now)

    def called(self) -> bool:
        """Never: a device only answers."""
        return False

    def arm(self) -> None:
        """Nothing ends a deep sleep that never comes."""

    def command(self, code: int, arguments: list, now: int) -> "tuple[int, int]":
        """READ_NOW polls all at once; SCAN [protocol, baud, first, last] searches the line; PASS
        [seconds, baud, parity] lets a master station ask over the door.
        """
        if code == _READ_NOW:
            self._asked = True
            self._later.clear()
            return _DONE, 0
        if code == _PASS:
            if len(arguments) != 3 or not 10 <= arguments[0] <= _PASS_S:
                return _BAD_ARGUMENTS, 0
            if not 1200 <= arguments[1] <= 115200 or not 0 <= arguments[2] <= 2:
                return _BAD_ARGUMENTS, 0
            self.session = tuple(arguments)  # begins with the contact that tells this result
            self._until = now + _PASS_S
            return _DONE, 0
        if code == _SCAN:
            from node.sense.search import Search

            try:
                self._search = Search(arguments)
            except ValueError:
                return _BAD_ARGUMENTS, 0
            return _DONE, 0
        return _NOT_MINE, 0

    def _due(self, now: int) -> bool:
        if self._search is not None or self._left:
            return True
        return bool(self._devices) and (self._asked or self._grid.open(now))

    def _order(self, now: int) -> list:
        # Who answered lately comes first; who did not for long may not be asked at all yet.
        most = self._config["backoff_most_s"]
        ready = [d for d in self._devices if not 0 < self._later.get(d[0], 0) - now <= most]
        ready.sort(key=lambda device: self._misses.get(device[0], 0))
        return ready

    async def _ask(self, bus, device: list) -> None:
        from node.sense import subdevice
        from node.sense.bus import BusTimeout

        number = device[0]
        missed = self._misses.get(number, 0)
        tries = 1 if missed >= self._config["silent_polls"] else 0
        found = None
        try:
            profile = subdevice.profile(device[1])
            baud = device[3] if len(device) > 3 else 0
            found = await subdevice.values(bus, profile, device[2], baud, tries)
        except ConfigError as e:
            self._state.set("error", e.code)  # no such profile: to the fleet it is silent
        except (BusTimeout, ValueError):
            pass
        now = clock.now()
        if found is None:
            self._misses[number] = missed + 1
            over = missed + 1 - self._config["silent_polls"]
            if over >= 0:
                wait = self._config["sample_s"] << min(over, 10)
                self._later[number] = now + min(wait, self._config["backoff_most_s"])
            return
        self._misses[number] = 0
        self._later.pop(number, None)
        if found:
            self._keep(number, found, now, 0)

    def _judge(self, now: int) -> None:
        # What this round says of the line and of each device: after it, since one fault of the
        # line must not look like one of every device.
        least = self._config["silent_polls"]
        numbers = [device[0] for device in self._devices]
        silent = [n for n in numbers if self._misses.get(n, 0) >= least]
        heard = [n for n in numbers if self._misses.get(n, 1) == 0]
        if len(silent) > 1 and len(silent) == len(numbers):
            self._events.begin(_E_BUS_FAULT, now, self._quality())
        elif heard and self._events.end(_E_BUS_FAULT, now, self._quality()):
            # The others were silent with the line: each has one more poll to show itself.
            self._later.clear()
            for number in silent:
                self._misses[number] = least - 1
            silent = []
        mute = list(self._state.get("hush", ()))
        if not self._events.on(_E_BUS_FAULT):
            for number in silent:
                if number not in mute:
                    self._keep(number, [(_EVENT + _E_DEVICE_SILENT, 1)], now, _ALARM)
                    self._state.set("urgent", 1)
                    mute.append(number)
        for number in [n for n in mute if n in heard or n not in numbers]:
            self._keep(number, [(_EVENT + _E_DEVICE_SILENT, 0)], now, _ALARM)
            mute.remove(number)
        if mute != list(self._state.get("hush", ())):
            self._state.set("evd", 1)
        self._state.set("hush", mute)

    def _quality(self) -> int:
        return uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED

    def _keep(self, number: int, values: list, now: int, priority: int) -> None:
        values = [(_Q_SUB_DEVICE, number)] + values
        body = uplink.encode_body(now, self._quality(), values)
        try:
            self._journal().append(body, priority)
        except JournalError as e:
            self._state.set("error", e.code)  # counted as dropped; the contact makes room

    async def _look(self, search, bus, until) -> None:
        # A search goes on over several cycles; what it found is recorded as it comes.
        for values in await search.go(bus, until):
            body = uplink.encode_body(clock.now(), self._quality(), values)
            try:
                self._journal().append(body, 1)
            except JournalError as e:
                self._state.set("error", e.code)
        if search.done:
            self._search = None
            forget("node.sense.search")
            self._state.set("urgent", 2)  # somebody waits for it
