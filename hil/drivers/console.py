"""A node's console: read in the background, kept with the node's time of each line, matched."""

import codecs
import contextlib
import re
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory

from fleet.flashing.console import Console
from fleet.flashing.errors import PortBusy
from hil.errors import NodeFault
from hil.faults import RigFault
from hil.protocols import NodeConsole

SHOWN = 1500  # characters of what came instead
LATE_S = 1.0  # of real time, that the reader may be behind what has come
LOOK_S = 0.002


class NotSeen(NodeFault):
    """The node did not print what was expected of it; the text has what it printed instead."""


@target_factory.reg_driver
@attr.s(eq=False)
class NodeConsoleDriver(Driver, NodeConsole):
    """Marks are numbers of characters since the place was taken."""

    bindings = {"line": "BoardLine", "clock": "Clock"}  # noqa: RUF012  labgrid's way

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stamps: list[tuple[int, int]] = []  # position, and when each piece was read
        self._seen = 0
        self._reader: threading.Thread | None = None
        self._end = threading.Event()
        self._lock = threading.Lock()  # while bytes are on their way from the port to the text
        self._console: Any = None
        self._lost: RigFault | None = None  # why a port that was lent is not read again

    def on_activate(self) -> None:
        """Nothing: `open` begins to read, once the board has power."""

    def on_deactivate(self) -> None:
        """Read no more."""
        self.close()

    def open(self) -> None:
        """Begin to read."""
        self._lost = None
        if self._reader is not None and self._reader.is_alive():
            return
        try:
            self._console = self.line.opened = Console(self.line.port()).__enter__()
        except PortBusy as e:
            raise RigFault(str(e)) from None
        self._end.clear()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Let go of the port."""
        if self._reader is not None:
            self._end.set()
            self._reader.join()
            self._reader = None
        if self._console is not None:
            self.line.opened = None
            self._console.__exit__()
            self._console = None

    def _read(self) -> None:
        with contextlib.suppress(OSError, termios.error, TypeError):  # unplugged
            while not self._end.is_set():
                data = self._console.read(1)  # waits
                with self._lock:
                    data += self._console.read(self._console.line.in_waiting)
                    if data:
                        self.line.heard_s = time.monotonic()
                        self._stamps.append((len(self._text), self._now_us()))
                        self._text += self._decoder.decode(data).replace("\r", "")

    def _now_us(self) -> int:
        try:
            return int(self.clock.now_us())
        except RigFault:  # whoever waits for the node meets it, too
            return self._stamps[-1][1] if self._stamps else 0

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The port is another program's meanwhile. Where it does not come back, whoever expects
        something of it then meets the rig's fault.
        """
        was_open = self._reader is not None
        self.close()
        try:
            with self.clock.running():
                yield
        finally:
            if was_open:
                try:
                    self.open()
                except RigFault as e:  # it may be that a test unplugged it
                    self._lost = e

    def _heard(self) -> str:
        # What lies in the port was said before somebody asks: the reader may be late, and the
        # kernel too.
        end, before = time.monotonic() + LATE_S, -1
        with contextlib.suppress(OSError, termios.error, TypeError, AttributeError):
            while self._reader is not None and time.monotonic() < end:
                with self._lock:
                    rests = not (self._reader.is_alive() and self._console.line.in_waiting)
                    if rests and len(self._text) == before:
                        break
                    before = len(self._text)
                time.sleep(LOOK_S)
        return self._text

    def mark(self) -> int:
        """Here."""
        return len(self._heard())

    def since(self, mark: int = 0) -> str:
        """What came behind the mark."""
        return self._heard()[mark:]

    def lines(self) -> list[tuple[float, str]]:
        """All lines, each with when its first piece was read."""
        found, at, stamp, stamps = [], 0, 0, list(self._stamps)
        for line in self._text.splitlines(keepends=True):
            while stamps and stamps[0][0] <= at:
                stamp = stamps.pop(0)[1]
            found.append((stamp / 1e6, line.rstrip("\n")))
            at += len(line)
        return found

    def log(self, mark: int = 0, begin_us: int = 0) -> str:
        """What came behind the mark, each line with its seconds since `begin_us`: for a report."""
        at, begin_s = self._text.count("\n", 0, mark), begin_us / 1e6
        return "\n".join(f"{stamp - begin_s:9.3f} {line}" for stamp, line in self.lines()[at:])

    def expect(self, pattern: str, seconds: float, since: int | None = None) -> re.Match[str]:
        """As NodeConsole."""
        start = self._seen if since is None else since

        def look() -> re.Match[str] | None:
            return re.search(pattern, self.since(start))

        found = self.clock.until(look, seconds)
        end = time.monotonic() + LATE_S  # virtual seconds may be over in no time
        while found is None and time.monotonic() < end:
            time.sleep(LOOK_S)
            found = look()
        if found is None and self._lost is not None:
            raise self._lost
        if found is None:
            came = self._text[start:][-SHOWN:] or "(nothing)"
            raise NotSeen(f"{pattern!r} did not come within {seconds} s; this came:\n{came}")
        self._seen = start + found.end()
        return found  # type: ignore[no-any-return]
