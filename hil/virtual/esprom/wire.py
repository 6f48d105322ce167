"""A PTY as a serial line that takes its time: paced by the rate that the host has set on it."""

import asyncio
import contextlib
import fcntl
import os
import select
import struct
import termios
import tty
from collections import deque
from collections.abc import Callable

from fleet.errors import Refusal

LOOK_S = 0.01  # how often a PTY that nobody has open is looked at
CHUNK_S = 0.01  # of the line, read at a time where it is paced
READ_MOST = 65536
BITS = 10  # of a byte on the line
QUEUE_MOST = 1 << 20  # bytes that wait for a host which does not read: a UART loses sooner
TCGETS2 = 0x802C542A  # tells any rate in bits per second, termios only the named ones
TERMIOS2 = struct.Struct("4I20s2I")


class WireError(Refusal):
    """There is no PTY to be had; the text is one line."""


class Wire:
    """The board's end of a PTY: raw, and held whether or not a host has it open.

    `paced`: bytes take the time that they would on a line of `link_baud`, or else of the host's
    rate. Hosts may open and close it as often as they like. In a running loop.
    """

    def __init__(self, *, paced: bool = False, link_baud: int = 0) -> None:
        self.paced = paced
        self.link_baud = link_baud
        self.name = ""
        self.lost = 0  # bytes for which no host was there
        self._fd = -1
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued = 0
        self._sent_until = self._heard_until = 0.0
        self._held = b""  # read, but still on the line
        self.heard: Callable[[bytes], None] = lambda data: None
        self.opened: Callable[[], None] = lambda: None
        self.closed: Callable[[], None] = lambda: None
        self.plug()

    # The plug

    def plug(self) -> None:
        """Make the PTY; `name` is its path. Its number may be another one than before."""
        try:
            self._fd, slave = os.openpty()
        except OSError as e:
            raise WireError(f"no PTY: {e.strerror}") from None
        self.name = os.ttyname(slave)
        _make_raw(slave)
        os.close(slave)  # from now on the kernel tells whether a host has it open
        os.set_blocking(self._fd, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._look()

    def unplug(self) -> None:
        """The PTY vanishes, as a USB adapter does: whoever has it open gets an error."""
        if self._fd < 0:
            return
        self._still()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    @property
    def plugged(self) -> bool:
        """Whether there is a PTY."""
        return self._fd >= 0

    @property
    def open(self) -> bool:
        """Whether a host has it open."""
        return self._there()

    # Rates

    @property
    def baud(self) -> int:
        """What the host has set, in bits per second; 0 where it cannot be told."""
        try:
            raw = fcntl.ioctl(self._fd, TCGETS2, bytes(TERMIOS2.size))
        except OSError:
            return 0
        return int(TERMIOS2.unpack(raw)[6])

    def _line_s(self, count: int) -> float:
        rate = self.link_baud or self.baud
        return count * BITS / rate if self.paced and rate else 0.0

    # To the host

    def send(self, data: bytes, not_before: float = 0.0) -> None:
        """Bytes for the host, on the line at `not_before` (the loop's time) at the earliest."""
        if not self.plugged or not data:
            return
        if self._queued + len(data) > QUEUE_MOST:
            self.lost += len(data)
            return
        self._queued += len(data)
        start = max(self._loop.time(), not_before, self._sent_until)
        self._sent_until = start + self._line_s(len(data))
        self._queue.append((self._sent_until, data))
        if self._send_timer is None:
            self._drain()

    def drop(self) -> None:
        """What has not been sent yet never will be: the board was reset."""
        self._queue.clear()
        self._queued = 0
        self._sent_until = 0.0
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _drain(self) -> None:
        self._send_timer = None
        while self._queue:
            due, data = self._queue[0]
            if due > self._loop.time():
                self._send_timer = self._loop.call_at(due, self._drain)
                return
            self._queue.popleft()
            self._queued -= len(data)
            if not self._there():
                self.lost += len(data)
                continue
            try:
                taken = os.write(self._fd, data)
            except BlockingIOError:
                taken = 0
            except OSError:
                self.lost += len(data)
                continue
            if taken < len(data):  # the host is slow to read
                self._queue.appendleft((due, data[taken:]))
                self._queued += len(data) - taken
                self._send_timer = self._loop.call_later(0.002, self._drain)
                return

    # From the host

    def _look(self) -> None:
        # A hung-up descriptor is always readable to a selector, so it is looked at by timer.
        self._timer = None
        if not self._there():
            self._timer = self._loop.call_later(LOOK_S, self._look)
            return
        self._loop.add_reader(self._fd, self._read)
        self.opened()

    def _there(self) -> bool:
        if self._fd < 0:
            return False
        state = next((events for _, events in self._poll.poll(0)), 0)
        return not state & select.POLLHUP

    def _read(self) -> None:
        self._take(self._loop.time())

    def _take(self, start: float) -> bool:
        """Read what has come on the line from `start` on; whether there was something."""
        rate = (self.link_baud or self.baud) if self.paced else 0
        most = max(1, min(READ_MOST, int(rate / BITS * CHUNK_S))) if rate else READ_MOST
        try:
            data = os.read(self._fd, most)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
            self._hung_up()
        elif not rate:
            self.heard(data)
        else:
            self._loop.remove_reader(self._fd)
            self._heard_until = max(start, self._heard_until) + len(data) * BITS / rate
            self._held = data
            self._timer = self._loop.call_at(self._heard_until, self._arrived)
        return True

    def _arrived(self) -> None:
        self._timer = None
        data, self._held = self._held, b""
        fd = self._fd
        self.heard(data)
        if self._fd != fd or self._timer is not None:
            return
        # What waits already followed without a gap: that we are late is not the line's fault.
        if not self._take(self._heard_until):
            self._loop.add_reader(self._fd, self._read)

    def _hung_up(self) -> None:
        self.drop()
        # As on a UART the next host to open it gets no old bytes, nor the last one's settings.
        with contextlib.suppress(OSError):
            slave = os.open(self.name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            termios.tcflush(slave, termios.TCIFLUSH)
            _make_raw(slave)
            os.close(slave)
        self._look()
        self.closed()

    def _still(self) -> None:
        self.drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held = b""
        self._heard_until = 0.0


def _make_raw(terminal: int) -> None:
    tty.setraw(terminal, termios.TCSANOW)
    settings = termios.tcgetattr(terminal)
    settings[2] |= termios.CLOCAL | termios.CREAD
    settings[4] = settings[5] = termios.B115200
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
