"""Lines on terminals: a PTY of the twin's own, or a terminal device that exists."""

import asyncio
import contextlib
import os
import select
import termios
import tty

from hil.standalone.lines import Descriptor, LineError

LOOK_S = 0.02  # how often a PTY that nobody has open is looked at
SPEEDS = {  # bits per second -> the terminal interface's number for it
    int(name[1:]): value
    for name, value in vars(termios).items()
    if name.startswith("B") and name[1:].isdigit()
}


class NewPty(Descriptor):
    """A PTY of its own, raw. Drivers may open and close it as often as they like."""

    def __init__(self, baud: int) -> None:
        super().__init__()
        try:
            self._fd, slave = os.openpty()
        except OSError as e:
            raise LineError(f"no PTY: {e.strerror}") from None
        self.name = os.ttyname(slave)
        self._baud = baud
        self._look: asyncio.TimerHandle | None = None
        _make_raw(slave, baud)
        os.close(slave)  # from now on the kernel tells whether a driver has it open
        os.set_blocking(self._fd, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def _watch(self) -> None:
        # A hung-up descriptor is always readable to a selector: it is watched while there is
        # something to read or somebody to write it.
        if self._state() == select.POLLHUP:
            self._look = self._loop.call_later(LOOK_S, self._watch)
        else:
            self._look = None
            super()._watch()

    def _there(self) -> bool:
        return not self._state() & select.POLLHUP

    def _state(self) -> int:
        return next((events for _, events in self._poll.poll(0)), 0)

    def _closed(self) -> None:
        # As on a UART the next one to open it gets no old bytes, nor the last one's settings.
        with contextlib.suppress(OSError):
            slave = os.open(self.name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            termios.tcflush(slave, termios.TCIFLUSH)
            _make_raw(slave, self._baud)
            os.close(slave)
        self._watch()

    def stop(self) -> None:
        """As Line.stop."""
        if self._look is not None:
            self._look.cancel()
        else:
            self._loop.remove_reader(self._fd)
        os.close(self._fd)


class RatedPty(NewPty):
    """A PTY on which a driver must set the modem's rate, as on a wire, or hears garbage."""

    def driver_baud(self) -> int:
        """What the driver has set, in bits per second."""
        speed = termios.tcgetattr(self._fd)[4]
        return next((baud for baud, number in SPEEDS.items() if number == speed), 0)


class Terminal(Descriptor):
    """A terminal device that exists: one end of a pair, or a real serial port."""

    def __init__(self, path: str, baud: int) -> None:
        super().__init__()
        self.name = path
        if baud not in SPEEDS:
            raise LineError(f"{path} cannot have {baud} baud")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except (OSError, ValueError) as e:
            raise LineError(f"{path}: {getattr(e, 'strerror', None) or e}") from None
        try:
            if not os.isatty(self._fd):
                raise LineError(f"{path} is not a terminal")
            self._before = termios.tcgetattr(self._fd)
            _make_raw(self._fd, baud)
        except (LineError, termios.error) as e:
            os.close(self._fd)
            if isinstance(e, LineError):
                raise
            raise LineError(f"{path}: {e.args[-1]}") from None

    def _closed(self) -> None:
        self._gone(f"{self.name} is gone")

    def stop(self) -> None:
        """As Line.stop; the terminal's settings are as they were."""
        self._loop.remove_reader(self._fd)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        os.close(self._fd)


def _make_raw(terminal: int, baud: int) -> None:
    # Raw and without modem control: there may be no carrier detect on the other side.
    tty.setraw(terminal, termios.TCSANOW)
    settings = termios.tcgetattr(terminal)
    settings[2] |= termios.CLOCAL | termios.CREAD
    if baud in SPEEDS:
        settings[4] = settings[5] = SPEEDS[baud]
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
