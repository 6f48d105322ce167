"""A board in its loader: identify, read and write flash, each by an esptool process of its own.

The stub stays in the chip's RAM between the processes, so that only the first one pays for reset
and upload. When the session ends the board starts its application.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import NamedTuple, Self

from fleet.flashing import identity as who
from fleet.flashing import lines, partitions
from fleet.flashing.console import Console
from fleet.flashing.errors import (
    FlashError,
    LinkLost,
    Locked,
    NoLoader,
    NoSuchPort,
    NotVerified,
    PortBusy,
    PortDenied,
    TooLarge,
)
from fleet.flashing.esptool_lines import Report
from fleet.flashing.esptool_run import ATTEMPTS, ROM_BAUD, Stop, run
from fleet.flashing.identity import Identity, Security
from fleet.flashing.port_lock import locked
from fleet.flashing.ports import Port

BAUD = 460_800  # what every common bridge does over a metre of cable
SLOW_BAUD = ROM_BAUD
BLOCK = partitions.BLOCK

# Two boards of one hub that reset at once draw it down ("wrong boot mode" of the second one).
_hubs: dict[str, threading.Lock] = {}
_hubs_lock = threading.Lock()


def hub_lock(hub: str) -> threading.Lock:
    """The lock under which boards of this hub reset."""
    with _hubs_lock:
        return _hubs.setdefault(hub, threading.Lock())


def _hold(port: Port) -> int:
    """Open the port beside esptool: its lines do not drop between two processes."""
    try:
        return os.open(port.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoSuchPort(f"{port.name}: {port.device} is not there: is it plugged in?") from None
    except PermissionError:
        raise PortDenied(
            f"{port.name}: this user may not open {port.device}: kapok doctor says why"
        ) from None
    except OSError as e:
        raise PortBusy(f"{port.name}: cannot open {port.device}: {e.strerror}") from None


class Piece(NamedTuple):
    """`size` bytes of the file at `path` for `offset` in flash; `name` is the region's."""

    name: str
    offset: int
    path: str
    size: int


@contextmanager
def memory_file(data: bytes = b"") -> Iterator[int]:
    """A file that lies in memory only: what goes through it may be a private key."""
    descriptor = os.memfd_create("kapok", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        yield descriptor
    finally:
        os.close(descriptor)


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


class BoardSession:
    """Use as a context manager. Raises the classes of errors.py, each with a line to show."""

    def __init__(self, port: Port, *, baud: int = BAUD, stop: Stop | None = None) -> None:
        self.port = port
        self.baud = baud
        self.stop = stop or Stop()
        self.retried = False
        self._identity: Identity | None = None
        self._table = b""
        self._last = Report()
        self._warm = False  # the stub runs, at ROM_BAUD
        self._held = -1
        self._touched = False

    def __enter__(self) -> Self:
        self._lock = locked(self.port)
        self._lock.__enter__()
        try:
            # A chip that is its own USB adapter gets another number where the old one is held.
            self._held = -1 if self.port.native_usb else _hold(self.port)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._touched:
                with suppress(FlashError, OSError):
                    self.start_application()
        finally:
            if self._held >= 0:
                os.close(self._held)
                self._held = -1
            self._lock.__exit__(kind, error, trace)

    def start_application(self) -> None:
        """Reset the board out of its loader."""
        with self.console() as console:
            self.reset(console)

    def reset(self, console: Console) -> None:
        """The same, on a console that is to hear what the board says."""
        self._warm = self._touched = False
        with hub_lock(self.port.hub):
            console.clear()
            lines.reset(self.port, console.line)

    def console(self) -> Console:
        """The port as a serial line, to be used as a context manager."""
        return Console(self.port)

    # -- esptool ---------------------------------------------------------------------------

    def esptool(
        self,
        command: list[str],
        *,
        fast: int = 0,
        files: Iterable[int] = (),
        on_progress: Callable[[str, float], None] | None = None,
    ) -> Report:
        """Run one command; the stub of the last one goes on where it can.

        `fast`: a rate to change to for much data; the next command then begins with a reset.
        """
        if self._warm:
            try:
                return self._run(command, fast, files, on_progress)
            except (NoLoader, LinkLost):
                # The chip was reset meanwhile, or the stub hung: begin as for the first time.
                if self.stop.wanted:
                    raise
                self._warm = False
        return self._run(command, fast, files, on_progress)

    def _run(
        self,
        command: list[str],
        fast: int,
        files: Iterable[int],
        on_progress: Callable[[str, float], None] | None,
    ) -> Report:
        before = "no-reset" if self._warm else "default-reset"
        options = ["--before", before, "--after", "no-reset-stub"]
        options += ["--connect-attempts", "1" if self._warm else str(ATTEMPTS)]
        if self._identity is not None:
            options += ["--chip", self._identity.chip]
        options += ["--baud", str(fast or ROM_BAUD)]
        report = self._last = Report(on_progress)
        lock = None if self._warm else hub_lock(self.port.hub)
        self._warm, self._touched = False, True
        if lock is not None:
            lock.acquire()

        def connected(_: str) -> None:
            nonlocal lock
            if lock is not None and report.connected:
                lock.release()
                lock = None

        try:
            run(
                self.port,
                [*options, *command],
                stop=self.stop,
                report=report,
                files=files,
                on_line=connected,
            )
        finally:
            if lock is not None:
                lock.release()
        self._warm = fast in (0, ROM_BAUD)
        return report

    # -- what others use -------------------------------------------------------------------

    def identify(self) -> Identity:
        """Chip, MAC, flash size and security state; read once a session."""
        if self._identity is None:
            # One command tells all but the security: it reads the partition table on the way.
            size = partitions.TABLE_SIZE
            command = ["read-flash", "--flash-size", "detect", hex(partitions.TABLE_OFFSET)]
            with memory_file() as file:
                told = self.esptool([*command, str(size), _path(file)], files=[file])
                self._table = _content(file)
            if len(told.mac) != 6 or not told.chip or not told.flash_bytes:
                raise FlashError(
                    f"{self.port.name}: the chip does not tell its MAC or the size of its flash:"
                    " run again, and see kapok doctor"
                )
            self._identity = Identity(told.chip, told.mac, told.flash_bytes, Security())
            self._identity = self._identity._replace(security=self._security(told.chip))
        return self._identity

    def _security(self, chip: str) -> Security:
        if chip == "esp32":
            with memory_file() as file:
                at, size = hex(who.ESP32_EFUSES), str(who.ESP32_EFUSE_BYTES)
                self.esptool(["dump-mem", at, size, _path(file)], files=[file])
                return who.from_esp32_efuses(_content(file))
        told = self.esptool(["get-security-info"])
        if told.flags is None or told.crypt_count is None:
            raise Locked(f"{self.port.name}: the chip does not tell its security state")
        return who.from_flags(told.flags, told.crypt_count)

    def read_region(self, offset: int, size: int) -> bytes:
        """`size` bytes of flash at `offset`; the transfer is verified by esptool."""
        # Below this the change of rate costs more than it gains.
        fast = self.baud if size > 4 * BLOCK else 0
        with memory_file() as file:
            command = ["read-flash", hex(offset), str(size), _path(file)]
            self.esptool(command, fast=fast, files=[file])
            data = _content(file)
        if len(data) != size:
            raise LinkLost(f"{self.port.name}: {len(data)} of {size} bytes were read: run again")
        return data

    def write_region(self, offset: int, data: bytes, *, name: str = "region") -> None:
        """Write at `offset`, verified by the digest that the chip computes.

        What is there already is not written again. `name` is what secure boot is asked about.
        Locked, TooLarge, NotVerified, LinkLost.
        """
        with memory_file(data) as file:
            piece = Piece(name, offset, _path(file), len(data))
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
            before = self._last.wrote
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
        """The partition table that lies in flash; PartitionError where there is none."""
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
