"""`sys.stdin`, `sys.stdout` and `micropython.kbd_intr` while the prompt is there, over UART0.

Loaded with the prompt only. `print` needs none of it: it goes by the process's standard output,
whose lines the board ends with CR LF as the chip's port does.
"""

import struct
import sys

import _link
import _ops
import micropython
from micropython import const

_IOCTL_POLL = const(3)
_POLLIN = const(1)
_POLLOUT = const(4)
_MOST = const(16384)  # bytes of one request
_AHEAD = const(256)
_ahead = b""  # typed, taken from the board, not yet read


def char():
    """The next byte that is typed, as a number."""
    global _ahead  # noqa: PLW0603
    while not _fill():
        _link.idle(-1, _ops.WAKE_ON_TYPED)
    c = _ahead[0]
    _ahead = _ahead[1:]
    return c


def _fill():
    global _ahead  # noqa: PLW0603
    if not _ahead:
        _ahead = _link.call(_ops.SERIAL_READ, struct.pack("<H", _AHEAD))
    return len(_ahead)


def put(data):
    """Bytes as they are, behind all that was printed before."""
    data = memoryview(data)
    for at in range(0, len(data), _MOST):
        _link.call(_ops.SERIAL_WRITE, bytes(data[at : at + _MOST]))


def kbd_intr(char):
    """Which byte interrupts; -1: none, so that binary data gets through."""
    _link.call(_ops.KBD_INTR, struct.pack("<h", char))


class Input:
    def __init__(self, buffer):
        self.buffer = buffer  # None: this one is binary

    def readinto(self, buf, nbytes=None):
        global _ahead  # noqa: PLW0603
        n = len(buf) if nbytes is None else min(nbytes, len(buf))
        at = 0
        while at < n:
            while not _fill():
                _link.idle(-1, _ops.WAKE_ON_TYPED)
            part = _ahead[: n - at]
            _ahead = _ahead[len(part) :]
            buf[at : at + len(part)] = part
            at += len(part)
        return n

    def read(self, size=1):
        buf = bytearray(1 if size is None or size < 0 else size)
        self.readinto(buf)
        return str(buf.replace(b"\r", b"\n"), "utf-8") if self.buffer else bytes(buf)

    def readline(self, size=-1):
        line = b""
        while not line.endswith(b"\n") and len(line) != size:
            c = char()
            line += b"\n" if c == 13 and self.buffer else bytes((c,))
        return str(line, "utf-8") if self.buffer else line

    def ioctl(self, op, arg):
        if op != _IOCTL_POLL:
            return -1
        if not arg & _POLLIN:
            return 0
        if _fill():
            _link.heeds &= ~_ops.WAKE_ON_TYPED
            return _POLLIN
        _link.heeds |= _ops.WAKE_ON_TYPED  # the poll that asks will idle next
        return 0


class Output:
    def __init__(self, buffer):
        self.buffer = buffer

    def write(self, data, nbytes=None):
        if self.buffer:
            return _stdout.write(data)
        if nbytes is not None:
            data = memoryview(data)[:nbytes]
        put(data)
        return len(data)

    def flush(self):
        return None

    def ioctl(self, op, arg):
        return arg & _POLLOUT if op == _IOCTL_POLL else -1


class _Sys:
    platform = "esp32"
    stdin = Input(Input(None))
    stdout = stderr = Output(Output(None))

    def __getattr__(self, name):
        return getattr(_sys, name)


class _MicroPython:
    def kbd_intr(self, chr):
        kbd_intr(chr)

    def __getattr__(self, name):
        return getattr(_micropython, name)


def _input(prompt=""):
    _stdout.write(prompt)
    line = _Sys.stdin.readline()[:-1]
    _stdout.write(line + "\n")
    return line


def install():
    """Let programs that import `sys` and `micropython` find these."""
    import builtins

    sys.modules["sys"] = _Sys()
    sys.modules["micropython"] = _MicroPython()
    builtins.input = _input


_sys, _stdout, _micropython = sys, sys.stdout, micropython
