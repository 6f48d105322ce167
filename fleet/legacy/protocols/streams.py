"""Frames out of a stream of bytes: by their length, with a way back after garbage, and bounded."""

from collections.abc import Callable

from fleet.legacy.protocols.frame import FrameError, Garbage

# What `length` says of bytes: how many the frame that begins with them has, 0 while that cannot be
# told yet. It raises FrameError where no frame begins so.
Length = Callable[[bytes], int]
Judge = Callable[[bytes], object]
_HEAD = 32  # bytes by which every protocol's `length` can tell


class Splitter:
    """Cuts a stream into frames; what is between them comes out as Garbage.

    Invariant: `_held` begins where a frame may begin, and is never longer than the longest frame.
    A frame that is whole by its length is judged (its checks, not its meaning). One that fails
    gives up its first byte only: the next may have been swallowed by a length that lies.
    """

    def __init__(
        self,
        starts: bytes | tuple[bytes, ...],
        longest: int,
        length: Length,
        judge: Judge,
        between: bytes = b"",
    ) -> None:
        """`starts`: the bytes that a frame begins with, none where it has no such mark;
        `longest`: bytes of the longest frame; `between`: bytes that may stand between two frames.
        """
        self._starts = (starts,) if isinstance(starts, bytes) else starts
        self._longest, self._between = longest, between
        self._length, self._judge = length, judge
        self._held = bytearray()
        self._lost = bytearray()
        self._why = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held: what comes next may be a frame as it is."""
        return not self._held

    def feed(self, data: bytes) -> list[bytes | Garbage]:
        """What is whole after these bytes, in their order. Total; holds back one frame at most."""
        out: list[bytes | Garbage] = []
        for at in range(0, len(data), self._longest):
            self._held += data[at : at + self._longest]
            while self._held and self._step(out):
                pass
        self._report(out)
        return out

    def flush(self) -> list[bytes | Garbage]:
        """The line was silent: what is held will not become a frame as it begins, look behind."""
        out: list[bytes | Garbage] = []
        while self._held:
            if not self._step(out):
                self._drop(1, "cut short")
        self._report(out)
        return out

    def _step(self, out: list[bytes | Garbage]) -> bool:
        """One frame or some garbage moved away; False when more bytes are needed."""
        places = [self._held.find(one) for one in self._starts]
        start = min((place for place in places if place >= 0), default=-1)
        if start < 0:
            # The last bytes may be the beginning of a start that goes on.
            keep = max(map(len, self._starts)) - 1
            while keep and not self._begins(bytes(self._held[-keep:])):
                keep -= 1
            self._drop(len(self._held) - keep, "no start")
            return False
        self._drop(start, "no start")
        try:
            size = self._length(bytes(self._held[:_HEAD]))
            if size == 0 or size > len(self._held):
                return False
            frame = bytes(self._held[:size])
            self._judge(frame)
        except FrameError as e:
            self._drop(1, e.what)
            return True
        self._report(out)
        out.append(frame)
        del self._held[:size]
        return True

    def _begins(self, head: bytes) -> bool:
        return any(one.startswith(head) for one in self._starts)

    def _drop(self, count: int, why: str) -> None:
        if count <= 0:
            return
        self._why = self._why or why
        self._lost += self._held[:count]
        del self._held[:count]

    def _report(self, out: list[bytes | Garbage]) -> None:
        if self._lost.strip(self._between):
            out.append(Garbage(bytes(self._lost), self._why))
        self._lost.clear()
        self._why = ""
