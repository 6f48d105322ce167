"""`socket.socket`: a TCP connection that the board carries to the twin behind the PPP link.

What has come stays with the board, as it stays with lwIP on a chip, outside the heap.
"""

import errno
import io
import struct

import _link
import _ops
from micropython import const

_POLL = const(3)  # requests of ioctl
_CLOSE = const(4)
_MOST = const(10)  # CONFIG_LWIP_MAX_SOCKETS, which MicroPython leaves as ESP-IDF has it
_CHUNK = const(1024)
_EPROTONOSUPPORT = const(93)
_ENFILE = const(23)
_EBADF = const(9)
_ENOTCONN = const(107)


class socket(io.IOBase):
    def __init__(self, af=2, type=1, proto=0):
        if af != 2 or type != 1:
            raise OSError(_EPROTONOSUPPORT)  # IP packets are not modelled: there is only TCP
        self._number = None
        self._flags = 0
        self._error = 0
        self._timeout = -1  # ms; -1: for ever

    def connect(self, address):
        if self._number is not None:
            raise OSError(errno.EISCONN if self._flags & _ops.POLL_OUT else errno.EALREADY)
        if _link.route is None:
            raise OSError(errno.EHOSTUNREACH)
        host, port = address[:2]
        free = [n for n in range(_MOST) if n not in _link.nets]
        if not free:
            raise OSError(_ENFILE)
        head = struct.pack("<BBH", _link.route, free[0], port)
        _link.call(_ops.NET_OPEN, head + host.encode())
        self._number = free[0]
        _link.nets[self._number] = self._told
        if self._timeout == 0:
            raise OSError(errno.EINPROGRESS)
        if not self._wait(_ops.POLL_OUT):
            raise OSError(errno.ETIMEDOUT)
        self._check()

    def _told(self, state):
        flags, error = struct.unpack("<BH", state)
        self._flags = flags
        self._error = self._error or error

    def _wait(self, wanted):
        # Until one of these flags is there, or an error; at most the time-out.
        wanted |= _ops.POLL_ERR
        until = -1 if self._timeout < 0 else _link.now() + self._timeout * 1000
        while not self._flags & wanted:
            if -1 < until <= _link.stamp():
                break
            _link.idle(until, _ops.WAKE_ON_RX)
        return self._flags & wanted

    def _check(self):
        if self._number is None:
            raise OSError(_ENOTCONN)
        if self._error:
            raise OSError(self._error)

    def setblocking(self, value):
        self._timeout = -1 if value else 0

    def settimeout(self, value):
        self._timeout = -1 if value is None else int(value * 1000)

    def setsockopt(self, level, optname, value):
        pass

    def send(self, buf):
        taken = self._put(buf)
        if taken is None:
            raise OSError(errno.EAGAIN if self._timeout == 0 else errno.ETIMEDOUT)
        return taken

    def _put(self, buf):
        # Bytes that were taken, None when there was no room in time.
        self._check()
        if not self._wait(_ops.POLL_OUT):
            return None
        self._check()
        size = min(len(buf), _CHUNK)
        part = bytearray(1 + size)
        part[0] = self._number
        part[1:] = memoryview(buf)[:size]
        self._flags, taken = struct.unpack("<BH", _link.call(_ops.NET_SEND, part))
        return taken

    def write(self, buf):
        view = memoryview(buf)
        at = 0
        while at < len(view):
            taken = self._put(view[at:])
            if taken is None:
                break
            at += taken
        return at or None if view else 0

    def sendall(self, buf):
        view = memoryview(buf)
        while view:
            view = view[self.send(view) :]

    def _get(self, most):
        # Up to `most` bytes; b"" at the end, None when there were none in time.
        if self._number is None:
            raise OSError(_ENOTCONN)
        if not self._wait(_ops.POLL_IN):
            return None
        if not self._flags & _ops.POLL_IN:
            self._check()
        if _link.route is None:  # what had come went with the link
            self._check()
        request = struct.pack("<BH", self._number, min(most, _CHUNK))
        answer = _link.call(_ops.NET_RECV, request)
        self._flags = answer[0]
        return answer[1:]

    def recv(self, bufsize):
        data = self._get(bufsize)
        if data is None:
            raise OSError(errno.EAGAIN if self._timeout == 0 else errno.ETIMEDOUT)
        return data

    def read(self, size=-1):
        got = b""
        while size < 0 or len(got) < size:
            part = self._get(_CHUNK if size < 0 else size - len(got))
            if part is None and not got:
                return None
            if not part:
                break
            got += part
        return got

    def readinto(self, buf, nbytes=-1):
        data = self.read(len(buf) if nbytes < 0 else min(nbytes, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self._get(1)
            if byte is None and not line:
                return None
            if not byte:
                break
            line += byte
        return line

    def makefile(self, mode="rb", buffering=0):
        return self

    def close(self):
        number, self._number = self._number, None
        if _link.nets.pop(number, None):
            _link.call(_ops.NET_CLOSE, bytes((number,)))

    def ioctl(self, request, arg):
        if request == _POLL:
            return self._flags & (arg | _ops.POLL_ERR | _ops.POLL_HUP)
        if request == _CLOSE:
            self.close()
            return 0
        return -errno.EINVAL
