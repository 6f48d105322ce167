"""The SPI flash controller's registers, by which esptool asks the flash chip for its identity."""

from hil.virtual.esprom.silicon import Silicon

WINBOND = 0xEF
USER_GO = 1 << 18
READ_ID, READ_SFDP = 0x9F, 0x5A
READ_STATUS = {0x05: 0, 0x35: 1, 0x15: 2}  # opcode: status register
WRITE_STATUS = {0x01: 0, 0x31: 1, 0x11: 2}
ENABLE = (0x06, 0x50)  # write enable, for good or volatile
DISABLE = 0x04
BUSY, LATCH = 1, 2
SFDP = b"SFDP\x06\x01\x00\xff"


class SpiFlash:
    """The flash chip as commands of 8 bits show it. `size`: bytes, a power of two."""

    def __init__(self, chip: Silicon, size: int) -> None:
        self._chip = chip
        kind, capacity = 0x40, size.bit_length() - 1
        self._identity = WINBOND | kind << 8 | capacity << 16
        self._status = [0, 2, 0x60]  # QE set, as delivered
        self._enabled = False
        self.attached = False  # to the controller's pins, by SPI_ATTACH

    def run(self, registers: dict[int, int]) -> None:
        """A user command, from the controller's registers (by address) and into them."""
        base = self._chip.spi_base
        opcode = registers.get(base + self._chip.spi_user2, 0) & 0xFF
        data = base + self._chip.spi_data
        if not self.attached:
            registers[data] = 0
        elif opcode == READ_ID:
            registers[data] = self._identity
        elif opcode == READ_SFDP:
            address = registers.get(base + self._chip.spi_address, 0)
            if self._chip.chip_id is None:
                address >>= 8  # this one sends the register's highest bits
            part = SFDP[address : address + 4] if address < len(SFDP) else b"\xff" * 4
            registers[data] = int.from_bytes(part.ljust(4, b"\xff"), "little")
        elif opcode in READ_STATUS:
            value = self._status[READ_STATUS[opcode]]
            registers[data] = value | (LATCH if opcode == 0x05 and self._enabled else 0)
        elif opcode in ENABLE:
            self._enabled = True
        elif opcode == DISABLE:
            self._enabled = False
        elif opcode in WRITE_STATUS and self._enabled:
            self._write_status(WRITE_STATUS[opcode], registers.get(data, 0))
            self._enabled = False

    def _write_status(self, number: int, value: int) -> None:
        read_only = BUSY | LATCH if number == 0 else 0
        self._status[number] = value & 0xFF & ~read_only
