"""What the firmware's calls into `machine` and `esp32` do to the board."""

import struct
from collections.abc import Callable, Mapping

from hil.virtual.i2c import I2cBuses
from hil.virtual.net import Sockets
from hil.virtual.nvs import INTEGER, Nvs, Value
from hil.virtual.pins import Pins
from hil.virtual.rtc import RtcDomain
from hil.virtual.shims import _ops
from hil.virtual.uart import Uart
from hil.virtual.ulp import Ulp


class Watchdog:
    """A deadline in virtual time, once it was started."""

    def __init__(self) -> None:
        self.timeout_us = 0
        self.deadline_us: int | None = None

    def start(self, timeout_ms: int, now_us: int) -> None:
        """Start, or change the timeout."""
        self.timeout_us = timeout_ms * 1000
        self.feed(now_us)

    def feed(self, now_us: int) -> None:
        """Put the deadline off."""
        if self.timeout_us:
            self.deadline_us = now_us + self.timeout_us

    def reset(self) -> None:
        """The chip was reset or sleeps."""
        self.timeout_us = 0
        self.deadline_us = None


class Peripherals:
    """Answers the operations that need no waiting. `now` is the board's time."""

    def __init__(
        self,
        pins: Pins,
        rtc: RtcDomain,
        nvs: Nvs,
        uarts: Mapping[int, Uart],
        now: Callable[[], int],
        ulp: Ulp | None = None,
    ) -> None:
        self.pins = pins
        self.ulp = ulp
        self.rtc = rtc
        self.nvs = nvs
        self.uarts = uarts
        self.watchdog = Watchdog()
        self.net = Sockets(uarts)
        self.i2c = I2cBuses()
        self._now = now
        self._commands: dict[int, Callable[[bytes], None]] = {
            _ops.NOW: lambda _: None,
            _ops.UART_INIT: self._uart_init,
            _ops.UART_WRITE: self._uart_write,
            _ops.UART_OVERRUN: self._uart_overrun,
            _ops.PIN_MODE: self._pin_mode,
            _ops.PIN_WRITE: lambda p: pins.write(*p),
            _ops.PIN_IRQ: lambda p: pins.trigger(*p),
            _ops.PWM: lambda p: pins.dim(*struct.unpack("<BIH", p)),
            _ops.WDT_START: self._wdt_start,
            _ops.WDT_FEED: lambda _: self.watchdog.feed(now()),
            _ops.RTC_SET: self._rtc_set,
            _ops.MEMORY_SET: self._memory_set,
            _ops.NVS_SET: self._nvs_set,
            _ops.NVS_ERASE: lambda p: nvs.erase(*self._names(p)),
            _ops.NVS_COMMIT: lambda p: nvs.commit(self._names(p)[0]),
            _ops.WAKE: lambda p: rtc.wake_on(p[0], p[1], tuple(p[2:])),
            _ops.PCNT_INIT: lambda p: pins.pcnt_init(*p),
            _ops.PCNT_RUN: lambda p: pins.pcnt_run(p[0], bool(p[1])),
            _ops.ULP_PERIOD: self._ulp_period,
            _ops.ULP_RUN: self._ulp_run,
            _ops.ULP_WAKE: self._ulp_wake,
            _ops.MEM_WRITE: lambda p: self._has_ulp().write(*struct.unpack("<II", p)),
            **self.net.commands,
        }
        self._queries: dict[int, Callable[[bytes], bytes]] = {
            _ops.PIN_READ: lambda p: bytes((pins.level(p[0]),)),
            _ops.ADC_READ: lambda p: struct.pack("<i", pins.microvolts[p[0]]),
            _ops.MEMORY_GET: lambda _: rtc.memory,
            _ops.NVS_GET: self._nvs_get,
            _ops.I2C: self.i2c.transfer,
            _ops.PCNT_VALUE: lambda p: struct.pack("<i", pins.pcnt_value(p[0], bool(p[1]))),
            _ops.ULP_LOAD: self._ulp_load,
            _ops.MEM_READ: lambda p: struct.pack(
                "<I", self._has_ulp().read(*struct.unpack("<I", p))
            ),
            **self.net.queries,
        }

    def answer(self, op: int, payload: bytes) -> bytes | None:
        """Do what the firmware asked for; None when the operation is not one of these."""
        command = self._commands.get(op)
        if command is not None:
            command(payload)
            return b""
        query = self._queries.get(op)
        return None if query is None else query(payload)

    def reset(self) -> None:
        """The chip was reset or sleeps."""
        self.pins.reset()
        self.nvs.reset()
        self.net.reset()
        for uart in self.uarts.values():
            uart.reset()

    def _uart_init(self, payload: bytes) -> None:
        unit, baudrate, _rxbuf, bits, parity, stop = struct.unpack("<BIHBBB", payload)
        if unit in self.uarts:
            self.uarts[unit].open(baudrate, (bits, parity, stop))

    def _uart_write(self, payload: bytes) -> None:
        uart = self.uarts.get(payload[0])
        if uart is not None:  # else the wire leads nowhere
            uart.write(payload[1:])

    def _uart_overrun(self, payload: bytes) -> None:
        unit, dropped = struct.unpack("<BI", payload)
        self.uarts[unit].overruns += dropped

    def _pin_mode(self, payload: bytes) -> None:
        self.pins.mode(*payload)
        if self.ulp is not None:
            self.ulp.release(payload[0])

    def _wdt_start(self, payload: bytes) -> None:
        self.watchdog.start(struct.unpack("<I", payload)[0], self._now())

    def _rtc_set(self, payload: bytes) -> None:
        self.rtc.offset_us = struct.unpack("<q", payload)[0]

    def _memory_set(self, payload: bytes) -> None:
        self.rtc.memory = payload

    def _has_ulp(self) -> Ulp:
        if self.ulp is None:
            raise ValueError("this chip has no ULP")
        return self.ulp

    def _ulp_load(self, payload: bytes) -> bytes:
        (address,) = struct.unpack_from("<I", payload)
        return bytes((self._has_ulp().load(address, payload[4:]),))

    def _ulp_period(self, payload: bytes) -> None:
        self._has_ulp().period_us = struct.unpack("<I", payload)[0]

    def _ulp_run(self, payload: bytes) -> None:
        self._has_ulp().start(struct.unpack("<I", payload)[0])

    def _ulp_wake(self, payload: bytes) -> None:
        self.rtc.ulp_may_wake = bool(payload[0])

    @staticmethod
    def _names(payload: bytes) -> tuple[str, str]:
        space, _, key = payload[1:].partition(b"\0")
        return space.decode(), key.decode()

    def _nvs_get(self, payload: bytes) -> bytes:
        value = self.nvs.read(*self._names(payload), payload[0])
        return struct.pack("<i", value) if isinstance(value, int) else value

    def _nvs_set(self, payload: bytes) -> None:
        space, key, raw = payload[1:].split(b"\0", 2)
        value: Value = struct.unpack("<i", raw)[0] if payload[0] == INTEGER else raw
        self.nvs.write(space.decode(), key.decode(), value)
