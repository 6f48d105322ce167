"""An authority's platform: a TCP server that takes HJ 212 or SL 651, and keeps what it has taken.

`mood` says how it answers the next frames: answer, silent, hang-up, refuse; then it answers.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fleet.legacy.protocols import hj212, sl651
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import Garbage


@dataclass
class Platform:
    protocol: str
    port: int = 0
    mood: list[str] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)  # all that came
    taken: list[Any] = field(default_factory=list)  # what it answered
    said: list[bytes] = field(default_factory=list)  # what came and was no report
    asks: bytes = b""  # sent before the first answer of a connection
    always: str = ""  # how it answers frames that `picks` chooses
    picks: Any = None
    connections: int = 0

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                try:
                    self._talk(connection)
                except OSError:
                    continue

    def _talk(self, connection: socket.socket) -> None:
        codec: Any = hj212 if self.protocol == "hj212" else sl651
        splitter = codec.splitter()
        if self.asks:
            connection.sendall(self.asks)
        while data := connection.recv(4096):
            for raw in splitter.feed(data):
                assert not isinstance(raw, Garbage), raw
                frame = codec.decode(raw)
                if self.protocol == "hj212" and frame.kind == "answer":
                    self.said.append(raw)
                    continue
                self.frames.append(frame)
                mood = self.mood.pop(0) if self.mood else "answer"
                if self.picks is not None and self.picks(frame):
                    mood = self.always
                if mood == "hang-up":
                    return
                if mood == "silent":
                    continue
                answer = self._refusal(frame) if mood == "refuse" else codec.answer(frame)
                if mood == "answer":
                    self.taken.append(frame)
                connection.sendall(answer)

    def _refusal(self, frame: Any) -> bytes:
        if self.protocol == "hj212":
            result = ((("QnRtn", "3"),),)
            return hj212.encode(
                hj212.Packet("91", "9011", frame.mn, result, frame.qn, frame.pw, 4)
            )
        at = datetime.now(UTC)
        return sl651.encode(sl651.reply(frame, words.NAK, at))


@contextmanager
def platform(protocol: str) -> Iterator[Platform]:
    """One that listens meanwhile."""
    made = Platform(protocol)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.port = listener.getsockname()[1]
        thread = threading.Thread(target=made.serve, args=(listener,), daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
