"""The commands that write, erase and measure the flash, in either dialect."""

from collections.abc import Callable
from typing import NamedTuple

from hil.virtual.esprom import frames as op
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.frames import Refused, Request
from hil.virtual.esprom.nor import SECTOR, Nor
from hil.virtual.esprom.transfer import Transfer

SLOW_READ = 64  # bytes of each READ_FLASH_SLOW
DATA = (op.FLASH_DATA, op.DEFL_DATA)


class Done(NamedTuple):
    """A command was carried out: microseconds, and what is answered. `dead`: the board died."""

    took_us: int = 0
    data: bytes = b""
    dead: bool = False


class FlashCommands:
    """What is in progress on one flash. Refused, or NorError, where a command cannot be done."""

    def __init__(self, nor: Nor, faults: Faults) -> None:
        self._nor = nor
        self._faults = faults
        self._transfer: Transfer | None = None

    def forget(self) -> None:
        """No write is in progress."""
        self._transfer = None

    def begin(self, request: Request, stub: bool) -> Done:
        """FLASH_BEGIN, FLASH_DEFL_BEGIN."""
        size, _blocks, _block, offset = request.words(4)
        if len(request.body) >= 20 and request.words(5)[4]:
            raise Refused(0x06, 0xC4)  # encrypting on the way is not emulated
        deflated = request.op == op.DEFL_BEGIN
        self._transfer = Transfer(self._nor, self._faults, offset, size, deflated)
        return Done(0 if stub else self._transfer.erase_all())

    def data(self, request: Request, _stub: bool) -> Done:
        """FLASH_DATA, FLASH_DEFL_DATA."""
        if self._transfer is None:
            raise Refused(0x06, 0xC6)
        payload = request.payload()
        if self._faults.take_nak():
            raise Refused(0x07, 0xC1)
        took = self._transfer.take(payload)
        return Done(
            took, dead=self._faults.take_death(self._transfer.size, self._transfer.written)
        )

    def digest(self, request: Request, stub: bool) -> Done:
        """SPI_FLASH_MD5: text from the ROM, bytes from the stub."""
        offset, length = request.words(2)
        md5, took = self._nor.digest(offset, length)
        return Done(took, md5 if stub else md5.hex().encode())

    def read_slow(self, request: Request, stub: bool) -> Done:
        """READ_FLASH_SLOW of the ROM: always 64 bytes, however few were asked for."""
        if stub:
            raise op.unknown()
        offset, length = request.words(2)
        if length > SLOW_READ:
            raise Refused(0x0A, 0xC2)
        return Done(data=self._nor.read(offset, length).ljust(SLOW_READ, b"\0"))

    def erase_flash(self, _request: Request, stub: bool) -> Done:
        """ERASE_FLASH of the stub: all of it."""
        if not stub:
            raise op.unknown()
        return Done(self._nor.erase(0, self._nor.size))

    def erase_region(self, request: Request, stub: bool) -> Done:
        """ERASE_REGION of the stub: whole sectors."""
        if not stub:
            raise op.unknown()
        offset, size = request.words(2)
        if offset % SECTOR or size % SECTOR:
            raise Refused(0x06, 0xC2)
        return Done(self._nor.erase(offset, size))


FLASH: dict[int, Callable[[FlashCommands, Request, bool], Done]] = {
    op.FLASH_BEGIN: FlashCommands.begin,
    op.DEFL_BEGIN: FlashCommands.begin,
    op.FLASH_DATA: FlashCommands.data,
    op.DEFL_DATA: FlashCommands.data,
    op.FLASH_MD5: FlashCommands.digest,
    op.READ_FLASH_SLOW: FlashCommands.read_slow,
    op.ERASE_FLASH: FlashCommands.erase_flash,
    op.ERASE_REGION: FlashCommands.erase_region,
}
