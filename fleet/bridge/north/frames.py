"""A connection to a platform that answers each frame: sent, repeated until answered, once at a
time. What the platform asks meanwhile is refused in its own words: nothing is commanded this way.
"""

import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from fleet.alarms.delivery import DeliveryError
from fleet.bridge.keys import Keys
from fleet.legacy.protocols.frame import FrameError, Garbage

CONNECT_S = 10.0
MOST_GARBAGE = 65536  # bytes of one answer that are no frame


class Talk(Protocol):
    """What a protocol makes of the line's frames."""

    def splitter(self) -> Any:
        """Cuts what comes."""

    def answers(self, sent: bytes, came: bytes) -> bool:
        """Whether what came takes what was sent; DeliveryError (lasting) where it refuses it."""

    def reply(self, came: bytes) -> bytes | None:
        """What is said to anything else."""


class _HungUp(DeliveryError):
    """The other end is gone."""


class Line:
    """One TCP connection, opened when it is needed."""

    def __init__(
        self, table: Keys, talk: Talk, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = table.text("host", most=253)
        self._port = table.whole("port", 1, 65535)
        # What the platform may set by command 1000 in HJ 212: how long, and how often again.
        self._answer_s = table.whole("answer_s", 1, 300, 10)
        self._repeats = table.whole("repeats", 0, 20, 3)
        self._talk, self._clock = talk, clock
        self._socket: socket.socket | None = None
        self._splitter: Any = None

    def deliver(self, frame: bytes) -> None:
        """Return when the platform has answered it; DeliveryError."""
        was_open = self._socket is not None
        try:
            self._deliver(frame)
        except _HungUp as e:
            if not was_open:
                raise DeliveryError(str(e)) from None
            self._deliver(frame)  # a line that was idle for long is closed, and nobody is told

    def _deliver(self, frame: bytes) -> None:
        where = f"{self._host}:{self._port}"
        try:
            self._open()
            for _ in range(self._repeats + 1):
                self._send(frame)
                if self._answered(frame):
                    return
            text = f"{where}: no answer in {self._answer_s} s, {self._repeats + 1} times"
            raise DeliveryError(text)
        except ConnectionError as e:
            self.close()
            raise _HungUp(f"{where}: {_reason(e)}") from None
        except OSError as e:
            self.close()
            raise DeliveryError(f"{where}: {_reason(e)}") from None
        except DeliveryError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> None:
        if self._socket is not None:
            return
        self._socket = socket.create_connection((self._host, self._port), CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._splitter = self._talk.splitter()

    def _send(self, frame: bytes) -> None:
        assert self._socket is not None  # noqa: S101
        self._socket.settimeout(CONNECT_S)
        self._socket.sendall(frame)

    def _answered(self, frame: bytes) -> bool:
        """Whether the answer came in time. What came late for an earlier frame is passed over."""
        assert self._socket is not None  # noqa: S101
        end = self._clock() + self._answer_s
        garbage = 0
        while (left := end - self._clock()) > 0:
            self._socket.settimeout(max(left, 0.001))
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                return False
            if not data:
                raise ConnectionResetError("it hung up")
            for came in self._splitter.feed(data):
                if isinstance(came, Garbage):
                    garbage += len(came.data)
                    if garbage > MOST_GARBAGE:
                        raise DeliveryError(f"{self._host}:{self._port}: it sends no frames")
                elif self._understood(frame, came):
                    return True
        return False

    def _understood(self, frame: bytes, came: bytes) -> bool:
        try:
            if self._talk.answers(frame, came):
                return True
            reply = self._talk.reply(came)
        except FrameError:
            return False
        if reply is not None:
            self._send(reply)
        return False


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return error.strerror or str(error) or type(error).__name__
