"""SLIP (RFC 1055) as the ROM loader speaks it: each frame between two END bytes."""

END, ESC = 0xC0, 0xDB
MOST = 0x10000 + 64  # a frame's most bytes, still escaped: twice the stub's block and its header


def encode(frame: bytes) -> bytes:
    """The frame with its escapes and both END bytes."""
    return b"\xc0" + frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Decoder:
    """Frames out of a stream; total and bounded.

    What is no frame is left out: bytes before the first END, a wrong escape, a frame longer than
    `most` (escaped). Two END bytes in a row are an empty frame, which is none.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open = False  # within a frame
        self._part = bytearray()
        self._long = False

    @property
    def pending(self) -> int:
        """Bytes of the frame that has begun; never more than `most`."""
        return len(self._part)

    def feed(self, data: bytes) -> list[bytes]:
        """Give it what arrived; the frames that ended in it."""
        frames = []
        pieces = data.split(b"\xc0")
        for index, piece in enumerate(pieces):
            if index:
                if self._open and self._part and not self._long:
                    frame = _unescape(bytes(self._part))
                    if frame is not None:
                        frames.append(frame)
                # An END opens a frame too: so a lost one costs a frame, not all that follow.
                self._open = True
                self._part.clear()
                self._long = False
            if self._open and piece:
                if len(self._part) + len(piece) > self._most:
                    self._long = True
                    self._part.clear()
                elif not self._long:
                    self._part += piece
        return frames


def _unescape(raw: bytes) -> bytes | None:
    marks = raw.count(b"\xdb")
    if not marks:
        return raw
    if raw.count(b"\xdb\xdc") + raw.count(b"\xdb\xdd") != marks:
        return None
    return raw.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
