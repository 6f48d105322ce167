"""A modem's own firmware: it fetches a package over HTTP, restarts and writes it.

Vendors' packages are secret. The twin's own say for which family and version they are, and which
version they make.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hil.virtual.modem.hosts import Unresolved

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

MAGIC = "kapok twin package"
SOCKET = 900  # beside those that a host can open
HEADER_MOST = 4096
PACKAGE_MOST = 1 << 22
STEPS = 4  # of what is told while it fetches, and while it writes
FAULTS = ("none", "refuse", "stall", "flash", "untold")


class Step(Enum):
    """What a family is to tell, each with a number."""

    BEGAN = auto()
    FETCHING = auto()  # percent
    FETCHED = auto()  # bytes
    FAILED = auto()  # a Trouble's value, of the fetching
    STARTED = auto()
    WRITING = auto()  # percent
    WRITTEN = auto()
    BROKEN = auto()  # a Trouble's value, of the package or the writing


class Trouble(Enum):
    """Why there is no new firmware."""

    UNKNOWN_HOST = 1
    NOT_CONNECTED = 2
    NO_FILE = 3
    LOST = 4
    DAMAGED = 5
    OTHER_MODULE = 6
    OTHER_VERSION = 7
    FLASH = 8


@dataclass(frozen=True)
class FotaOptions:
    """`write_s`: how long a module is busy writing. `fault`: one of FAULTS; `stall`: the fetching
    never ends, `flash`: writing fails, `untold`: nothing of it is told on the UART."""

    write_s: float = 90.0
    fault: str = "none"


def package(family: str, base: str, version: str, size: int = 4000) -> bytes:
    """`size` bytes that make `version` of `base` on a module of `family`."""
    head = "\n".join((MAGIC, family, base, version, "")).encode()
    body = head + hashlib.shake_128(head).digest(max(0, size - len(head) - 32))
    return body + hashlib.sha256(body).digest()


class Fota:
    """`version` runs. Power takes what is being fetched; what is fetched, and how far it is
    written, stays: the module goes on when it starts (BG96 DFOTA guide, 3.1, note 2).

    `interrupted` counts the times that somebody ended its writing, which no maker allows.
    """

    def __init__(self, modem: "ModemTwin", version: str, options: FotaOptions) -> None:
        self._modem = modem
        self.options = options
        self.version = version
        self.begun = 0
        self.written = 0
        self.interrupted = 0
        self.package = b""
        self.restart_s: float | None = 0.0  # behind the last byte; None: when the host says so
        self._target = ""  # path of the request while one is fetched
        self._got = bytearray()
        self._length: int | None = None
        self._told = 0
        self._pending: tuple[str, Trouble | None] | None = None  # what is written, and how it ends
        self._steps = 0  # that are written

    @property
    def fetching(self) -> bool:
        """Whether a package is on its way."""
        return bool(self._target)

    @property
    def writing(self) -> bool:
        """Whether it writes from the next start on."""
        return self._pending is not None

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes that are there, and of how many; (0, 0) where there is no package."""
        if self.package:
            return len(self.package), len(self.package)
        return len(self._got), self._length or 0

    def fetch(self, url: str) -> None:
        """Begin; what becomes of it is told by the family's `on_fota`."""
        parts = urlsplit(url)
        self.begun += 1
        self.package = b""
        self._target = parts.path or "/"
        self._got.clear()
        self._length, self._told = None, 0
        self._tell(Step.BEGAN)
        host, port = parts.hostname or "", parts.port or 80

        def opened(connected: bool) -> None:
            if not connected:
                self._fail(Trouble.NOT_CONNECTED)
                return
            ask = f"GET {self._target} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
            self._modem.bridge.send(SOCKET, ask.encode())

        try:
            most = self._modem.family.table.recv_most
            self._modem.bridge.close(SOCKET)
            self._modem.bridge.open(SOCKET, host, port, most, opened)
        except Unresolved:
            self._fail(Trouble.UNKNOWN_HOST)

    def on_data(self, data: bytes) -> None:
        """Bytes of the server."""
        if not self._target:
            return
        self._got += data
        if self._length is None and not self._headed():
            return
        length = self._length or 0
        if self.options.fault == "stall" and 2 * len(self._got) > length:
            self._modem.bridge.close(SOCKET)
            return
        percent = 100 * len(self._got) // max(1, length)
        if percent - self._told >= 100 // STEPS:
            self._told = percent
            self._tell(Step.FETCHING, min(100, percent))
        if len(self._got) >= length:
            self._fetched()

    def on_closed(self) -> None:
        """The server has closed, or the connection broke."""
        if self._target:
            self._fail(Trouble.LOST)

    def lose(self) -> None:
        """The radio is off: what was on its way is gone."""
        if self._target:
            self._fail(Trouble.LOST)

    def start(self) -> None:
        """Restart, and write the package that is there."""
        if not self.package:
            return
        version, trouble = self._judge()
        self._pending, self._steps = (version, trouble), 0
        self.package = b""
        self._modem.restart()

    def write(self, later: Callable[[float, Callable[[], None]], None]) -> None:
        """The module has started: go on writing. `later(seconds, fn)` waits, unless it stops."""
        if self._pending is None:
            return
        version, trouble = self._pending
        if self._steps == 0:
            self._tell(Step.STARTED)
        if trouble is None and self._steps < STEPS:
            self._steps += 1
            self._tell(Step.WRITING, 100 * self._steps // STEPS)
            later(self.options.write_s / STEPS, lambda: self.write(later))
            return
        if trouble is None and self.options.fault == "flash":
            trouble = Trouble.FLASH
        self._pending = None
        if trouble is None:
            self.version = version
            self.written += 1
            self._tell(Step.WRITTEN)
        else:
            self._tell(Step.BROKEN, trouble.value)
        self._modem.restart()

    def _headed(self) -> bool:
        head, mark, body = bytes(self._got).partition(b"\r\n\r\n")
        if not mark:
            if len(self._got) > HEADER_MOST:
                self._fail(Trouble.NO_FILE)
            return False
        lines = head.split(b"\r\n")
        words = lines[0].split()
        if len(words) < 2 or words[1] != b"200":
            self._fail(Trouble.NO_FILE)
            return False
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                self._length = int(value)
        if not self._length or self._length > PACKAGE_MOST:
            self._fail(Trouble.NO_FILE)
            return False
        self._got = bytearray(body)
        return True

    def _fetched(self) -> None:
        self._modem.bridge.close(SOCKET)
        self.package, self._target = bytes(self._got[: self._length]), ""
        self._got.clear()
        self._tell(Step.FETCHED, len(self.package))
        if self.restart_s is not None:
            self._modem.timeline.later(self.restart_s, self.start)

    def _fail(self, trouble: Trouble) -> None:
        self._modem.bridge.close(SOCKET)
        self._target = ""
        self._got.clear()
        self._tell(Step.FAILED, trouble.value)

    def _judge(self) -> tuple[str, Trouble | None]:
        body, digest = self.package[:-32], self.package[-32:]
        if hashlib.sha256(body).digest() != digest:
            return "", Trouble.DAMAGED
        magic, family, base, version, *_ = (*body.split(b"\n", 4), b"", b"", b"", b"")
        if magic != MAGIC.encode() or family != self._modem.family.table.name.encode():
            return "", Trouble.OTHER_MODULE
        if base != self.version.encode():
            return "", Trouble.OTHER_VERSION
        return version.decode(), None

    def _tell(self, step: Step, value: int = 0) -> None:
        if self.options.fault != "untold":
            self._modem.family.on_fota(step, value)
