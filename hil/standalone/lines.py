"""A serial line between a driver and the twin, and what lines on file descriptors share."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Protocol

from fleet.errors import Refusal

READ_MOST = 4096


class LineError(Refusal):
    """The line cannot be opened, or is gone; the text is one line."""


class Line(Protocol):
    """A serial line. `name` is what a driver opens, `lost` counts bytes that reached nobody."""

    name: str
    lost: int

    def start(self, heard: Callable[[bytes], None], gone: Callable[[str], None]) -> None:
        """Give `heard` what drivers write; call `gone(why)` where the line has ended for good."""

    def send(self, data: bytes) -> None:
        """To the driver; what nobody is there to take, or has no room for, is lost."""

    def driver_baud(self) -> int:
        """The driver's rate in bits per second, 0 where it does not matter."""

    def stop(self) -> None:
        """Close it."""


class Descriptor:
    """What a file descriptor in an asyncio loop has in common with another."""

    def __init__(self) -> None:
        self.name = ""
        self.lost = 0
        self._fd = -1

    def start(self, heard: Callable[[bytes], None], gone: Callable[[str], None]) -> None:
        """As Line.start; in a running loop."""
        self._heard = heard
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._watch()

    def send(self, data: bytes) -> None:
        """As Line.send."""
        taken = 0
        if self._there():
            with contextlib.suppress(OSError):  # no room, or gone: reading finds out which
                taken = os.write(self._fd, data)
        self.lost += len(data) - taken

    def driver_baud(self) -> int:
        """0: it does not matter."""
        return 0

    def _there(self) -> bool:
        return self._fd >= 0

    def _watch(self) -> None:
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self._loop.remove_reader(self._fd)
            self._closed()

    def _closed(self) -> None:
        raise NotImplementedError
