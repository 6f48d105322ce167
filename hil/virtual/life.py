"""The life of a chip: off, booting, awake, asleep, in its ROM loader, and what leads from one to
the other.
"""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

from fleet.errors import Refusal
from hil.virtual.flash_boot import BootFault
from hil.virtual.idle import Idler, Wait
from hil.virtual.peripherals import Peripherals
from hil.virtual.process import Segment
from hil.virtual.rtc import TIMER_WAKE
from hil.virtual.serial_line import SerialLine
from hil.virtual.vmrun import End, VmRun

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
CAUSES = {1: "power-on", 2: "hard", 3: "watchdog", 4: "deep-sleep", 5: "soft"}
# From reset to boot.py: bootloader, image check and MicroPython's start. An estimate; the image
# check alone takes over 200 ms when it is not skipped.
BOOT_US = 250_000
_CRASH_US = 1_000_000  # a crashed chip restarts after so long
_REFUSED_US = 300_000  # until a ROM or bootloader that found nothing tries again
_MOST_EXITS = 5

# Given the cause and whether the ROM tries again: what this boot must know, and what is mapped.
Firmware = Callable[[int, bool], tuple[dict[str, object], Segment]]


class BoardError(Refusal, RuntimeError):
    """The board cannot do what was asked, or cannot go on; one line says why."""


class Life:
    """One chip. `firmware` looks at the flash, and raises BootFault when it cannot boot."""

    def __init__(
        self,
        idler: Idler,
        peripherals: Peripherals,
        firmware: Firmware,
        serial: SerialLine,
        console: Callable[[bytes], None],
        on_change: Callable[[], None],
        fail: Callable[[Exception], None],
        shims: bytes,
        heapsize: str,
    ) -> None:
        self._idler = idler
        self._clock = idler.clock
        self._peripherals = peripherals
        self._firmware = firmware
        self._serial = serial
        self._console = console
        self._on_change = on_change
        self._fail = fail
        self._shims = shims
        self.heapsize = heapsize
        self._state = "off"  # off, boot, awake, asleep, loader
        self.on_state: Callable[[], None] = lambda: None  # told of each change of it
        self.run: VmRun | None = None
        self.boot_us = 0  # when this boot began, by the virtual clock
        self.dipped = False  # this boot's reason is the brown-out detector
        self.boots = 0
        self.wakes = 0
        self.sleeps = 0
        self.crashes = 0
        self.last_crash = ""
        self.requests = 0
        self.base_heap = 0  # bytes of the VM's heap that its shims take, and a chip's would not
        self.resets: Counter[str] = Counter()
        self.programs = 0
        self.erases = 0
        self.arm: tuple[int, str] | None = None  # flash operations until a cut, and its mode
        self.on_sleep: Callable[[], None] = lambda: None
        self.on_off: Callable[[], None] = lambda: None
        self._exits = 0
        self.boot_fault = ""  # what ROM or bootloader said when there was nothing to boot
        self.boot_faults = 0
        self._attempts = 0  # to boot, since the last that went well

    @property
    def state(self) -> str:
        """`off`, `boot`, `awake`, `asleep` or `loader`."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        self._state = state
        self.on_state()

    def power_on(self) -> None:
        """Cold start."""
        self._lose_rtc()
        for uart in self._peripherals.uarts.values():
            uart.twin.power_on()
        self._cold()

    def kill(self) -> None:
        """The power fails now; `state` is off when the process has ended."""
        if self.run is not None:
            self.run.kill(End("killed"))
        elif self.state != "off":
            self._off()

    def reset(self) -> None:
        """A pulse on EN: as a power-on, but for what has power of its own."""
        if self.run is not None:
            self.run.kill_now(End("en"))
        else:
            self._idler.cancel()
            self._en()

    def brown_out(self, us: int) -> None:
        """The brown-out detector holds the chip in reset for so long: RTC memory and clock stay,
        and the cause is a power-on all the same.
        """
        if self.run is not None:
            self.run.kill_now(End("dip", us))
        else:
            self._idler.cancel()
            self._dip(us)

    def halt(self) -> None:
        """The CPU stops at once and the ROM loader takes over, which has the flash from now on."""
        if self.run is not None:
            self.run.kill_now(End("halt"))
        else:
            self._idler.cancel()
            self._loader()

    def _en(self) -> None:
        self._lose_rtc()
        self._cold()

    def _dip(self, us: int) -> None:
        if self._peripherals.ulp is not None:
            self._peripherals.ulp.halt()
        self.boot_fault, self._attempts = "", 0
        self._boot(PWRON_RESET, 0, BOOT_US + us)
        self.dipped = True

    def _lose_rtc(self) -> None:
        self._peripherals.rtc.power_on(self._clock.now_us)
        if self._peripherals.ulp is not None:
            self._peripherals.ulp.power_off()

    def _cold(self) -> None:
        self.boot_fault, self._attempts = "", 0
        self._boot(PWRON_RESET, 0, BOOT_US)

    def _loader(self) -> None:
        self._peripherals.reset()
        self._peripherals.watchdog.reset()
        self._serial.reset()
        self.state = "loader"
        self._on_change()

    def _boot(self, cause: int, wake: int, delay_us: int, *, raw: bool = False) -> None:
        peripherals = self._peripherals
        peripherals.reset()
        peripherals.pins.boot()
        peripherals.rtc.boot()
        self._serial.reset()
        if cause != SOFT_RESET:  # which leaves the watchdog and the ticks alone
            peripherals.watchdog.reset()
            self.boot_us = self._clock.now_us
        self.dipped = False
        self.state = "boot"
        self.boots += 1
        self.resets[CAUSES[cause]] += 1
        until = self._clock.now_us + delay_us
        spawn = partial(self._spawn, cause, wake, raw)
        self._idler.wait(Wait(until, lambda: False, spawn, real=bool(self._attempts)))

    def _spawn(self, cause: int, wake: int, raw: bool) -> None:
        self._idler.attended = False
        try:
            facts, segment = self._firmware(cause, self._attempts > 0)
        except BootFault as e:
            self._refused(e)
            return
        self.boot_fault, self._attempts = "", 0
        hello = facts | {
            "boot_us": self.boot_us,
            "cause": cause,
            "wake": wake,
            "cut": list(self.arm) if self.arm else None,
            "prompt": self._serial.attended,
            "raw": raw,
        }
        try:
            self.run = VmRun(
                self._shims,
                segment,
                self.heapsize,
                self._idler,
                self._peripherals,
                json.dumps(hello).encode(),
                self._serial,
                self._console,
                self._ended,
            )
        except Exception as e:
            self.state = "off"
            self._fail(BoardError(f"the VM does not start: {e}"))
            return
        self.state = "awake"
        self._on_change()

    def _refused(self, fault: BootFault) -> None:
        """Nothing to boot: the ROM's watchdog, or the bootloader, resets the chip, for ever.

        In real time, so that whoever watches has no million of them to read.
        """
        self.boot_fault = str(fault)
        self.boot_faults += 1
        self._attempts += 1
        self._idler.attended = True
        self._boot(WDT_RESET if fault.rom else HARD_RESET, 0, _REFUSED_US)
        self._on_change()

    def _account(self, run: VmRun) -> None:
        self.requests += run.channel.requests
        self.base_heap = run.base_heap or self.base_heap
        self.programs += run.programs
        self.erases += run.erases
        if self.arm is not None:
            left = self.arm[0] - run.programs - run.erases
            self.arm = (max(0, left), self.arm[1])
        if run.crash:
            self.crashes += 1
            self.last_crash = run.crash

    def _ended(self, end: End) -> None:
        run, self.run = self.run, None
        if run is None:
            return
        self._account(run)
        if end.kind != "exit":
            self._exits = 0
        if end.kind == "sleep":
            self._sleep(end.value)
        elif end.kind == "reset":
            self._boot(end.value, 0, BOOT_US, raw=end.raw and end.value == SOFT_RESET)
        elif end.kind == "en":
            self._en()
        elif end.kind == "dip":
            self._dip(end.value)
        elif end.kind == "halt":
            self._loader()
        elif end.kind == "wdt":
            self._boot(WDT_RESET, 0, BOOT_US)
        elif end.kind == "crash":
            self._boot(SOFT_RESET, 0, _CRASH_US)
        elif end.kind == "exit":
            self._panic(end.value)
        else:
            self._off()
            if end.kind == "cut":
                self.arm = None
        self._on_change()

    def _panic(self, returncode: int) -> None:
        """The VM itself failed, e.g. could not mount its flash: the chip panics and restarts."""
        self.crashes += 1
        self.last_crash = f"the VM ended with {returncode}"
        self._exits += 1
        if self._exits < _MOST_EXITS:
            self._boot(HARD_RESET, 0, _CRASH_US)
        else:
            self._off()
            self._fail(BoardError(f"{self.last_crash}, {_MOST_EXITS} times in a row"))

    def _sleep(self, ms: int) -> None:
        peripherals = self._peripherals
        peripherals.reset()
        peripherals.watchdog.reset()
        self._serial.reset()
        self.state = "asleep"
        self.sleeps += 1
        if peripherals.ulp is not None:
            peripherals.ulp.kick()  # it may have waited for this to wake the CPU
        for uart in peripherals.uarts.values():
            uart.twin.deep_sleep_of_host()
        self.on_sleep()
        until = self._clock.now_us + ms * 1000 if ms else None

        def woken() -> int | None:
            return peripherals.rtc.woken_by(peripherals.pins.level)

        def wake() -> None:
            self.wakes += 1
            self._boot(DEEPSLEEP_RESET, woken() or TIMER_WAKE, BOOT_US)

        self._idler.wait(Wait(until, lambda: woken() is not None, wake, real=False))

    def _off(self) -> None:
        self.state = "off"
        self._serial.reset()
        self._idler.attended = False
        self._idler.cancel()
        self._clock.twins.clear()
        self._clock.wire.clear()
        self._peripherals.reset()
        self._peripherals.watchdog.reset()
        self._peripherals.pins.power_off()
        if self._peripherals.ulp is not None:
            self._peripherals.ulp.power_off()
        for uart in self._peripherals.uarts.values():
            uart.power_off()
        self.on_off()
