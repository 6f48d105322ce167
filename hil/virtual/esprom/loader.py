"""The loader: bytes in, bytes out. It knows no clock, line or chip's pins; those are told.

Commands and what they answer: Espressif's "Serial Protocol" of esptool, and measurements with
esptool 5.6.0. No code of the stub is run: once it has been loaded and started, its dialect is.
"""

import contextlib
import struct
from collections.abc import Callable
from typing import ClassVar

from hil.virtual.esprom import frames as op
from hil.virtual.esprom.bus import Bus
from hil.virtual.esprom.effects import Effect, Leave, Say
from hil.virtual.esprom.efuse import EfuseError, Efuses
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.flashing import DATA, FLASH, FlashCommands
from hil.virtual.esprom.frames import Refused, Request, answer, parse
from hil.virtual.esprom.nor import Nor, NorError
from hil.virtual.esprom.reading import Reading
from hil.virtual.esprom.silicon import Silicon
from hil.virtual.esprom.slip import Decoder, encode
from hil.virtual.esprom.spi import SpiFlash

READ_HOOK = 0x3FCEF688  # the S3's pointer to `read`, by which esptool starts the stub past a fault
SECURE = {  # what is left in secure download mode
    op.SYNC, op.FLASH_BEGIN, op.FLASH_DATA, op.FLASH_END, op.DEFL_BEGIN, op.DEFL_DATA, op.DEFL_END,
    op.SPI_ATTACH, op.SPI_SET_PARAMS, op.CHANGE_BAUDRATE, op.SECURITY_INFO,
}  # fmt: skip


class Loader:
    """A chip in download mode; times in microseconds, all of one clock that only goes forward.

    `baud` is 0 until a SYNC has told it, as after a reset.
    """

    def __init__(self, chip: Silicon, efuses: Efuses, nor: Nor, faults: Faults) -> None:
        self._chip = chip
        self._efuses = efuses
        self._nor = nor
        self._flash = FlashCommands(nor, faults)
        self._faults = faults
        self._spi = SpiFlash(chip, nor.size)
        self._bus = Bus(chip, efuses, self._spi)
        self.synced = 0  # how often
        self.reset()

    def reset(self) -> None:
        """As EN does: the ROM's dialect, no rate, nothing in progress."""
        with contextlib.suppress(EfuseError, OSError):  # as it was
            self._efuses.reload()
        self._secure = self._efuses.security.secure_download
        self.stub = False
        self.baud = 0
        self._decoder = Decoder()
        self._flash.forget()
        self._reading: Reading | None = None
        self._ready_us = 0  # when the chip has done what it was told
        self._bus.reset()
        self._spi.attached = False

    def feed(self, data: bytes, now_us: int, host_baud: int = 0) -> list[Effect]:
        """What came from the host, and what follows. `host_baud`: the line's rate, 0: any."""
        effects: list[Effect] = []
        if self._faults.silent or (self.baud and host_baud and _differ(self.baud, host_baud)):
            return effects  # at a wrong rate all is noise
        for frame in self._decoder.feed(data):
            effects += self._frame(frame, now_us, host_baud)
            if any(isinstance(effect, Leave) for effect in effects):
                break
        return effects

    def _frame(self, frame: bytes, now_us: int, host_baud: int) -> list[Effect]:
        start = max(now_us, self._ready_us)
        if self._reading is not None:
            if self._reading.acknowledge(frame):
                return self._read_on(start)
            self._reading = None  # the host has gone on to something else
        request = parse(frame)
        if request is None:
            return []
        if request.op == op.SYNC:
            return self._sync(request, start, host_baud)
        if not self.baud:
            self.baud = host_baud  # who talks first sets the rate
        try:
            return self._command(request, start)
        except Refused as e:
            return [self._answer(start, request.op, error=e)]
        except NorError:
            return [self._answer(start, request.op, error=Refused(0x09, 0xC4))]

    def _command(self, request: Request, start: int) -> list[Effect]:
        secure = self._secure and not self.stub
        handler = self._commands.get(request.op)
        if handler is None or (secure and request.op not in SECURE):
            raise op.unknown()
        return handler(self, request, start)

    # Answers

    def _answer(
        self, due: int, code: int, value: int = 0, data: bytes = b"", error: Refused | None = None
    ) -> Say:
        if error is None:
            status = bytes(2 if self.stub else 4)
        else:
            status = bytes([error.stub, 0]) if self.stub else bytes([1, error.rom, 0, 0])
        return Say(due, encode(answer(code, value, data, status)))

    def _sync(self, request: Request, start: int, host_baud: int) -> list[Effect]:
        if request.body != op.SYNC_BODY:
            return [self._answer(start, request.op, error=op.bad_length())]
        self.synced += 1
        self._ready_us = start
        self.baud = self._bus.baud = host_baud or self._bus.baud
        value = 0 if self.stub else op.SYNC_VALUE
        return [self._answer(start, request.op, value)] * 8

    def _accept(self, request: Request, start: int) -> list[Effect]:
        return [self._answer(start, request.op)]

    def _busy(self, request: Request, start: int, took: int, data: bytes = b"") -> list[Effect]:
        self._ready_us = start + took
        return [self._answer(self._ready_us, request.op, data=data)]

    # Registers and RAM

    def _read_reg(self, request: Request, start: int) -> list[Effect]:
        (address,) = request.words(1)
        return [self._answer(start, request.op, self._bus.read(address))]

    def _write_reg(self, request: Request, start: int) -> list[Effect]:
        if not request.body or len(request.body) % 16:
            raise op.bad_length()
        reset = False
        for address, value, mask, delay in struct.iter_unpack("<4I", request.body):
            reset |= self._bus.write(address, value, mask)
            start += min(delay, 1_000_000)
        effects = self._busy(request, start, 0)
        return [*effects, Leave(start, "app")] if reset else effects

    def _mem_begin(self, request: Request, start: int) -> list[Effect]:
        request.words(4)
        return self._accept(request, start)

    def _mem_data(self, request: Request, start: int) -> list[Effect]:
        request.payload()
        return self._accept(request, start)

    def _mem_end(self, request: Request, start: int) -> list[Effect]:
        stay, entry = request.words(2)
        effects = self._accept(request, start)
        return effects if stay or not entry else [*effects, self._start_stub(start)]

    def _start_stub(self, start: int) -> Say:
        self.stub = True
        self._spi.attached = True  # the stub sees to it itself
        return Say(start, encode(b"OHAI"))

    # Flash

    def _attach(self, request: Request, start: int) -> list[Effect]:
        request.words(1)
        self._spi.attached = True
        return self._accept(request, start)

    def _on_flash(self, request: Request, start: int) -> list[Effect]:
        done = FLASH[request.op](self._flash, request, self.stub)
        if done.dead:
            return [Leave(start, "dead")]
        self._ready_us = start + done.took_us
        # The stub answers to data before it writes them, so that the next block comes meanwhile.
        due = start if self.stub and request.op in DATA else self._ready_us
        return [self._answer(due, request.op, data=done.data)]

    def _end(self, request: Request, start: int) -> list[Effect]:
        (stay,) = request.words(1)
        self._flash.forget()
        effects = self._accept(request, start)
        if self.stub:
            # A soft reset leaves the strap as it is: the ROM's loader again.
            return effects if stay else [*effects, Leave(start, "rom")]
        return [*effects, Leave(start, "app")]

    def _read_slow(self, request: Request, start: int) -> list[Effect]:
        if not self.stub and self._chip.name == "esp32s3" and self._bus.read(READ_HOOK):
            return [self._start_stub(start)]
        return self._on_flash(request, start)

    def _read_flash(self, request: Request, start: int) -> list[Effect]:
        if not self.stub:
            raise op.unknown()
        self._reading = Reading(self._nor, *request.words(4))
        return [self._answer(start, request.op), *self._read_on(start)]

    def _read_on(self, start: int) -> list[Effect]:
        reading = self._reading
        if reading is None:
            return []
        said: list[Effect] = [Say(start, encode(data)) for data in reading.more()]
        if reading.done:
            self._reading = None
        return said

    # The rest

    def _security(self, request: Request, start: int) -> list[Effect]:
        if self._chip.chip_id is None:
            raise op.unknown()
        return [self._answer(start, request.op, data=self._efuses.security_info())]

    def _change_baud(self, request: Request, start: int) -> list[Effect]:
        new, _old = request.words(2)
        effects = self._accept(request, start)
        if new:
            self.baud = self._bus.baud = new
        return effects

    def _run_user_code(self, _request: Request, start: int) -> list[Effect]:
        if not self.stub:
            raise op.unknown()
        return [Leave(start, "app")]

    def _encrypted(self, _request: Request, _start: int) -> list[Effect]:
        raise Refused(0x06, 0xC4)

    _commands: ClassVar[dict[int, Callable[["Loader", Request, int], list[Effect]]]] = {
        op.READ_REG: _read_reg,
        op.WRITE_REG: _write_reg,
        op.MEM_BEGIN: _mem_begin,
        op.MEM_DATA: _mem_data,
        op.MEM_END: _mem_end,
        **dict.fromkeys(FLASH, _on_flash),
        op.FLASH_END: _end,
        op.DEFL_END: _end,
        op.SPI_ATTACH: _attach,
        op.SPI_SET_PARAMS: _accept,
        op.READ_FLASH_SLOW: _read_slow,
        op.READ_FLASH: _read_flash,
        op.SECURITY_INFO: _security,
        op.CHANGE_BAUDRATE: _change_baud,
        op.RUN_USER_CODE: _run_user_code,
        op.ENCRYPT_DATA: _encrypted,
    }


def _differ(chip: int, host: int) -> bool:
    """A UART bears about 3 % between the two ends."""
    return abs(chip - host) * 100 > 3 * chip
