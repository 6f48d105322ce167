"""What READ_REG and WRITE_REG reach: eFuses, the flash controller, the UART's divider, memory."""

from hil.virtual.esprom.efuse import Efuses
from hil.virtual.esprom.silicon import Silicon
from hil.virtual.esprom.spi import USER_GO, SpiFlash

MAGIC = 0x40001000
CRYSTAL = 40_000_000
MOST = 4096  # words of memory that are kept
WATCHDOG_ON = 1 << 31


class Bus:
    """Words by address; unknown ones are memory that is 0 at reset."""

    def __init__(self, chip: Silicon, efuses: Efuses, flash: SpiFlash) -> None:
        self._chip = chip
        self._efuses = efuses
        self._flash = flash
        self.baud = 115_200
        self._words: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        """What was written is gone."""
        self._words = dict(self._chip.registers)

    def read(self, address: int) -> int:
        """A word."""
        if address == MAGIC:
            return self._chip.magic
        register = address - self._chip.efuse_base
        if 0 <= register < self._chip.efuse_size:
            return self._efuses.read(register)
        if address == self._chip.uart_divider:
            return CRYSTAL // max(self.baud, 1)
        return self._words.get(address, 0)

    def write(self, address: int, value: int, mask: int) -> bool:
        """A word, in the bits of `mask`; true where a watchdog resets the chip by it."""
        value = self.read(address) & ~mask | value & mask
        register = address - self._chip.efuse_base
        if 0 <= register < self._chip.efuse_size:
            self._efuses.write(register, value)
        elif address == self._chip.spi_base and value & USER_GO:
            self._flash.run(self._words)
        elif address in self._words or len(self._words) < MOST:
            self._words[address] = value
        return address == self._chip.watchdog and bool(value & WATCHDOG_ON)
