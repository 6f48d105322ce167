"""From a part of an update's stream to what it installs: as it is, inflated, or a patch applied.

A patch is detools' of type sequential without compression (detools 0.53), within zlib's frame
(RFC 1950) whose window is at most WBITS. Buffers are bounded by this file, never by what came.
"""

import deflate
from micropython import const

from node.update.ends import Refused
from node.wire import release

_CHUNK = const(512)
_LANE = const(32)  # bytes that are added at once
_LOW = int.from_bytes(b"\x7f" * 32, "big")
_HIGH = int.from_bytes(b"\x80" * 32, "big")
_ZERO = bytes(32)


def build(source, form: int, base, size: int, write, done: int = 0) -> None:
    """Give `write` the `size` bytes of what a part is, in pieces of up to 512, in order.

    `source` is a stream (io.IOBase) that gives the part's bytes by readinto and knows seek(0);
    `form` is the release's; `base` has seek(position) and readinto(buffer), of a DELTA only.
    `done`: so many bytes were written by an earlier go and are left out. Refused (BAD_DELTA) for
    everything that is no such part, which is known for certain only at its end. `write` raises
    no OSError.
    """
    try:
        if form != release.PLAIN:
            source = _inflated(source)
        if form == release.DELTA:
            _patch(source, base, size, write, done)
        else:
            _copy(source, size, write, 0, done)
        if source.readinto(bytearray(1)):
            raise Refused(release.BAD_DELTA)  # there is more than was declared
    except (OSError, EOFError, ValueError):
        raise Refused(release.BAD_DELTA)


def _inflated(source):
    # RFC 1950, 2.2: CM 8, CINFO the window's bits less 8, a check, no dictionary.
    head = bytearray(2)
    _fill(source, memoryview(head))
    if head[0] & 15 != 8 or (head[0] >> 4) + 8 > release.WBITS:
        raise Refused(release.BAD_DELTA)
    if head[1] & 0x20 or (head[0] << 8 | head[1]) % 31:
        raise Refused(release.BAD_DELTA)
    source.seek(0)
    return deflate.DeflateIO(source, deflate.ZLIB, release.WBITS)


def _fill(source, view) -> None:
    at = 0
    while at < len(view):
        n = source.readinto(view[at:])
        if not n:
            raise Refused(release.BAD_DELTA)  # it ends too early
        at += n


def _copy(source, size: int, write, at: int, done: int) -> None:
    # `size` bytes, the first of which is byte `at` of the whole.
    view = memoryview(bytearray(_CHUNK))
    while size:
        n = min(size, _CHUNK)
        part = view[:n]
        _fill(source, part)
        _give(part, at, write, done)
        at += n
        size -= n


def _give(part, at: int, write, done: int) -> None:
    if at + len(part) > done:
        write(part[max(done - at, 0) :])


def _patch(source, base, size: int, write, done: int) -> None:
    byte = memoryview(bytearray(1))
    _fill(source, byte)
    # Type sequential, compression none; then the size; no data format.
    if byte[0] or _number(source, byte) != size or _number(source, byte):
        raise Refused(release.BAD_DELTA)
    diff = memoryview(bytearray(_CHUNK))
    was = memoryview(bytearray(_CHUNK))
    at = behind = 0  # of what is made, of what it is made from
    while at < size:
        length = _number(source, byte)
        if not 0 <= length <= size - at or behind < 0:
            raise Refused(release.BAD_DELTA)
        if length and at + length > done:
            base.seek(behind)
        behind += length
        while length:
            n = min(length, _CHUNK)
            part = diff[:n]
            _fill(source, part)
            if at + n > done:
                _fill(base, was[:n])
                _add(was, part, n)
                _give(was[:n], at, write, done)
            elif at + length > done:
                base.seek(behind - length + n)
            at += n
            length -= n
        length = _number(source, byte)
        if not 0 <= length <= size - at:
            raise Refused(release.BAD_DELTA)
        _copy(source, length, write, at, done)
        at += length
        behind += _number(source, byte)


def _add(was, diff, n: int) -> None:
    # Each byte of `diff` to that of `was`, modulo 256; a lane at a time, as one number whose
    # bytes do not carry into each other. Most of a patch is zero.
    for at in range(0, n, _LANE):
        end = min(at + _LANE, n)
        part = diff[at:end]
        if part == _ZERO[: end - at]:
            continue
        a = int.from_bytes(was[at:end], "big")
        b = int.from_bytes(part, "big")
        a = ((a & _LOW) + (b & _LOW)) ^ ((a ^ b) & _HIGH)
        was[at:end] = a.to_bytes(end - at, "big")


def _number(source, byte) -> int:
    # 6 bits, then 7 more in each byte, least significant first; bit 6 of the first is the sign.
    _fill(source, byte)
    first = byte[0]
    value, shift = first & 63, 6
    more = first & 128
    while more:
        if shift > 27:
            raise Refused(release.BAD_DELTA)
        _fill(source, byte)
        value |= (byte[0] & 127) << shift
        shift += 7
        more = byte[0] & 128
    return -value if first & 64 else value
