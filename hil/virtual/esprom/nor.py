"""NOR flash in a file: erasing gives ones, programming can only clear bits, and both take time."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal

SECTOR, BLOCK, PAGE = 4096, 65536, 256


class NorError(Refusal, ValueError):
    """Outside the flash, or the file has another size; the text is one line."""


class Costs(NamedTuple):
    """Microseconds that the flash needs."""

    sector: int  # erase of 4 KiB
    block: int  # erase of 64 KiB
    page: int  # program of up to 256 bytes
    digest: int  # MD5 of 1 KiB


# Typical figures of Winbond's W25Q32JV; MD5 at about 3 MB/s is an estimate for the stub.
REAL = Costs(sector=45_000, block=200_000, page=700, digest=350)
FREE = Costs(0, 0, 0, 0)


class Nor:
    """Flash of `size` bytes in `path`, blank (all ones) where there is none yet.

    Each operation returns the microseconds that it takes. NorError outside the flash.
    """

    def __init__(self, path: Path, size: int, costs: Costs = FREE) -> None:
        self.path = path
        self.size = size
        self._costs = costs
        self.erases = 0  # sectors
        self.programs = 0  # pages
        if not path.exists():
            with path.open("wb") as file:
                for _ in range(size // BLOCK):
                    file.write(b"\xff" * BLOCK)
        if path.stat().st_size != size:
            raise NorError(f"{path} has {path.stat().st_size} bytes, not {size}: delete it")

    def read(self, offset: int, length: int) -> bytes:
        """Bytes as they are."""
        self._check(offset, length)
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), length, offset)

    def erase(self, offset: int, length: int) -> int:
        """Whole sectors, 64 KiB at a time where it can."""
        if offset % SECTOR or length % SECTOR:
            raise NorError(f"erase of {length} at {offset:#x}: not whole sectors of {SECTOR}")
        self._check(offset, length)
        took = 0
        at, end = offset, offset + length
        while at < end:
            large = at % BLOCK == 0 and end - at >= BLOCK
            took += self._costs.block if large else self._costs.sector
            at += BLOCK if large else SECTOR
        with self.path.open("r+b") as file:
            os.pwrite(file.fileno(), b"\xff" * length, offset)
        self.erases += length // SECTOR
        return took

    def program(self, offset: int, data: bytes) -> int:
        """Clear the bits that are 0 in `data`."""
        if not data:
            return 0
        self._check(offset, len(data))
        with self.path.open("r+b") as file:
            old = os.pread(file.fileno(), len(data), offset)
            both = int.from_bytes(old, "little") & int.from_bytes(data, "little")
            os.pwrite(file.fileno(), both.to_bytes(len(data), "little"), offset)
        pages = (offset + len(data) - 1) // PAGE - offset // PAGE + 1
        self.programs += pages
        return pages * self._costs.page

    def flip(self, offset: int) -> None:
        """A cell that did not take: the lowest bit of a byte turns, whatever it is."""
        self._check(offset, 1)
        with self.path.open("r+b") as file:
            old = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([old[0] ^ 1]), offset)

    def digest(self, offset: int, length: int) -> tuple[bytes, int]:
        """MD5, and the time it takes."""
        md5 = hashlib.md5(self.read(offset, length), usedforsecurity=False).digest()
        return md5, length * self._costs.digest // 1024

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise NorError(f"{length} bytes at {offset:#x} are outside {self.size} bytes of flash")
