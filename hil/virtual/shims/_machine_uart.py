"""`machine.UART`: a stream over the board's channel, its receive buffer bounded by `rxbuf`."""

import io
import struct

import _link
import _ops
from micropython import const

_POLL_IN = const(1)
_POLL_OUT = const(4)
_RXBUF = const(256)  # bytes; the port's default
_FIFO = const(128)  # bytes; ESP-IDF wants a buffer that is larger
_units = {}


class UART(io.IOBase):
    IRQ_RX = 1
    IRQ_BREAK = 2  # never comes: no twin makes a break
    IRQ_RXIDLE = 4096

    def __init__(self, id, baudrate=115200, bits=8, parity=None, stop=1, *, tx=None, rx=None,
                 rts=None, cts=None, txbuf=256, rxbuf=-1, timeout=0, timeout_char=0, invert=0,
                 flow=0):  # fmt: skip
        if not 0 <= id <= 2:
            raise ValueError("UART(%d) does not exist" % id)
        old = _units.get(id)
        self._id = id
        self._rx = old._rx if old else b""
        self._rxbuf = _RXBUF
        self._timeout = self._timeout_char = 0
        self._handler = None
        self.init(
            baudrate, bits, parity, stop, rxbuf=rxbuf, timeout=timeout, timeout_char=timeout_char
        )
        _units[id] = self
        self.irq(None)

    def init(self, baudrate=115200, bits=8, parity=None, stop=1, *, tx=None, rx=None, rts=None,
             cts=None, txbuf=256, rxbuf=-1, timeout=0, timeout_char=0, invert=0,
             flow=0):  # fmt: skip
        if -1 < rxbuf <= _FIFO:
            raise OSError(1, "ESP_FAIL")
        self._rxbuf = self._rxbuf if rxbuf < 0 else rxbuf
        bits = bits or 8
        stop = stop or 1
        if not 5 <= bits <= 8:
            raise ValueError("invalid data bits")
        if stop > 2:
            raise ValueError("invalid stop bits")
        self._timeout = timeout
        self._timeout_char = timeout_char
        even_odd = 255 if parity is None else parity & 1
        line = (self._id, baudrate, self._rxbuf, bits, even_odd, stop)
        _link.call(_ops.UART_INIT, struct.pack("<BIHBBB", *line))
        self._byte_us = (1 + bits + (even_odd < 2) + stop) * 1000000 // baudrate
        self._sent = 0  # when the last byte leaves, in us of virtual time
        _link.sinks[self._id] = self._sink

    def deinit(self):
        _link.sinks.pop(self._id, None)
        self._rx = b""
        self.irq(None)

    def _sink(self, data):
        room = self._rxbuf - len(self._rx)
        if len(data) > room:
            _link.call(_ops.UART_OVERRUN, struct.pack("<BI", self._id, len(data) - room))
            data = data[:room]
        self._rx = self._rx + data if self._rx else data
        if self._handler:
            self._handler(self)

    def _wait(self, ms):
        """Until a byte is there, at most `ms` of virtual time."""
        until = _link.now() + ms * 1000
        while not self._rx:
            _link.idle(until, _ops.WAKE_ON_RX)
            if _link.stamp() >= until:
                break
        return len(self._rx)

    def any(self):
        return len(self._rx) or self._wait(0)

    def readinto(self, buf, nbytes=-1):
        size = len(buf) if nbytes < 0 else min(nbytes, len(buf))
        got = 0
        wait = self._timeout
        while got < size and (self._rx or self._wait(wait)):
            part = min(size - got, len(self._rx))
            buf[got : got + part] = self._rx[:part]
            self._rx = self._rx[part:]
            got += part
            wait = self._timeout_char
        return got or None

    def read(self, nbytes=-1):
        if nbytes is None or nbytes < 0:
            nbytes = len(self._rx) or self._wait(self._timeout)
        buf = bytearray(nbytes)
        got = self.readinto(buf)
        return bytes(buf[:got]) if got else None

    def readline(self, size=-1):
        line = b""
        while len(line) != size:
            byte = self.read(1)
            if byte is None:
                break
            line += byte
            if byte == b"\n":
                break
        return line or None

    def write(self, buf):
        view = memoryview(buf)
        for at in range(0, len(view), 4096):
            _link.call(_ops.UART_WRITE, bytes((self._id,)) + view[at : at + 4096])
        self._sent = max(self._sent, _link.stamp()) + len(view) * self._byte_us
        return len(view)

    def ioctl(self, request, arg):
        if request == 3:
            return arg & (_POLL_OUT | (_POLL_IN if self._rx else 0))
        return 0 if request in (1, 4) else -1  # flush, close; -1: no such request

    def flush(self):
        _link.sleep_until(self._sent)

    def txdone(self):
        return _link.now() >= self._sent

    def sendbreak(self):
        return None

    def irq(self, handler=None, trigger=0, hard=False):
        # What came in one go is one piece of receiving: the line is idle behind it.
        if handler is not None and not callable(handler):
            raise ValueError("handler must be None or callable")
        if trigger & ~4099:
            raise ValueError("trigger 0x%04x unsupported" % (trigger & ~4099))
        if hard:
            raise ValueError("hard IRQ is not supported")
        wanted = trigger & (self.IRQ_RX | self.IRQ_RXIDLE)
        self._handler = handler if wanted else None
        busy = [unit for unit in _units.values() if unit._handler]
        _link.heeds = _ops.WAKE_ON_RX if busy else 0
        return handler
