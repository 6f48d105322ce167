"""The runtime as a component: an image in the partition that does not run, which the bootloader
tries next. PLAIN, its blocks go there as they come; DEFLATED, it is built there.
"""

import hashlib

from micropython import const

from node.update import delta, slots
from node.update.ends import Later, Refused
from node.update.pieces import kept, scan
from node.wire import release

_PATH = "/update/blocks"
_SECTOR = const(4096)
_UNIT = const(16)  # bytes that an encrypted flash takes at once
_CHUNK = const(512)
_ERASE = const(6)  # of ioctl
_VALIDATE_FAILED = const(-5379)  # ESP_ERR_OTA_VALIDATE_FAILED
_SIZE = const(3)  # in info()
_SAVED = const(65536)  # bytes that a power cut may have built once more


class _Flash:
    # A partition in which a sector is erased before the first of it is written.
    def __init__(self) -> None:
        self._part = slots.runtime_part()
        self.size = self._part.info()[_SIZE]
        self._erased = bytearray(self.size // _SECTOR // 8 + 1)

    def note(self, at: int, end: int) -> None:
        for sector in range(at // _SECTOR, (end + _SECTOR - 1) // _SECTOR):
            self._erased[sector >> 3] |= 1 << (sector & 7)

    def write(self, at: int, view) -> None:
        while len(view):
            sector, offset = at // _SECTOR, at % _SECTOR
            if not self._erased[sector >> 3] & 1 << (sector & 7):
                self._part.ioctl(_ERASE, sector)
                self._erased[sector >> 3] |= 1 << (sector & 7)
            n = min(len(view), _SECTOR - offset)
            self._part.writeblocks(sector, view[:n], offset)
            view = view[n:]
            at += n


def put(first: int, end: int, size: int):
    """What a pieces.Taker calls with (offset, data) of a stream of `size` bytes, of which `first`
    to `end` are the image.
    """
    flash = _Flash()
    try:
        for _, offset, length in scan(_PATH, size, (first, end)):
            before, behind = kept(offset, length, (first, end))
            if before + behind < length:
                flash.note(offset + before - first, offset + length - behind - first)
    except OSError:
        pass  # nothing came yet

    def into(offset: int, data) -> None:
        if offset - first + len(data) <= flash.size:
            flash.write(offset - first, data)

    return into


def check(job) -> None:
    """Refused where it cannot be built here, or a unit of it would lie in two blocks."""
    form, first, _, _ = job.spans[release.RUNTIME]
    if form == release.DELTA:
        raise Refused(release.BASE_DIFFERS)
    if form == release.PLAIN and first % _UNIT:
        raise Refused(release.MALFORMED)


def begin(job) -> None:
    """Nothing is built yet; what came directly stays."""
    slots.told()


def prepare(job, component, late) -> None:
    """The image is in its partition, whole."""
    form, first, end, _ = job.spans[release.RUNTIME]
    try:
        flash = _Flash()
        if component.size > flash.size:
            raise Refused(release.NO_SPACE)
        if form == release.PLAIN:
            _end(job, flash, first, end)
        else:
            _inflate(job, component, flash, late)
        if _digest(slots.runtime_part(), component.size) != component.digest:
            raise Refused(release.BAD_DIGEST)
    except OSError:
        raise Later


def act(job, component) -> str:
    """It boots next, and has that one life to be confirmed in."""
    try:
        slots.activate_runtime(job.assignment.sequence)
    except OSError as e:
        if e.args[0] == _VALIDATE_FAILED:  # the chip does not take it; NVS has other errors
            raise Refused(release.WRONG_RUNTIME)
        raise Later
    return "restart"


def standing(job, component) -> str:
    """See parts.py."""
    if slots.pointer()[2] == "runtime":
        return "trial"
    if _digest(slots.runtime_part(False), component.size) == component.digest:
        return "done"
    rolled = slots.rolled()
    return "back" if rolled is not None and rolled[0] == job.assignment.sequence else ""


def _end(job, flash, first: int, end: int) -> None:
    # All went directly, in whole units, but for what is no whole one: that was kept.
    left = (end - first) % _UNIT
    at = end - first - left
    if left:
        if at % _SECTOR:
            flash.note(at, at + 1)  # with what is before it in its sector
        data = bytearray(b"\xff" * _UNIT)
        data[:left] = job.bytes(end - left, end)
        flash.write(at, memoryview(data))


def _inflate(job, component, flash, late) -> None:
    # `detail` of the job's file has how much of it is built, in whole sectors.
    form, first, end, _ = job.spans[release.RUNTIME]
    done = job.detail
    if done == component.size:
        return
    part = bytearray(_SECTOR)
    held = [done, 0]  # bytes in the partition, bytes in `part`

    def write(view) -> None:
        at, n = held
        part[n : n + len(view)] = view  # 512 divides a sector
        n += len(view)
        if n < _SECTOR and at + n < component.size:
            held[1] = n
            return
        try:
            flash.write(at, memoryview(part)[: (n + _UNIT - 1) & -_UNIT])
        except OSError:
            raise Later
        held[:] = at + n, 0
        if late() or not held[0] % _SAVED or held[0] == component.size:
            job.move(job.stage, job.place, held[0])
            if late():
                raise Later

    source = job.reader(first, end)
    try:
        delta.build(source, form, None, component.size, write, done)
    finally:
        source.done()


def _digest(part, size: int) -> bytes:
    hasher = hashlib.sha256()
    buf = bytearray(_CHUNK)
    view = memoryview(buf)
    at = 0
    while at < size:
        n = min(_CHUNK, size - at)
        part.readblocks(at // _SECTOR, view[:n], at % _SECTOR)
        hasher.update(view[:n])
        at += n
    return hasher.digest()
