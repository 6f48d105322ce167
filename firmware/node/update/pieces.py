"""What has come of an update's stream: a file of blocks in the order in which they came.

Each is [grain, length], little-endian numbers of 16 bits, and its bytes; a grain is 256 bytes of
the stream. So a block is written once, at the end, wherever in the stream it belongs, and the
heads say what is missing. What `direct` covers goes elsewhere (see Taker), and is not in here.
"""

import io
import struct
from array import array

from micropython import const

_GRAIN = const(256)
_HEAD = const(4)
_FORMAT = "<HH"
_UNIT = const(16)  # bytes that an encrypted flash takes at once
_SYNC = const(4096)  # bytes that power may cost at most
_CHUNK = const(512)
_ALL = (0, 0)


def kept(offset: int, length: int, direct) -> "tuple[int, int]":
    """How many bytes at the start and at the end of a block lie in the file: what is between them
    lies in whole units of `direct`, (first byte of the stream, byte behind the last).
    """
    low = offset if offset > direct[0] else direct[0]
    low += (direct[0] - low) % _UNIT
    high = offset + length if offset + length < direct[1] else direct[1]
    high -= (high - direct[0]) % _UNIT
    if low >= high:
        return length, 0
    return low - offset, offset + length - high


def scan(path: str, size: int, direct):
    """Give (place in the file, offset, length) of each block; OSError where there is no file."""
    head = bytearray(_HEAD)
    with open(path, "rb") as file:
        at = 0
        end = file.seek(0, 2)
        while at < end:
            file.seek(at)
            file.readinto(head)
            grain, length = struct.unpack(_FORMAT, head)
            offset = grain * _GRAIN
            before, behind = kept(offset, length, direct)
            behind += before + at + _HEAD
            if not length or behind > end or offset + length > size:
                raise ValueError(path)  # nobody wrote that: begin anew
            yield at, offset, length
            at = behind


class Taker:
    """The blocks of a stream of `size` bytes as they come, into the file at `path`.

    `direct` (first, end) of what `put(offset, data)` takes instead, in whole units of 16 bytes.
    ValueError where the file is damaged.
    """

    def __init__(self, path: str, size: int, direct=_ALL, put=None) -> None:
        self._size = size
        self._direct = direct
        self._put = put
        self._there = bytearray((size + 8 * _GRAIN - 1) // (8 * _GRAIN))
        self._unsaved = 0
        self.mark = 0  # bytes that are there
        try:
            for _, offset, length in scan(path, size, direct):
                self._note(offset, length)
        except OSError:
            pass  # none came yet
        self._path = path
        self._file = None

    def missing(self, size: int, first: int, end: int, most: int) -> "tuple[int, bytes]":
        """Of the blocks of `size` bytes that the stream's bytes `first` to `end` lie in: the index
        of the first one that is missing, and which of the `most` from there on are, as bits, the
        most significant one first. (0, b"") when none is.
        """
        at = first // size
        end = (end + size - 1) // size
        while at < end and self._has(at * size, size):
            at += 1
        if at >= end:
            return 0, b""
        bits = bytearray((most + 7) // 8)
        for i in range(min(most, end - at)):
            if not self._has((at + i) * size, size):
                bits[i >> 3] |= 128 >> (i & 7)
        return at, bytes(bits).rstrip(b"\0")

    def take(self, size: int, index: int, data) -> None:
        """A block that came: kept if it belongs here, is whole and is not there yet."""
        offset = index * size
        length = min(size, self._size - offset)
        if index < 0 or not 0 < length == len(data) or self._has(offset, length):
            return
        if self._file is None:
            self._file = open(self._path, "ab")  # noqa: SIM115
        before, behind = kept(offset, length, self._direct)
        middle = length - before - behind
        if middle:
            put = self._put
            put(offset + before, memoryview(data)[before : before + middle])  # type: ignore
        self._file.write(struct.pack(_FORMAT, offset // _GRAIN, length))
        if middle:
            self._file.write(data[:before])
            self._file.write(data[length - behind :])
        else:
            self._file.write(data)
        self._note(offset, length)
        self._unsaved += length
        if self._unsaved >= _SYNC:
            self.sync()

    def sync(self) -> None:
        """What has come outlives the power."""
        if self._unsaved:
            self._file.flush()  # type: ignore[union-attr]
        self._unsaved = 0

    def close(self) -> None:
        """As `sync`, for the last time."""
        if self._file is not None:
            self._file.close()

    def _has(self, offset: int, length: int) -> bool:
        # All of a block, which may be of several that were smaller.
        end = min(offset + length, self._size)
        for grain in range(offset // _GRAIN, (end + _GRAIN - 1) // _GRAIN):
            if not self._there[grain >> 3] & 1 << (grain & 7):
                return False
        return True

    def _note(self, offset: int, length: int) -> None:
        for grain in range(offset // _GRAIN, (offset + length + _GRAIN - 1) // _GRAIN):
            if not self._there[grain >> 3] & 1 << (grain & 7):
                self._there[grain >> 3] |= 1 << (grain & 7)
                self.mark = min(self.mark + _GRAIN, self._size)


class Reader(io.IOBase):
    """Bytes `first` to `end` of a stream of `size`, all of which have come. Its own `close` frees
    the file."""

    def __init__(self, path: str, size: int, first: int, end: int, direct=_ALL) -> None:
        self._direct = direct
        self._first = first
        self._end = end
        self._at = first
        low, high = first // _GRAIN, (end + _GRAIN - 1) // _GRAIN
        self._low = low
        self._places = array("I", bytes(4 * max(0, high - low)))
        for place, offset, length in scan(path, size, direct):
            grain = offset // _GRAIN
            last = min(high, grain + (length + _GRAIN - 1) // _GRAIN)
            for at in range(max(low, grain), last):
                self._places[at - low] = place + 1
        self._file = open(path, "rb")  # noqa: SIM115
        self._held = bytearray(_CHUNK)
        self._from = self._to = 0  # of the stream: what is held

    def seek(self, position: int, _whence: int = 0) -> int:
        """To `position` behind the first byte."""
        self._at = self._first + position
        return position

    def readinto(self, buf) -> int:
        """At least a byte; 0 at the end. ValueError for what has not come."""
        at = self._at
        if at >= self._end:
            return 0
        if not self._from <= at < self._to:
            self._load(at)
        n = min(len(buf), self._to - at)
        if n == 1:  # as DeflateIO asks
            buf[0] = self._held[at - self._from]
        else:
            buf[:n] = memoryview(self._held)[at - self._from : at - self._from + n]
        self._at = at + n
        return n

    def done(self) -> None:
        """Free the file."""
        self._file.close()

    def _load(self, at: int) -> None:
        place = self._places[at // _GRAIN - self._low]
        if not place:
            raise ValueError(at)
        file = self._file
        file.seek(place - 1)
        grain, length = struct.unpack(_FORMAT, file.read(_HEAD))
        offset = grain * _GRAIN
        before, behind = kept(offset, length, self._direct)
        end = offset + before
        place += _HEAD - 1
        if at >= end:
            if at < offset + length - behind:
                raise ValueError(at)  # it went elsewhere
            offset, end = offset + length - behind, offset + length
            place += before
        file.seek(place + at - offset)
        n = min(end - at, _CHUNK, self._end - at)
        file.readinto(memoryview(self._held)[:n])
        self._from = at
        self._to = at + n
