"""The lines by name, as a user writes them."""

from hil.standalone.lines import Line
from hil.standalone.tcp import Tcp
from hil.standalone.terminals import NewPty, RatedPty, Terminal


def open_line(port: str, baud: int) -> Line:
    """`pty`, `tcp:PORT` or a terminal device's path, with or without `tty:`; LineError where it
    cannot be opened.

    `wire` is a PTY on which a driver's rate counts. `baud` is set on a terminal: a real serial
    port heeds it.
    """
    if port == "pty":
        return NewPty(baud)
    if port == "wire":
        return RatedPty(baud)
    if port.startswith("tcp:"):
        return Tcp(int(port[4:]))
    return Terminal(port.removeprefix("tty:"), baud)
