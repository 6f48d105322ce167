"""What a module keeps of received data until the host fetches it by a command."""

from collections import deque
from dataclasses import dataclass

from hil.virtual.modem.connection import Connection

MOST = 16_384  # bytes of one socket; a datagram that does not fit is lost


@dataclass
class Piece:
    """Bytes that came at once. `left` is what a partial read leaves of them."""

    host: str
    port: int
    data: bytes
    datagram: bool = False
    left: int = 0


def regulate(inbox: "Inbox", socket: object) -> None:
    """Hold back the peer of a TCP `socket` for as long as the inbox is full."""
    if isinstance(socket, Connection):
        if inbox.waiting >= MOST:
            socket.hold_back()
        else:
            socket.go_on()


class Inbox:
    """The received data of one socket, in order; `waiting` bytes of it are there to be read."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self.waiting = 0

    def put(self, piece: Piece) -> bool:
        """Keep it; False for a datagram that found no room."""
        if piece.datagram and self.waiting + len(piece.data) > MOST:
            return False
        self._pieces.append(piece)
        self.waiting += len(piece.data)
        return True

    @property
    def first(self) -> int:
        """Bytes of the first datagram, or of the whole stream."""
        if not self._pieces:
            return 0
        return len(self._pieces[0].data) if self._pieces[0].datagram else self.waiting

    def take(self, most: int) -> Piece | None:
        """At most `most` bytes: of the first datagram, or of the stream; None where nothing is.

        What is left of a datagram comes with the next call. A stream's `left` is all of it.
        """
        if not self._pieces:
            return None
        first = self._pieces[0]
        if first.datagram:
            data, first.data = first.data[:most], first.data[most:]
            left = len(first.data)
            if not left:
                self._pieces.popleft()
            self.waiting -= len(data)
            return Piece(first.host, first.port, data, True, left)
        data = self.read(most)
        return Piece(first.host, first.port, data, False, self.waiting)

    def read(self, most: int) -> bytes:
        """At most `most` bytes, datagrams run together as if they were a stream."""
        data = bytearray()
        while self._pieces and len(data) < most:
            piece = self._pieces[0]
            room = most - len(data)
            data += piece.data[:room]
            piece.data = piece.data[room:]
            if not piece.data:
                self._pieces.popleft()
        self.waiting -= len(data)
        return bytes(data)
