"""The update that a node has under way: one file, written whole, says what it is and how far.

/update/job is strict CBOR [number, payload, stage, place, detail, tries]: the item's number and
payload (an Assignment of wire/release.py whose mac was good), the stage, how many components are
in force already, and how often what comes next was begun; `detail` is of the component that is
being built. Once it has ended the stage is ENDED, and place and detail are its result.

ACCEPTED: the envelope's blocks are fetched. DOWNLOADING: it is verified, and the rest is fetched.
DOWNLOADED: all is there, and is built. VERIFIED: what was built is what the manifest says.
INSTALLING: component by component is put in force (parts.py). CONFIRMING: one of them is on trial,
until the fleet has acknowledged a report of this life.
"""

import os

from micropython import const

from node import fleetkey
from node.update.ends import Later, Refused
from node.wire import cbor, release
from node.wire.uplink import ReportError

FOLDER = "/update"
ENDED = 7  # a stage of the file only
_NAME = ("/job", "/blocks", "/job.new")
_STAGE_DETAIL = const(100)
_TRIES = const(10)  # power cuts may come in a row
_FAILED = const(9)  # wire/command.py
_CUT = const(1)  # detail of FAILED, as in commands.py


class Job:
    """What the file says, and what follows from it."""

    def __init__(self, number: int, payload: bytes, *rest: int) -> None:
        self.stage, self.place, self.detail, self.tries = rest
        self.number = number
        self.payload = payload
        self.assignment = release.assigned(payload)
        parts = self.assignment.parts
        at = self.envelope = self.assignment.size - sum([part[2] for part in parts])
        self.direct = (0, 0)  # of the stream: what goes into the runtime's partition at once
        self.spans = {}  # kind: (form, first byte, byte behind the last, base)
        for kind, form, size, base in parts:
            self.spans[kind] = (form, at, at + size, base)
            if kind == release.RUNTIME and form == release.PLAIN:
                self.direct = (at, at + size)
            at += size

    def move(self, stage: int, place: int = 0, detail: int = 0) -> None:
        """It is in another stage now, whatever becomes of the power. Later where storage fails."""
        self.stage, self.place, self.detail, self.tries = stage, place, detail, 0
        self._save()

    def begin(self) -> None:
        """What comes next is begun. Refused when it was so often, and killed each time: it is at
        fault, and the node has other things to do."""
        if self.tries >= _TRIES:
            raise Refused(_FAILED, _CUT)
        self.tries += 1
        self._save()

    def pause(self) -> None:
        """What was begun goes on in the next contact, by its own will."""
        if self.tries:
            self.tries = 0
            self._save()

    def _save(self) -> None:
        try:
            _write([self.number, self.payload, self.stage, self.place, self.detail, self.tries])
        except OSError:
            raise Later

    def bytes(self, first: int, end: int) -> bytes:
        """Of the stream; Later where the file is damaged: it is fetched anew."""
        data = bytearray(end - first)
        view = memoryview(data)
        source = self.reader(first, end)
        try:
            at = 0
            while at < len(data):
                at += source.readinto(view[at:])
        except ValueError:
            raise self.lost()
        finally:
            source.done()
        return bytes(data)

    def reader(self, first: int, end: int):
        """A pieces.Reader of bytes of the stream."""
        from node.update.pieces import Reader

        try:
            return Reader(FOLDER + _NAME[1], self.assignment.size, first, end, self.direct)
        except (OSError, ValueError):
            raise self.lost()

    def lost(self) -> Later:
        """What has come is damaged: begin anew with what the assignment says, and not now."""
        _remove(_NAME[1])
        self.move(release.ACCEPTED)
        return Later()


def load() -> "Job | None":
    """The job that is under way, or has ended and is not told yet."""
    try:
        with open(FOLDER + _NAME[0], "rb") as file:
            return Job(*cbor.decode(file.read()))  # type: ignore[misc]
    except (OSError, ValueError, TypeError):
        return None  # none, or nobody wrote that


def take(nvs, payload: bytes, number: int, node: str, results: list) -> bool:
    """What an item of kind UPDATE asks for; whether it is the fleet's, as what is no assignment
    never is. `results` gets (number, result, detail) of what it ends. OSError where storage does
    not take it.
    """
    try:
        given = release.assigned(payload)
    except ReportError:
        return False
    if not fleetkey.said(nvs, release.bound(node, number, given), given.mac):
        return False
    held = load()
    if held is not None and held.number == number:
        return True  # the power failed when all but its number was noted
    if held is not None and held.stage == ENDED:
        results.append((held.number, held.place, held.detail))
    elif held is not None:
        results.append((held.number, release.WITHDRAWN, _STAGE_DETAIL * held.stage))
    if given.sequence:
        _remove(_NAME[1])  # first: they are of another stream
        _write([number, payload, release.ACCEPTED, 0, 0, 0])
    else:
        if held is not None and held.stage == release.CONFIRMING:
            from node.update import slots

            slots.give_up(release.NOT_CONFIRMED)  # the report that brought this proves nothing
        clear()
    return True


def clear() -> None:
    """There is no job any more. Its number goes last but for what nobody reads without it."""
    for name in _NAME:
        _remove(name)


def _write(values: list) -> None:
    try:
        os.mkdir(FOLDER)
    except OSError:
        pass  # it is there; if not, the next line says so
    with open(FOLDER + _NAME[2], "wb") as file:
        file.write(cbor.encode(values))
    os.rename(FOLDER + _NAME[2], FOLDER + _NAME[0])


def _remove(name: str) -> None:
    try:
        os.remove(FOLDER + name)
    except OSError:
        pass  # there is none
