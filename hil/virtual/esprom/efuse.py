"""Virtual eFuses in a file of espefuse's `--path-efuse-file` format: the controller's registers.

Burning only sets bits; write and read protection hold. A file that espefuse changes meanwhile is
read again at the next reset.
"""

import struct
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from fleet.identity.files import PUBLIC, write_atomic
from hil.virtual.esprom.silicon import Block, Field, Silicon

READ, PROGRAM = 1, 2  # of the command register


class EfuseError(Refusal, ValueError):
    """The file holds no eFuses of this chip."""


class Security(NamedTuple):
    """What the eFuses forbid."""

    flash_encryption: bool
    secure_boot: bool
    secure_download: bool
    no_download: bool


def crc8(data: bytes) -> int:
    """As `esp_crc8` of the ROM: reflected polynomial 0x8C."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


class Efuses:
    """The controller's registers, little-endian as the CPU sees them. `mac`: 6 bytes."""

    def __init__(self, chip: Silicon, path: Path, mac: bytes) -> None:
        self._chip = chip
        self._path = path
        if path.exists():
            self.reload()
        else:
            self._memory = bytearray(chip.efuse_size)
            self._be_born(mac)
            self._save()

    def reload(self) -> None:
        """What the file says; EfuseError where it is of another chip."""
        raw = self._path.read_bytes()
        if len(raw) != self._chip.efuse_size:
            raise EfuseError(
                f"{self._path} has {len(raw)} bytes, not the {self._chip.efuse_size} of an "
                f"{self._chip.name}'s eFuses: delete it, or give the chip it is of"
            )
        self._memory = bytearray(raw[::-1])

    # Facts

    @property
    def mac(self) -> bytes:
        """The base MAC address, 6 bytes."""
        block, word = self._chip.mac
        low, high = self.word(block, word), self.word(block, word + 1)
        return (high & 0xFFFF).to_bytes(2, "big") + low.to_bytes(4, "big")

    @property
    def security(self) -> Security:
        """What is forbidden. Encryption is on where an odd number of the count's bits is set."""
        chip = self._chip
        return Security(
            self.field(chip.crypt_count).bit_count() % 2 == 1,
            any(self.field(field) for field in chip.secure_boot),
            chip.secure_download is not None and bool(self.field(chip.secure_download)),
            bool(self.field(chip.no_download)),
        )

    def security_info(self) -> bytes:
        """As GET_SECURITY_INFO answers on the newer chips, 20 bytes."""
        words = [self.word(0, number) for number in range(6)]
        security = self.security
        flags = sum(
            bool(state) << bit
            for bit, state in enumerate(
                (
                    security.secure_boot,
                    words[3] >> 21 & 1,  # aggressive revoke
                    security.secure_download,
                    *(words[2] >> 21 + key & 1 for key in range(3)),  # revoked keys
                    (words[1] >> 16 & 7).bit_count() % 2,  # JTAG off until HMAC opens it
                    words[1] >> 19 & 1,  # JTAG of the pads off
                )
            )
        )
        purposes = [
            words[2] >> 24 & 15, words[2] >> 28, *(words[3] >> 4 * key & 15 for key in range(4)), 0
        ]  # fmt: skip
        count = self.field(self._chip.crypt_count)
        chip_id = self._chip.chip_id or 0
        return struct.pack("<IB7BII", flags, count, *purposes, chip_id, self._chip.api_version)

    def word(self, block: int, word: int) -> int:
        """A word of a block as it is read."""
        return self.read(self._chip.blocks[block].read + 4 * word)

    def field(self, field: Field) -> int:
        """Bits of block 0."""
        return self.word(0, field.word) >> field.shift & (1 << field.bits) - 1

    def burn(self, field: Field, value: int) -> None:
        """Set bits of block 0 as the factory would: no protection asked."""
        register = self._chip.blocks[0].read + 4 * field.word
        self._put(register, self.read(register) | value << field.shift)
        self._save()

    # Registers, by their distance from the base

    def read(self, register: int) -> int:
        """A register; 0 where there is none."""
        if register % 4 or not 0 <= register <= self._chip.efuse_size - 4:
            return 0
        return int.from_bytes(self._memory[register : register + 4], "little")

    def write(self, register: int, value: int) -> None:
        """A register; what the read window holds only burning changes."""
        if register % 4 or not 0 <= register <= self._chip.efuse_size - 4:
            return
        if register == self._chip.efuse_command:
            if value & 3 == PROGRAM:
                self._program(value >> 2 & 15)
            return  # done at once: reads as 0
        if not any(b.read <= register < b.read + 4 * b.words for b in self._chip.blocks):
            self._put(register, value)

    def _program(self, number: int) -> None:
        for index, block in enumerate(self._chip.blocks):
            if not self._chip.efuse_per_block or index == number:
                self._burn_block(index, block)
        for block in self._chip.blocks:
            for word in range(block.words):
                self._put(block.write + 4 * word, 0)
        self._hide()
        self._save()

    def _burn_block(self, index: int, block: Block) -> None:
        disabled = self.word(0, 0)
        if block.write_disable is not None and disabled >> block.write_disable & 1:
            return
        for word in range(block.words):
            new = self.read(block.write + 4 * word)
            if index == 0:
                for bit, field in self._chip.protected:
                    if field.word == word and disabled >> bit & 1:
                        new &= ~((1 << field.bits) - 1 << field.shift)
            register = block.read + 4 * word
            self._put(register, self.read(register) | new)

    def _hide(self) -> None:
        hidden = self.field(self._chip.read_disable)
        for block in self._chip.blocks:
            if block.read_disable is not None and hidden >> block.read_disable & 1:
                for word in range(block.words):
                    self._put(block.read + 4 * word, 0)

    def _be_born(self, mac: bytes) -> None:
        chip = self._chip
        for block, word, value in chip.birth:
            self._put(chip.blocks[block].read + 4 * word, value)
        block, word = chip.mac
        register = chip.blocks[block].read + 4 * word
        self._put(register, int.from_bytes(mac[2:], "big"))
        high = int.from_bytes(mac[:2], "big")
        # Only the first chip keeps a check of it.
        self._put(register + 4, high | (crc8(mac) << 16 if chip.chip_id is None else 0))

    def _put(self, register: int, value: int) -> None:
        self._memory[register : register + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")

    def _save(self) -> None:
        write_atomic(self._path, bytes(self._memory[::-1]), PUBLIC)
