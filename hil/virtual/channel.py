"""The host's end of a VM's channel: one reply to each request, on a raw socket for its speed."""

import asyncio
import socket
import struct
from collections.abc import Callable

from hil.virtual.shims import _ops

_HEADER = struct.Struct("<HBq")


class Channel:
    """Calls `on_request(op, time_us, payload)`; each request is answered by one `reply`."""

    def __init__(self, sock: socket.socket, on_request: Callable[[int, int, bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._on_request = on_request
        self._buffer = b""
        self._arm: bytes | None = None
        self.requests = 0
        self._loop.add_reader(sock.fileno(), self._readable)

    def arm(self, operations: int, mode: str) -> None:
        """With the next reply tell the VM to cut the power after so many flash operations."""
        self._arm = struct.pack("<IB", operations, _ops.CUT_MODES.index(mode))

    def reply(self, now_us: int, payload: bytes = b"") -> None:
        """Answer the request."""
        if self._arm is not None:
            payload, self._arm = self._arm + payload, None
            self._send(_ops.ARM, now_us, payload)
        else:
            self._send(_ops.OK, now_us, payload)

    def refuse(self, now_us: int, errno: int, name: str = "") -> None:
        """Answer the request with an OSError, its name behind the number where ESP-IDF has one."""
        self._send(_ops.ERROR, now_us, struct.pack("<h", errno) + name.encode())

    def interrupt(self, now_us: int) -> None:
        """Answer the request, which was not done, with KeyboardInterrupt."""
        self._send(_ops.INTERRUPT, now_us, b"")

    def close(self) -> None:
        """Stop; nothing is read or sent any more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _send(self, status: int, now_us: int, payload: bytes) -> None:
        try:
            self._socket.send(_HEADER.pack(len(payload), status, now_us) + payload)
        except OSError:
            self.close()  # the VM died: its exit is reported by its process

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        data = self._buffer + data
        if len(data) < _HEADER.size:
            self._buffer = data
            return
        size, op, time_us = _HEADER.unpack_from(data)
        end = _HEADER.size + size
        if len(data) < end:
            self._buffer = data
            return
        self._buffer = data[end:]
        self.requests += 1
        self._on_request(op, time_us, data[_HEADER.size : end])
