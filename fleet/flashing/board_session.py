"""A board in its loader: identify, read and write flash, each by an esptool process of its own."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fleet.flashing import identity as who
from fleet.flashing import partitions
from fleet.flashing.errors import FlashError, LinkLost, Locked, NotVerified, TooLarge
from fleet.flashing.esptool_lines import Report
from fleet.flashing.esptool_run import ROM_BAUD, Stop
from fleet.flashing.identity import Identity, Security
from fleet.flashing.loader_session import LoaderSession
from fleet.flashing.memory_file import content, memory_file, path_of
from fleet.flashing.ports import Port

BAUD = 460_800  # what every common bridge does over a metre of cable
SLOW_BAUD = ROM_BAUD
BLOCK = partitions.BLOCK


class Piece(NamedTuple):
    """`size` bytes of the file at `path` for `offset` in flash; `name` is the region's."""

    name: str
    offset: int
    path: str
    size: int


class BoardSession(LoaderSession):
    """Use as a context manager. Raises the classes of errors.py, each with a line to show."""

    def __init__(self, port: Port, *, baud: int = BAUD, stop: Stop | None = None) -> None:
        super().__init__(port, stop)
        self.baud = baud
        self.retried = False
        self._identity: Identity | None = None
        self._table = b""

    def identify(self) -> Identity:
        """Chip, MAC, flash size and security state; read once a session."""
        if self._identity is None:
            # One command tells all but the security: it reads the partition table on the way.
            size = partitions.TABLE_SIZE
            command = ["read-flash", "--flash-size", "detect", hex(partitions.TABLE_OFFSET)]
            with memory_file() as file:
                told = self.esptool([*command, str(size), path_of(file)], files=[file])
                self._table = content(file)
            if len(told.mac) != 6 or not told.chip or not told.flash_bytes:
                raise FlashError(
                    f"{self.port.name}: the chip does not tell its MAC or the size of its flash:"
                    " run again, and see kapok doctor"
                )
            self.chip = told.chip
            security = self._security(told.chip)
            self._identity = Identity(told.chip, told.mac, told.flash_bytes, security)
        return self._identity

    def _security(self, chip: str) -> Security:
        if chip == "esp32":
            with memory_file() as file:
                at, size = hex(who.ESP32_EFUSES), str(who.ESP32_EFUSE_BYTES)
                self.esptool(["dump-mem", at, size, path_of(file)], files=[file])
                return who.from_esp32_efuses(content(file))
        told = self.esptool(["get-security-info"])
        if told.flags is None or told.crypt_count is None:
            raise Locked(f"{self.port.name}: the chip does not tell its security state")
        return who.from_flags(told.flags, told.crypt_count)

    def read_region(self, offset: int, size: int) -> bytes:
        """`size` bytes of flash at `offset`; the transfer is verified by esptool."""
        # Below this the change of rate costs more than it gains.
        fast = self.baud if size > 4 * BLOCK else 0
        with memory_file() as file:
            command = ["read-flash", hex(offset), str(size), path_of(file)]
            self.esptool(command, fast=fast, files=[file])
            data = content(file)
        if len(data) != size:
            raise LinkLost(f"{self.port.name}: {len(data)} of {size} bytes were read: run again")
        return data

    def write_region(self, offset: int, data: bytes, *, name: str = "region") -> None:
        """Write at `offset`, verified by the digest that the chip computes.

        What is there already is not written again. `name` is what secure boot is asked about.
        Locked, TooLarge, NotVerified, LinkLost.
        """
        with memory_file(data) as file:
            piece = Piece(name, offset, path_of(file), len(data))
            self.write([piece], files=[file])

    def write(
        self,
        pieces: list[Piece],
        *,
        options: Iterable[str] = ("--skip-flashed",),
        files: Iterable[int] = (),
        on_progress: Callable[[str, float], None] | None = None,
    ) -> Report:
        """Write the pieces in this order; with the default options, those that differ.

        Retried once at SLOW_BAUD where the line failed. `on_progress(path, percent)`.
        """
        board = self.identify()
        name = self.port.name
        who.check_writable(name, board, [piece.name for piece in pieces])
        for piece in pieces:
            if piece.offset % BLOCK or not piece.size:
                raise TooLarge(f"{name}: {piece.name} at {piece.offset:#x} starts on no block")
            if piece.offset + piece.size > board.flash_bytes:
                raise TooLarge(
                    f"{name}: {piece.name} ends at {piece.offset + piece.size:#x},"
                    f" behind the flash of {board.flash_bytes:#x} bytes"
                )
        command = ["write-flash", *options]
        for piece in pieces:
            command += [hex(piece.offset), piece.path]
        fast = self.baud if sum(piece.size for piece in pieces) > BLOCK else 0
        try:
            report = self.esptool(command, fast=fast, files=files, on_progress=on_progress)
        except (LinkLost, NotVerified):
            if self.stop.wanted or self.retried:
                raise
            self.retried = True
            before = self.last.wrote
            report = self.esptool(command, fast=SLOW_BAUD, files=files, on_progress=on_progress)
            report.wrote[:0] = before
        if any(piece.offset == partitions.TABLE_OFFSET for piece in pieces):
            self._identity = None  # the table is another one
        sure = report.verified + len(report.skipped)
        if sure < len(pieces):
            raise NotVerified(
                f"{name}: the chip confirmed {sure} of {len(pieces)} writes: run again"
            )
        return report

    @property
    def raw_table(self) -> bytes:
        """The partition table as it lies in flash, or whatever lies there."""
        self.identify()
        return self._table

    @property
    def blank(self) -> bool:
        """Whether nothing lies where a partition table would, as on a new board."""
        return not self.raw_table.strip(b"\xff")

    def table(self) -> list[partitions.Partition]:
        """The partition table that lies in flash; PartitionError where it is none."""
        if self.blank:
            raise FlashError(f"{self.port.name}: the board is blank: kapok flash it first")
        return partitions.decode(self.raw_table)

    def write_partition(self, label: str, data: bytes) -> None:
        """Write to a partition of the board's own table; TooLarge where it does not fit.

        esptool does not know the table: a larger image would go over the next partition.
        """
        row = partitions.find(self.table(), label)
        if len(data) > row.size:
            raise TooLarge(
                f"{self.port.name}: {len(data)} bytes do not fit partition {label!r}"
                f" of {row.size}: nothing was written"
            )
        self.write_region(row.offset, data, name=label)

    def read_partition(self, label: str) -> bytes:
        """All bytes of a partition of the board's own table."""
        row = partitions.find(self.table(), label)
        return self.read_region(row.offset, row.size)


def identify(port: Port) -> Identity:
    """Who the board on the port is."""
    with BoardSession(port) as board:
        return board.identify()


def read_region(port: Port, offset: int, size: int) -> bytes:
    """`size` bytes of the board's flash at `offset`."""
    with BoardSession(port) as board:
        return board.read_region(offset, size)


def write_region(port: Port, offset: int, data: bytes) -> None:
    """Write to the board's flash at `offset`, verified."""
    with BoardSession(port) as board:
        board.write_region(offset, data)
