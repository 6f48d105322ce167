"""Builds what a component installs from its part of the stream, and checks it by the manifest.
What was built before the power failed, or the wake was over, is not built again.
"""

import hashlib
import os

from micropython import const

from node.update import delta
from node.update.ends import Later, Refused
from node.wire import release

_CHUNK = const(512)
_SYNC = const(32768)  # bytes that a power cut may have built once more
_NO_ROOM = const(28)  # ENOSPC
_NO_ENTRY = const(2)  # ENOENT


class _File:
    # Appends to a file, as far as there is time.
    def __init__(self, path: str, hasher, late) -> None:
        self._file = open(path, "ab")  # noqa: SIM115
        self._hasher = hasher
        self._late = late
        self._unsaved = 0

    def write(self, view) -> None:
        if self._late():
            raise Later
        try:
            self._file.write(view)
            self._unsaved += len(view)
            if self._unsaved >= _SYNC:
                self._file.flush()
                self._unsaved = 0
        except OSError as e:
            raise _refused(e)
        self._hasher.update(view)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as e:
            raise _refused(e)


def to_file(job, component, base, path: str, late) -> None:
    """The component's bytes as the file `path`, which was empty or not there when its building
    began; `base` as in delta.build, None where there is none. `late()` says that the wake is over:
    then Later, and it goes on where it was. Refused when it cannot be what the manifest says: then
    the file is gone.
    """
    form, first, end, _ = job.spans[component.kind]
    hasher = hashlib.sha256()
    try:
        done = _hash(path, hasher)
        if done > component.size:
            raise Refused(release.BAD_DELTA)
        if done < component.size:
            source = job.reader(first, end)
            file = _File(path, hasher, late)
            try:
                delta.build(source, form, base, component.size, file.write, done)
            finally:
                source.done()
                file.close()
        if hasher.digest() != component.digest:
            # Of a delta the base may be at fault: of what runs only the head is looked at.
            raise Refused(release.BAD_DELTA if form == release.DELTA else release.BAD_DIGEST)
    except Refused:
        try:
            os.remove(path)
        except OSError:
            pass
        raise


def _hash(path: str, hasher) -> int:
    # How much of it there is.
    part = bytearray(_CHUNK)
    done = 0
    try:
        with open(path, "rb") as file:
            while True:
                n = file.readinto(part)
                if not n:
                    break
                hasher.update(memoryview(part)[:n])
                done += n
    except OSError as e:
        if e.args[0] != _NO_ENTRY:
            raise Later
    return done


def _refused(e: OSError) -> Exception:
    return Refused(release.NO_SPACE) if e.args[0] == _NO_ROOM else Later()
