"""A gas meter on CPython that lives for years: the firmware's own role, register and contacts over
the interpreted ULP program, NVS's page model and a wheel; its power may fail at any operation.
"""

import contextlib
import importlib
import struct
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from firmware_modules import forget, restored

from hil.virtual.clock import VirtualClock
from hil.virtual.nvs import Nvs
from hil.virtual.nvs_pages import PAGE, NvsPages
from hil.virtual.ulp import Ulp

SECOND = 1_000_000
A, B, PFAIL = 4, 10, 14
NVS_SIZE = 0x4000  # hw/partitions
AROUND = [(0, 0), (1, 0), (1, 1), (0, 1)]  # the contacts by quarters of a turn
SPACE = "kapok"
# What else lies in a node's NVS, bytes: so much room is not free to wear.
PROVISIONED = {
    "cfg": 700,
    "key": 121,
    "cert": 480,
    "ca": 450,
    "key2": 121,
    "csr2": 300,
    "hmac": 32,
}
REGISTER = "<BBBBHHHHHBIIII"  # as in firmware/node/store/register.py
_Q, _FORWARD = 0x5000_020C, 0x5000_0210  # of ulp/reeds.s
_EPOCH_2000 = 946_684_800


class PowerCut(Exception):
    """The CPU stops here."""


class Asleep(Exception):
    """machine.deepsleep."""


class PagedNvs(Nvs):
    """NVS in memory: each write may be the last one, and erases are counted by page."""

    def __init__(self, operation: Callable[[], None]) -> None:
        super().__init__(Path("nowhere"))
        self.raw = bytearray(b"\xff" * NVS_SIZE)
        self.erases: Counter[int] = Counter()
        self._operation = operation

    def cut(self) -> None:
        """What the flash holds is all that is left."""
        self.reset()
        self._pages = None
        self.boot()

    def _open(self) -> NvsPages:
        if self._pages is None:
            self._pages = NvsPages(bytes(self.raw), self._write_flash)
        return self._pages

    def _write_flash(self, offset: int, data: bytes) -> None:
        self._operation()
        self.raw[offset : offset + len(data)] = data
        if len(data) == PAGE:
            self.erases[offset // PAGE] += 1


class Journal:
    """As LazyJournal with its journal, in memory: an append is atomic."""

    def __init__(self, operation: Callable[[], None]) -> None:
        self.bodies: list[bytes] = []
        self._operation = operation

    def __call__(self) -> "Journal":
        return self

    @property
    def next_sequence(self) -> int:
        return len(self.bodies) + 1

    def append(self, body: bytes, priority: int = 0) -> int:
        self._operation()
        self.bodies.append(body)
        self._operation()
        return len(self.bodies)


class Meter:
    """One meter. `turned` are the quarters that its wheel went; `warned` says whether the supply's
    failing is seen. `wrong_s`: by how much the node's clock is ahead. `operations` left until
    `on_operation` is called."""

    def __init__(self, start_s: int, config: dict[str, int], *, warned: bool) -> None:
        self.clock = VirtualClock(start_s * SECOND, lambda: 0.0)
        self.levels = {A: 0, B: 0, PFAIL: 0}
        self.ulp = Ulp(
            "esp32s3", self.clock, self.levels.__getitem__, lambda: self.asleep, self._called
        )
        self.asleep = self.called = False
        self.turned = 0
        self.wrong_s = 0
        self.left = 0
        self.on_operation: Callable[[], None] = lambda: None
        self.nvs = PagedNvs(self._operation)
        self.nvs.locate(0, NVS_SIZE)
        for key, size in PROVISIONED.items():
            self.nvs.set_blob(SPACE, key, bytes(size))
        self.nvs.erases.clear()
        self.journal = Journal(self._operation)
        self.memory = b""
        pins = {"pulse": A, "pulse2": B} | ({"pfail": PFAIL} if warned else {})
        self.config: dict[str, Any] = {**config, "pins": pins}
        self._irq: Callable[[object], None] | None = None

    def __enter__(self) -> "Meter":
        self._context = _installed(self._stand_ins())
        self._context.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._context.__exit__(None, None, None)

    @property
    def pulses(self) -> int:
        """What the register must have counted: the first closing of the first contact is one."""
        return (self.turned + 3) // 4

    def turn(self) -> None:
        """The wheel goes on by a quarter."""
        self.turned += 1
        for pin, level in zip((A, B), AROUND[self.turned % 4], strict=True):
            self.levels[pin] = level
        self.ulp.kick()

    def run(self, us: int) -> None:
        """So much time passes for the ULP."""
        end = self.clock.now_us + us
        while (head := self.clock.board.head()) is not None and head[0] <= end:
            self.clock.advance(head[0])
            self.clock.fire_due()
        self.clock.advance(end)

    def wake(self) -> Any:
        """A boot, up to the next sleep; the role. PowerCut where it comes to that."""
        self.asleep = self.called = False
        self._irq = None
        from node.store.rtcstate import RtcState

        state = RtcState(self._rtc)
        state.load()
        state.set("clock_sure", 1)
        try:
            meter = sys.modules["node.roles.gas_meter"]
            role = meter.GasMeter(self.config, state, self.journal)
            now = self.clock.now_us // SECOND + self.wrong_s
            role.sense(now, 4, 0)
            state.save()
            role.arm()
        except Asleep:
            role = None
        self.asleep = True
        self.ulp.kick()
        return role

    def committed(self) -> int:
        """Quarters of a turn that a power cut now would leave of those that were counted."""
        raw = self.nvs.get(SPACE, "reg")
        if not isinstance(raw, bytes):
            return 0
        values = struct.unpack(REGISTER, raw)
        forward = (values[1] << 32 | values[10]) // values[8]
        return _quarters(forward, values[9] >> 4)

    def quarters(self) -> int:
        """Quarters of a turn that were counted, what the ULP has of them included."""
        raw = self.nvs.get(SPACE, "reg")
        assert isinstance(raw, bytes)
        values = struct.unpack(REGISTER, raw)
        fresh = self.ulp.read(_FORWARD) - values[5] & 0xFFFF
        forward = (values[1] << 32 | values[10]) // values[8] + fresh
        return _quarters(forward, self.ulp.read(_Q) & 0xFFFF)

    def fail_supply(self) -> None:
        """The supply's failing is seen, awake or asleep."""
        self.levels[PFAIL] = 1
        if self._irq is not None and not self.asleep:
            self._irq(None)

    def cut(self) -> None:
        """No power: what is not in flash is gone. The wheel stands still until it is back."""
        self.memory = b""
        self.ulp.power_off()
        self.nvs.cut()
        self.levels[PFAIL] = 0
        self.left = 0
        self._irq = None

    def _called(self) -> None:
        self.called = True

    def _operation(self) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                self.on_operation()

    def _rtc(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self._operation()
            self.memory = data
        return self.memory

    def _stand_ins(self) -> dict[str, types.ModuleType]:
        meter = self

        class Memory:
            def __getitem__(self, address: int) -> int:
                meter._operation()
                return meter.ulp.read(address)

            def __setitem__(self, address: int, value: int) -> None:
                meter._operation()
                meter.ulp.write(address, value)

        class Pin:
            IN, IRQ_RISING, PULL_DOWN = 1, 1, 1

            def __init__(self, number: int, *_: int) -> None:
                self._number = number
                meter.ulp.release(number)

            def value(self) -> int:
                return meter.levels[self._number]

            def irq(self, handler: Callable[[object], None], _trigger: int) -> None:
                meter._irq = handler

        class Coprocessor:
            def load_binary(self, address: int, program: bytes) -> None:
                assert meter.ulp.load(address, bytes(program))

            def set_wakeup_period(self, _index: int, period_us: int) -> None:
                meter.ulp.period_us = period_us

            def run(self, entry: int) -> None:
                meter.ulp.start(entry)

        class NvsOf:
            def __init__(self, space: str) -> None:
                self._space = space

            def get_blob(self, key: str, buffer: bytearray) -> int:
                value = meter.nvs.get(self._space, key)
                if not isinstance(value, bytes):
                    raise OSError(-0x1102)
                buffer[: len(value)] = value
                return len(value)

            def set_blob(self, key: str, value: bytes) -> None:
                meter.nvs.write(self._space, key, value)

            def commit(self) -> None:
                meter.nvs.commit(self._space)

        def deepsleep(_ms: int) -> None:
            raise Asleep

        machine = _module(
            "machine", mem32=Memory(), Pin=Pin, deepsleep=deepsleep, EXT0_WAKE=2, EXT1_WAKE=3,
            ULP_WAKE=6, TIMER_WAKE=4, RTC=lambda: types.SimpleNamespace(memory=self._rtc),
        )  # fmt: skip
        esp32 = _module(
            "esp32", ULP=Coprocessor, NVS=NvsOf, mcu_temperature=None, wake_on_ulp=lambda _: None
        )
        safety = _module("node.roles.gas_safety", GasSafety=_Calm)
        return {"machine": machine, "esp32": esp32, "node.roles.gas_safety": safety}


def _quarters(pulses: int, place: int) -> int:
    # A new meter's first quarter is its first pulse: it begins at 7.
    return 4 * pulses + place - 7


class _Calm:
    """Stands for the safety monitoring, which has tests of its own."""

    def __init__(self, *_: object) -> None:
        pass

    def __getattr__(self, _name: str) -> Callable[..., list[object]]:
        return lambda *_: []


def _module(name: str, **names: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    for key, value in names.items():
        setattr(made, key, value)
    return made


_FRESH = (
    "clock", "config", "events", "retry", "sense.reeds", "sense.ulp", "sense.ulpcode",
    "store.register", "roles.gas_meter", "roles.gas_tamper",
)  # fmt: skip


@contextlib.contextmanager
def _installed(stand_ins: dict[str, types.ModuleType]) -> Iterator[None]:
    """The chip's modules are these, and the firmware's are loaded anew, bound to them."""
    with restored():
        forget(*_FRESH)
        sys.modules.update(stand_ins)
        meter = importlib.import_module("node.roles.gas_meter")
        reeds = importlib.import_module("node.sense.reeds")
        sys.modules["node.config"].__dict__["whole"] = dict  # for the safety monitoring
        for module in (meter, reeds):
            module.__dict__["forget"] = lambda name: None
        meter.__dict__["time"] = _module(
            "time", gmtime=lambda seconds: time.gmtime(seconds + _EPOCH_2000)
        )
        yield
