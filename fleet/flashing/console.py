"""A board's console, which lives through the reset of a chip that is its own USB adapter."""

import contextlib
import termios
import time
from typing import Any

from fleet.flashing.errors import PortBusy
from fleet.flashing.ports import Port

BAUD = 115_200
LOOK = 0.1  # seconds that a read waits
RETURN = 5.0  # seconds in which a port that vanished at a reset is back


def opened(device: str, timeout: float) -> Any:
    """A serial port of pyserial's for this program alone, whose opening resets no board.

    OSError, termios.error.
    """
    import serial as pyserial

    serial: Any = pyserial  # untyped
    line = serial.Serial()
    line.port, line.baudrate, line.timeout, line.exclusive = device, BAUD, timeout, True
    # Linux raises DTR and RTS together, which leaves EN and the strap alone. Lowered by pyserial,
    # DTR before RTS, they pull EN meanwhile.
    line.dtr = line.rts = True
    line.open()
    return line


class Console:
    """The port opened by pyserial, which resets no board; a context manager."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.line: Any = None

    def __enter__(self) -> "Console":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self.line is not None:
            self.line.close()

    def _open(self) -> None:
        try:
            line = opened(self._port.path, LOOK)
        except (OSError, termios.error) as e:  # pyserial wraps some of them only
            raise PortBusy(f"{self._port.name}: cannot open the console: {e}") from None
        self.line = line

    def clear(self) -> None:
        """Forget what came so far."""
        # The port of a chip that resets may be gone just now: then `read` finds it again.
        with contextlib.suppress(OSError, termios.error):
            self.line.reset_input_buffer()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes that came within LOOK; OSError when the port is gone for good."""
        try:
            return bytes(self.line.read(size))
        except (OSError, termios.error) as e:
            if not self._port.native_usb:
                raise OSError(str(e)) from None
        self.line.close()
        end = time.monotonic() + RETURN
        while True:
            time.sleep(LOOK)
            try:
                self._open()
                return b""
            except PortBusy as e:
                if time.monotonic() > end:
                    raise OSError(str(e)) from None
