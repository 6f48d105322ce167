"""A gas meter's valve, its button and its clock on CPython, under the firmware's own modules.

Every write of NVS, RTC memory, journal and pins, and every 10 ms of a running motor, is a step at
which the power may fail.
"""

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import esp32
from firmware_modules import forget, restored
from numbers_rig import Fuse, PowerCut, Rtc

from fleet.wire import cbor

START_MS = 1_795_411_856_000
NODE = "1gntj14d2p"
KEY = bytes(range(32))
PINS = {"button": 6, "valve_open": 38, "valve_close": 39, "valve_opened": 40, "valve_closed": 41}
OPENED_UP, SHUT = 0, 1000
_HELD_MS = 3000
_HOLDERS = (
    "clock", "commands", "cycle", "downlink", "events", "power.energy", "sense.analog",
    "sense.valve", "roles.gas_safety", "roles.gas_valve", "config", "log", "store.rtcstate",
    "wire.command",
)  # fmt: skip


class World:
    """What is there without the firmware. `travel_ms` of the motor; `jam` is a position that it
    does not get past, and in which direction, 1 closing, -1 opening. `on_open` is called when the
    motor begins to open it."""

    def __init__(self, travel_ms: int = 300) -> None:
        self.ms = START_MS
        self.travel_ms = travel_ms
        self.position = OPENED_UP
        self.jam: tuple[int, int] | None = None
        self.toward = 0
        self.levels: dict[int, int] = {}
        self.fuse = Fuse()
        self.dead = False
        self.pressed: list[tuple[int, int]] = []  # when the button is down
        self.on_open = lambda: None
        self.runs = {38: 0, 39: 0}
        self.inputs: dict[int, int] = {}
        self.microvolts: dict[int, int] = {}
        self.rtc_time = True

    @property
    def now(self) -> int:
        """Seconds since 1970 UTC."""
        return self.ms // 1000

    def button(self, at_ms: int | None = None) -> bool:
        """Whether it is down."""
        at = self.ms if at_ms is None else at_ms
        return any(begin <= at < end for begin, end in self.pressed)

    def held(self) -> bool:
        """Whether it has been down without a break for three seconds."""
        return any(b <= self.ms - _HELD_MS and self.ms <= e for b, e in self.pressed)

    def step(self) -> None:
        """Power may fail here."""
        try:
            self.fuse.pass_one()
        except PowerCut:
            self.dead = True
            self.toward = 0
            raise

    def sleep(self, ms: int) -> None:
        """Time passes, and the motor runs."""
        if self.dead:
            return
        self.step()
        self.ms += ms
        to = self.position + self.toward * ms * SHUT // self.travel_ms
        if self.jam is not None and self.toward == self.jam[1]:
            at = self.jam[0]
            to = min(to, at) if self.toward > 0 else max(to, at)
        self.position = max(OPENED_UP, min(to, SHUT))

    def write(self, pin: int, level: int) -> None:
        """The firmware sets an output."""
        if self.dead or level == self.levels.get(pin, 0):
            return
        self.step()
        self.levels[pin] = level
        if pin in self.runs:
            self.runs[pin] += level
            self.toward = self.levels.get(39, 0) - self.levels.get(38, 0)
            if self.toward < 0 and level:
                self.on_open()
        self.step()

    def read(self, pin: int) -> int:
        """The firmware reads an input."""
        if pin == PINS["button"]:
            return int(self.button())
        if pin == PINS["valve_opened"]:
            return int(self.position == OPENED_UP)
        if pin == PINS["valve_closed"]:
            return int(self.position == SHUT)
        return self.inputs.get(pin, self.levels.get(pin, 0))

    def boot(self) -> None:
        """Power is back."""
        self.dead = False
        self.toward = 0
        self.levels.clear()
        self.fuse.left = None


class Journal:
    """As LazyJournal with its journal; durable at once, as littlefs makes it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.bodies: list[bytes] = []
        self.full = False
        self.dropped: dict[int, int] = {}

    def __call__(self) -> "Journal":
        return self

    @property
    def last_body(self) -> bytes | None:
        return self.bodies[-1] if self.bodies else None

    @property
    def depth(self) -> int:
        return len(self.bodies)

    def append(self, body: bytes, priority: int = 0) -> int:
        assert 0 < len(body) <= 200
        assert priority in range(3)
        if self.full:
            raise importlib.import_module("node.errors").JournalError("no room")
        self._world.step()
        self.bodies.append(body)
        self._world.step()
        return len(self.bodies)

    def put_away(self) -> None:
        pass

    def records(self) -> list[Any]:
        """[time, quality, quantity, value, ...] of each."""
        return [cbor.decode(body) for body in self.bodies]

    def events(self) -> list[tuple[int, int]]:
        """(event, 1 or 0) in order."""
        found = [(record[2], record[3]) for record in self.records() if record[2] > 1000]
        return [(quantity - 1000, value) for quantity, value in found]

    def results(self) -> list[tuple[int, int, int]]:
        """(item's number, result, detail) in order."""
        return [(r[3], r[5], r[7]) for r in self.records() if r[2] == 900]


def _machine(world: World) -> types.ModuleType:
    machine: Any = types.ModuleType("machine")

    class Pin:
        IN, OUT, PULL_DOWN = 1, 3, 1

        def __init__(self, number: int, mode: int = -1, pull: int = -1, value: Any = None) -> None:
            self.number = number
            if value is not None:
                world.write(number, value)

        def value(self, level: int | None = None) -> int:
            if level is None:
                return world.read(self.number)
            world.write(self.number, level)
            return level

    class ADC:
        ATTN_11DB = 3

        def __init__(self, pin: Pin, atten: int = 0) -> None:
            self._number = pin.number

        def read_uv(self) -> int:
            return world.microvolts.get(self._number, 0)

    machine.Pin, machine.ADC = Pin, ADC
    machine.EXT0_WAKE, machine.EXT1_WAKE, machine.TIMER_WAKE, machine.ULP_WAKE = 2, 3, 4, 6
    machine.SOFT_RESET = 5
    machine.reset_cause = lambda: 1
    return machine


def _time(world: World) -> types.ModuleType:
    time: Any = types.ModuleType("time")
    time.sleep_ms = world.sleep
    time.ticks_ms = lambda: world.ms
    time.ticks_diff = lambda a, b: a - b
    return time


class Modules:
    """The firmware's modules over a world. `forget` does nothing: they stay loaded."""

    def __init__(self, world: World) -> None:
        self.machine = _machine(world)
        sys.modules["machine"] = self.machine
        forget(*_HOLDERS)
        load = importlib.import_module
        self.modules = load("node.modules")
        self._forget = self.modules.forget
        self.modules.forget = lambda name: None
        for name in _HOLDERS:
            setattr(self, name.rpartition(".")[2], load(f"node.{name}"))
        self.rtcstate = load("node.store.rtcstate")
        self.schema = load("node.schema")
        for module in (self.valve, self.gas_valve, self.energy):  # type: ignore[attr-defined]
            module.time = _time(world)
        self.commands.gc = types.SimpleNamespace(  # type: ignore[attr-defined]
            collect=lambda: None, mem_free=lambda: 50_000
        )
        clock: Any = self.clock  # type: ignore[attr-defined]
        clock.now = lambda: world.now if world.rtc_time else 946_684_800 + world.ms % 1000
        clock.is_set = lambda: world.rtc_time

    def __getattr__(self, name: str) -> Any:  # for who reads: the modules by their last name
        raise AttributeError(name)

    def leave(self) -> None:
        """Undo it."""
        self.modules.forget = self._forget


@contextmanager
def firmware(world: World) -> Iterator[Modules]:
    """The modules, and those of other tests back afterwards."""
    flash, esp32.flash = esp32.flash, esp32.Flash()
    esp32.flash.fuse = world.fuse
    with restored():
        modules = Modules(world)
        forget("timekeeping")  # another test's clock is in it
        try:
            yield modules
        finally:
            modules.leave()
            esp32.flash = flash


class Meter:
    """A node over a world: its flash and RTC memory outlive `boot`, all else does not."""

    def __init__(self, world: World, modules: Modules, **config: Any) -> None:
        self.world = world
        self.modules = modules
        base = {
            "node": NODE, "role": "gas-meter", "modem": "bc660k", "host": "h", "port": 1,
            "pins": PINS, "valve_drive_s": 2,
        }  # fmt: skip
        self.config = modules.schema.check({**base, **config})
        esp32.flash.kept["hmac"] = KEY
        self.rtc = Rtc(world.fuse)
        self.journal = Journal(world)
        self.state: Any = None
        self.cycle: Any = None
        self.boot()

    def boot(self, rtc_kept: bool = False, sure: bool = True) -> None:
        """A reset, and what its first contact learns: the time, unless the network tells none."""
        self.world.boot()
        esp32.flash.reset()
        esp32.flash.fuse = self.world.fuse
        if not rtc_kept:
            self.rtc.data = b""
        self.state = self.modules.rtcstate.RtcState(self.rtc)
        self.state.load()
        if not rtc_kept or self.state.get("clock_sure") is None:
            self.state.set("clock_sure", int(sure))
            self.state.set("pulses", 0)
        self.cycle = self.modules.cycle.Cycle(self.config, self.state, self.journal, self, None)

    def start(self) -> None:
        """What a boot does before it knows the time, and the recovery of a command."""
        self.safety().start()
        self.cycle._standing()

    def safety(self) -> Any:
        """A new GasSafety, as the role makes one for each look."""
        return self.modules.gas_safety.GasSafety(self.config, self.state, self.journal)

    def valve(self) -> Any:
        """A new GasValve."""
        return self.safety().valve()

    def look(self, *, pulse: bool = False, button: bool = False) -> None:
        """One look of the safety monitoring, and the end of its wake."""
        self.safety().look(self.world.now, 0, pulse, button)
        self.state.save()

    def command(self, code: int, arguments: list[int], now: int) -> tuple[int, int]:
        """As the role's."""
        found: tuple[int, int] = self.safety().command(code, arguments, now)
        return found

    def deliver(self, *items: tuple[int, bytes]) -> None:
        """Commands come in a contact, (number, payload); then the wake ends."""
        self.cycle._obey([[number, 3, payload] for number, payload in items])
        self.state.save()
