"""The virtual board: an ESP32 whose CPU is a MicroPython VM, whose flash is a file, whose time is
virtual. Everything runs in callbacks of one asyncio loop, which may drive many boards.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from fleet.flashing import partitions
from fleet.flashing.partitions import Partition, PartitionError
from hil.virtual import firmware, flash_boot, romlog
from hil.virtual.chips import CHIPS
from hil.virtual.clock import VirtualClock
from hil.virtual.console import Console
from hil.virtual.flash_boot import Bootable, BootFault
from hil.virtual.idle import Idler
from hil.virtual.life import DEEPSLEEP_RESET, SOFT_RESET, WDT_RESET, BoardError, Life
from hil.virtual.nvs import Nvs
from hil.virtual.pace import Pace
from hil.virtual.peripherals import Peripherals
from hil.virtual.pins import Pins
from hil.virtual.process import Segment
from hil.virtual.rtc import RtcDomain
from hil.virtual.runtime_image import VERSION
from hil.virtual.serial_line import SerialLine
from hil.virtual.shims import _ops
from hil.virtual.stimulus import Stimulus
from hil.virtual.twin import UartTwin
from hil.virtual.uart import Uart
from hil.virtual.ulp import MODELS, Ulp
from hil.virtual.waiters import Waiters
from hil.virtual.world import World

__all__ = ["BoardError", "VirtualBoard"]

FLASH_SIZE = 4 * 1024 * 1024
_PANIC = "Guru Meditation Error: Core  0 panic'ed (IllegalInstruction). Exception was unhandled.\n"
_TIMELESS = ("off", "loader")
_DATA, _NVS = 1, 2  # type and subtype of the NVS partition


class VirtualBoard:
    """A board in `folder`, which holds `flash.bin` (see `firmware.make_flash`): it boots from
    exactly those bytes.

    `mac`: 6 bytes. `start`: virtual time at first, us since 1970 UTC. `twins`: by UART number.
    `wires`: output pin to (UART number, name) of the twin's input. `wheels`: second contact of a
    meter's wheel by its first; a `Pulse` there is a turn. `haste`: virtual seconds that
    pass in a real one while a real socket is open. `console`: called with each line printed.
    `serial`: gets every byte that UART0 sends: the ROM's boot log, what is printed, the REPL.
    With nobody there a firmware that ends is started again, and the prompt is not reached.
    Make it inside a running loop.
    """

    def __init__(
        self,
        folder: Path,
        mac: bytes,
        *,
        chip: str = "esp32s3",
        start: int = 1_767_225_600_000_000,  # 2026-01-01
        heapsize: str = "160k",
        stimulus: Stimulus | None = None,
        twins: Mapping[int, UartTwin] | None = None,
        wires: Mapping[int, tuple[int, str]] | None = None,
        wheels: Mapping[int, int] | None = None,
        pace: Pace | None = None,
        haste: float = 1.0,
        console: Callable[[str], None] | None = None,
        serial: Callable[[bytes], None] | None = None,
    ) -> None:
        if len(mac) != 6:
            raise BoardError("a MAC address is 6 bytes")
        if chip not in CHIPS:
            raise BoardError(f"unknown chip {chip!r}: one of {', '.join(CHIPS)}")
        self.folder = folder
        self.mac = mac
        self.chip = chip
        self.nvs = Nvs(folder / "flash.bin")
        self.stimulus = stimulus or Stimulus()
        self._chip = CHIPS[chip]
        self._serial = SerialLine(serial)
        self._running: Bootable | None = None  # what booted last
        self.table: list[Partition] = []
        self.read_table()
        loop = asyncio.get_running_loop()
        self.clock = VirtualClock(start, loop.time)
        jump = None if pace is None else lambda until: pace.before_jump(self, until)
        self._idler = Idler(self.clock, loop, jump, haste)
        self.pins = Pins(self._output)
        self.rtc = RtcDomain(self._chip.ext1_any_low)
        self._wires = dict(wires or {})
        self.uarts = {unit: Uart(twin, self._idler) for unit, twin in (twins or {}).items()}
        self.ulp: Ulp | None = None
        if chip in MODELS:
            self.ulp = Ulp(
                chip, self.clock, self.pins.level, lambda: self.state == "asleep", self._ulp_called
            )
            self.pins.on_input = self.ulp.kick
        self._peripherals = Peripherals(
            self.pins, self.rtc, self.nvs, self.uarts, lambda: self.clock.now_us, self.ulp
        )
        self.i2c = self._peripherals.i2c
        self._listeners: dict[int, list[Callable[[int], None]]] = {}
        self._console = Console(console)
        self._life = Life(
            self._idler,
            self._peripherals,
            self._look,
            self._serial,
            self._printed,
            self._changed,
            self._failed,
            firmware.shims(),
            heapsize,
        )
        self._waiters = Waiters()
        self._idler.on_step = self._check
        self._free = False  # whether it runs on without anybody who waits
        self.world = World(
            self.clock, self.pins, self.stimulus, lambda: self.state, self._failed, wheels or {}
        )

    # Facts

    @property
    def now_us(self) -> int:
        """Virtual time in us since 1970 UTC."""
        return self.clock.now_us

    @property
    def state(self) -> str:
        """`off`, `boot`, `awake`, `asleep` or `loader`."""
        return self._life.state

    @property
    def life(self) -> Life:
        """Counters: boots, wakes, sleeps, resets by cause, crashes, programs, erases, requests."""
        return self._life

    @property
    def resets(self) -> Counter[str]:
        """Boots by cause: `power-on`, `hard`, `watchdog`, `deep-sleep`, `soft`."""
        return self._life.resets

    @property
    def console_tail(self) -> str:
        """The last 4 KB that the firmware printed."""
        return self._console.tail

    @property
    def flash_path(self) -> Path:
        """The flash image."""
        return self.folder / "flash.bin"

    # Power

    def power_on(self) -> None:
        """Cold start, from now on."""
        if self.state != "off":
            raise BoardError("the board is on already")
        if not self.flash_path.is_file():
            raise BoardError(f"{self.flash_path} is missing: make it by firmware.make_flash")
        self._life.power_on()

    def start(self) -> None:
        """Power on if need be, and run on with nobody waiting."""
        self._free = True
        self._idler.hold(False)
        if self.state == "off":
            self.power_on()

    async def power_cut(self) -> None:
        """SIGKILL in whatever the CPU does; RAM and RTC are lost, the twins lose power too."""
        self._life.kill()
        while self.state != "off":
            await self._waiters.wait(lambda: self.state == "off", 10, lambda: None)

    async def stop(self) -> None:
        """End, for good or until the next `start`."""
        self._free = False
        await self.power_cut()

    def reset(self) -> None:
        """A pulse on EN, as a board's reset button gives it: the cause is a power-on."""
        self._powered()
        self._life.reset()

    def brown_out(self, us: int) -> None:
        """The supply dips, and the chip's brown-out detector resets it: it boots `us` later. What
        hangs on it is told by nobody.
        """
        self._powered()
        self._life.brown_out(us)

    def halt(self) -> None:
        """Stop the CPU before this returns; power stays on (state `loader`).

        Whoever plays the ROM loader may now read and write the flash.
        """
        self._powered()
        self._life.halt()

    def release(self) -> None:
        """Out of the loader: boot from what lies in the flash now."""
        if self.state != "loader":
            raise BoardError(f"the board is {self.state}, not in its loader")
        self._life.reset()

    def type_in(self, data: bytes) -> None:
        """Bytes arrive at UART0; a chip that is off, asleep or in its loader hears none."""
        if self.state in ("boot", "awake"):
            self._serial.type_in(data)

    def _powered(self) -> None:
        if self.state == "off":
            raise BoardError("the board is off")

    def cut_at_flash_operation(self, n: int, mode: str = "clean") -> None:
        """Cut the power in the middle of the flash operation after `n` more ones.

        Counted over boots. A board that runs takes notice at its next request; modes as in
        `shims/flashdev.py`. The board stays off afterwards.
        """
        if mode not in _ops.CUT_MODES:
            raise BoardError(f"unknown mode {mode!r}: one of {', '.join(_ops.CUT_MODES)}")
        self._life.arm = (n, mode)
        if self._life.run is not None:
            self._life.run.channel.arm(n, mode)

    def wipe_vfs(self, files: Mapping[str, bytes]) -> None:
        """Format the file system and write `files`; identity and configuration in NVS stay."""
        if self.state not in ("off", "loader"):
            raise BoardError("cut the power before wiping the flash")
        firmware.wipe(self.flash_path, self.table, files)

    def press(self, pin: int, *, level: int = 1, hold_us: int = 200_000) -> None:
        """A button drives `pin` to `level` now, and lets go after `hold_us` of virtual time."""
        self.world.pulse(pin, level, hold_us)
        self._idler.kick()

    def watch(self, state: Callable[[], None], waits: Callable[[bool], None]) -> None:
        """`state` is told of each change of state, `waits` whether the CPU waits or computes."""
        self._life.on_state, self._idler.on_wait = state, waits

    def listen(self, pin: int, told: Callable[[int], None]) -> None:
        """`told(level)` is called at every change of the firmware's output `pin`."""
        self._listeners.setdefault(pin, []).append(told)

    # Waiting

    async def run_until(
        self, until: "Callable[[], bool] | asyncio.Event", timeout_s: float = 60
    ) -> None:
        """Run until the event is set or the predicate true, which is looked at at every step of
        virtual time. Unless `start` was called, virtual time stands still when this returns.

        TimeoutError after `timeout_s` of real time; BoardError when the board cannot go on.
        """
        predicate = until.is_set if isinstance(until, asyncio.Event) else until
        if self.state == "off" and self._life.boots == 0:
            self.power_on()
        try:
            await self._waiters.wait(predicate, timeout_s, lambda: self._idler.hold(False))
        except TimeoutError:
            raise TimeoutError(
                f"board {self.state} at {self.now_us} us, last line "
                f"{self.console_tail.rstrip().rpartition(chr(10))[2]!r}"
            ) from None
        finally:
            if not self._free:
                self._idler.hold(True)

    async def run_for(self, us: int, timeout_s: float = 60) -> None:
        """Run for so much virtual time."""
        end = self.now_us + us
        reached = asyncio.Event()
        self.clock.board.add(end, reached.set)
        await self.run_until(reached, timeout_s)

    def set_speed(self, rate: float | None, haste: float) -> None:
        """How time passes from now on: `rate` virtual seconds in a real one while the board only
        waits, None as fast as can be, 0 not at all; `haste` while a real socket is open.
        """
        self._idler.set_speed(rate, haste)

    def stand_still(self) -> None:
        """No time passes, until somebody waits for something or `go_on`."""
        self._idler.hold(True)

    def go_on(self) -> None:
        """Time passes again."""
        self._idler.hold(False)

    def kick(self) -> None:
        """Something was done to what hangs on the board: look again what comes next."""
        self._idler.kick()

    async def pass_until(self, end: int, state: str | None = None, timeout_s: float = 600) -> None:
        """Wait until virtual time is `end`, in us, or the board is in `state`; one without power,
        or in its loader, has no time of its own, and gets it at once. Time stands still then,
        until `go_on`.

        TimeoutError after `timeout_s` of real time; BoardError when the board cannot go on.
        """
        stop = self.clock.board.add(end, lambda: self._idler.hold(True))

        def there() -> bool:
            if self.state == state:
                self._idler.hold(True)
            return self.now_us >= end or self.state == state or self.state in _TIMELESS

        while self.now_us < end and self.state != state:
            if self.state in _TIMELESS:
                self._pass_without_power(end)
            else:
                await self.run_until(there, timeout_s)
        stop.cancel()

    def _pass_without_power(self, end_us: int) -> None:
        while (head := self.clock.board.head()) is not None and head[0] <= end_us:
            self.clock.advance(head[0])
            self.clock.fire_due()
        self.clock.advance(end_us)

    # What the parts call

    def read_table(self) -> None:
        """Read the partition table that lies in the flash now, and forget what NVS held."""
        try:
            with self.flash_path.open("rb") as file:
                file.seek(partitions.TABLE_OFFSET)
                self.table = partitions.decode(file.read(partitions.TABLE_SIZE))
        except (OSError, PartitionError):
            self.table = []
        nvs = [row for row in self.table if (row.type, row.subtype) == (_DATA, _NVS)]
        self.nvs.locate(*(nvs[0].offset, nvs[0].size) if nvs else (0, 0))

    def _look(self, cause: int, again: bool) -> tuple[dict[str, object], Segment]:
        """What ROM and bootloader do; BootFault when they find nothing to boot."""
        if cause == SOFT_RESET:
            self._serial.send(b"MPY: soft reboot\r\n")
        else:
            self._serial.send(
                romlog.start(self.chip, cause, again and cause == WDT_RESET, self._life.dipped)
            )
        # A deep sleep leaves the bootloader no time to look at the image once more
        # (CONFIG_BOOTLOADER_SKIP_VALIDATE_IN_DEEP_SLEEP), a soft reset does not come this far.
        if cause not in (SOFT_RESET, DEEPSLEEP_RESET) or self._running is None:
            try:
                self._running = flash_boot.look(self.flash_path, self.chip)
            except BootFault as e:
                if not e.rom:
                    self._serial.send(romlog.loads(self.chip))
                self._serial.printed(f"{e}\n".encode())
                self._console.feed(f"{e}\n".encode())
                raise
            self.read_table()
            self.nvs.boot()
        if cause != SOFT_RESET:
            self._serial.send(romlog.loads(self.chip))
        if self._running.about.crashes:
            self._console.feed(_PANIC.encode())
            raise BootFault(_PANIC.strip(), rom=False)
        where = {"vfs": (0, 0), "romfs": (0, 0)}
        for row in self.table:
            if row.label in where:
                where[row.label] = (row.offset, row.size)
        return self._hello(self._running, where), Segment(
            self.flash_path.resolve(), *where["romfs"]
        )

    def _hello(self, running: Bootable, where: Mapping[str, tuple[int, int]]) -> dict[str, object]:
        return {
            "rtc_us": self.rtc.offset_us,
            "mac": list(self.mac),
            "flash": str(self.flash_path.resolve()),
            "vfs_offset": where["vfs"][0],
            "vfs_size": where["vfs"][1],
            "romfs_offset": where["romfs"][0],
            "romfs_size": where["romfs"][1],
            "running": running.running.label,
            "version": running.about.version if running.about.version != VERSION else "",
            "hardened": running.about.hardened,
            "partitions": [
                [row.type, row.subtype, row.offset, row.size, row.label, False]
                for row in self.table
            ],
            "chip": {
                "rtc_pins": self._chip.rtc_pins,
                "adc_pins": self._chip.adc_pins,
                "adc_full_mv": self._chip.adc_full_mv,
                "lacks": self._chip.lacks,
            },
        }

    def _ulp_called(self) -> None:
        self.rtc.ulp_called = True

    def _output(self, pin: int, level: int) -> None:
        for told in self._listeners.get(pin, ()):
            told(level)
        wire = self._wires.get(pin)
        if wire is not None and wire[0] in self.uarts:
            self.uarts[wire[0]].twin.pin(wire[1], level)

    def _printed(self, data: bytes) -> None:
        self._serial.printed(data)
        self._console.feed(data)
        self._check()

    def _changed(self) -> None:
        if self.state != "awake":
            self._console.flush()
        self._check()

    def _check(self) -> None:
        if self._waiters.check() and not self._free:
            self._idler.hold(True)

    def _failed(self, error: Exception) -> None:
        self._waiters.fail(error)
