"""The slots as the application sees them: which one runs, where the next one is put together, and
the pointer that chooses. The supervisor's half is firmware/trial.py, which counts.

`/slot` holds `<slot> <slot before or -> <good|trial|runtime>`; without it slot a is good. What it
does not name may be any bytes: a slot is staged there, and nothing runs it before `activate`.
"""

import os
import sys
import time

import esp32
from micropython import const

from node.config import NAMESPACE
from node.wire import cbor

_APP = const(0)  # type of partitions
_HEAD = const(64)  # bytes of an image that hold its digest
_APART_S = const(28_800)  # contacts on trial count as two when 8 h lie between them
_STEP_MOST_S = const(90_000)  # as in trial.py
_CONTACTS = const(3)  # of a runtime's only life
_NO_ENTRY = const(2)  # ENOENT
_MOST = const(96)  # bytes of a note
_NUMBERS = const(9)  # of an application's: trial.py
_SET = const(1)  # of a runtime: it is to boot next; it has its life, and so many contacts more;
_LIVED = const(2)  # the fleet has heard of it
_CONFIRMED = const(100)


def pointer() -> "list[str]":
    """[slot, slot before or "-", "good", "trial", "runtime" or "bad"]. OSError where that cannot
    be read: then nothing is to be built on it.
    """
    try:
        with open("/slot") as file:
            words = file.read().split()
    except OSError as e:
        if e.errno != _NO_ENTRY:
            raise
        return ["a", "-", "good"]  # never updated
    return words if len(words) == 3 else ["a", "-", "bad"]  # damaged: the rescue application runs


def running() -> str:
    """The file whose image is mounted; "" where none is: the rescue application runs."""
    path = "/%s.romfs" % pointer()[0]
    try:
        with open(sys.path[0] + "/digest", "rb") as file:
            digest = file.read()
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    return path if digest and digest in head else ""


def release() -> "tuple[int, bytes]":
    """Of the image that runs: the release's sequence, 0 where it tells none, and its digest."""
    sequence = 0
    digest = b""
    try:
        with open(sys.path[0] + "/digest", "rb") as file:
            digest = file.read()
        with open(sys.path[0] + "/release", "rb") as file:
            sequence = cbor.decode(file.read())[0]  # type: ignore[index]
    except (OSError, cbor.CborError):
        pass
    return sequence, digest  # type: ignore[return-value]


def floor() -> int:
    """The highest sequence that was confirmed here. A power cut may have kept it out of NVS, or
    NVS was wiped: then the image that runs tells.
    """
    try:
        kept = esp32.NVS(NAMESPACE).get_i32("seq")
    except OSError:
        kept = 0
    return max(kept, release()[0]) if pointer()[2] == "good" else kept


def other() -> str:
    """The path where an image may be put together: not the slot that runs, and none that the
    supervisor may still go back to. OSError while a trial goes on.
    """
    slot, _, kind = pointer()
    if kind in ("trial", "runtime"):
        raise OSError("a trial goes on")
    if kind == "good" and not running():
        try:
            os.stat("/%s.romfs" % slot)
        except OSError:
            # Nothing is there to be kept; and what will be is not to run before `activate`.
            kind = "bad"
            _point([slot, "-", kind])
    if kind == "bad":
        return "/%s.romfs" % slot
    return "/b.romfs" if slot == "a" else "/a.romfs"


def activate(sequence: int) -> None:
    """The image at `other()`, verified and whole, runs from the next boot on, on trial.

    The pointer is the one commit point. OSError when NVS or the file system does not take it:
    then nothing has changed.
    """
    path = other()
    before = running()
    new = path[1]
    # Why it is there first: the supervisor must be able to count from the first boot on.
    _note("trial", "%s %d 0 0 0 0 0 0 0 0" % (new, sequence))
    _point([new, before[1] if before and before != path else "-", "trial"])


def standing(sequence: int) -> str:
    """Of an application's release: "trial", it runs and waits for `confirm`, "done", it is
    confirmed, or "back", another one runs.
    """
    kind = pointer()[2]
    if running() and release()[0] == sequence:
        return "done" if kind != "trial" else kind
    return "back"


def on_trial() -> bool:
    """Whether the application or the runtime that runs has still to be confirmed."""
    return pointer()[2] in ("trial", "runtime")


def confirm() -> bool:
    """A report of this life was acknowledged: what is on trial stays. Again is nothing more. False
    where it was given up meanwhile: a reset that the caller makes ends it.
    """
    words = pointer()
    kind = words[2]
    found, note = _noted()
    if kind == "trial" and running():
        number = release()[0]
        if found == words[0] and len(note) == _NUMBERS:
            number = note[0]
            if note[7]:
                return False
    elif kind == "runtime" and runtime_part(False).info()[4] == found:
        if note[3]:
            return False
        # Three steps: where power fails behind the first, the bootloader may still go back, and
        # behind the second the supervisor knows that nothing is to be undone.
        number = 0
        note[2] = _CONFIRMED
        _keep(found, note)
        try:
            esp32.Partition.mark_app_valid_cancel_rollback()
        except OSError:
            pass  # a bootloader that never goes back
    else:
        return True
    _point([words[0], "-", "good"])
    raise_floor(number)
    for name in ("trial", "rolled"):
        _erase(name)
    return True


def raise_floor(sequence: int) -> None:
    """Nothing older than this is installed from now on."""
    nvs = esp32.NVS(NAMESPACE)
    try:
        last = nvs.get_i32("seq")
    except OSError:
        last = 0
    if sequence > last:
        nvs.set_i32("seq", sequence)
        nvs.commit()


def contact() -> bool:
    """Note that a contact has ended which proved nothing. True: a runtime has had its contacts,
    and is to be given up; when an application has, the supervisor knows.
    """
    found, note = _noted()
    words = pointer()
    if words[2] == "runtime" and len(note) == 4:
        note[2] += 1  # of its only life
        _keep(found, note)
        return note[2] >= _LIVED + _CONTACTS
    if words[2] != "trial" or len(note) != _NUMBERS or found != words[0]:
        return False
    now = max(1, time.time())
    note[4] += min(max(0, now - note[5]), _STEP_MOST_S)
    note[5] = now
    note[8] = 0
    if not note[3] or note[4] - note[6] >= _APART_S:
        note[3] += 1
        note[6] = note[4]
    _keep(found, note)
    return False


def give_up(why: int) -> bool:
    """What is on trial does not stay, for a reason of release.py: a reset that the caller makes
    ends it. False where nothing that runs is on trial.
    """
    words = pointer()
    found, note = _noted()
    if words[2] == "trial" and len(note) == _NUMBERS:
        note[7] = why
        _keep(found, note)
    elif words[2] == "runtime" and runtime_part(False).info()[4] == found:
        note[3] = why
        _keep(found, note)
        esp32.Partition("ota_%d" % note[1]).set_boot()
    else:
        return False
    return True


def rolled() -> "tuple[int, int] | None":
    """(sequence, reason) of what went back, until `told`."""
    if on_trial():
        return None
    words = _read("rolled")
    return (int(words[0]), int(words[1])) if len(words) == 2 else None


def told() -> None:
    """The fleet knows of what went back."""
    _erase("rolled")


def runtime_part(spare: bool = True):
    """The partition that a new runtime is written to; not `spare`: the one that runs."""
    part = esp32.Partition(esp32.Partition.RUNNING)  # type: ignore[arg-type]
    return part.get_next_update() if spare else part


def activate_runtime(sequence: int) -> None:
    """The image in `runtime_part()` runs from the next hard reset on, and no deep sleep may come
    before that. OSError when it does not validate (-5379): then nothing has changed.
    """
    words = pointer()
    if words[2] != "good":
        raise OSError("a trial goes on")
    spare = runtime_part()
    before = int(runtime_part(False).info()[4][4:])
    _note("trial", "%s %d %d 0 0" % (spare.info()[4], sequence, before))
    _point([words[0], words[1], "runtime"])
    try:
        spare.set_boot()
    except OSError:
        _point(words)
        _erase("trial")
        raise
    # Without this the supervisor takes a runtime that failed for a power cut before `set_boot`: it
    # would be tried again, and so it may be.
    _keep(spare.info()[4], [sequence, before, _SET, 0])


def _point(words: "list[str]") -> None:
    # A rename: the pointer is the one before or this, never a part of it.
    with open("/slot.new", "w") as file:
        file.write(" ".join(words))
    os.rename("/slot.new", "/slot")


def _noted() -> "tuple[str, list[int]]":
    words = _read("trial") or [""]
    return words[0], [int(word) for word in words[1:]]


def _read(name: str) -> "list[str]":
    buffer = bytearray(_MOST)
    try:
        size = esp32.NVS(NAMESPACE).get_blob(name, buffer)
    except OSError:
        return []
    return bytes(buffer[:size]).decode().split()


def _note(name: str, text: str) -> None:
    nvs = esp32.NVS(NAMESPACE)
    nvs.set_blob(name, text.encode())
    nvs.commit()


def _keep(name: str, note: "list[int]") -> None:
    try:
        _note("trial", " ".join([name] + [str(n) for n in note]))
    except OSError:
        pass  # NVS is full: the supervisor sees so too, and goes back


def _erase(name: str) -> None:
    nvs = esp32.NVS(NAMESPACE)
    try:
        nvs.erase_key(name)
        nvs.commit()
    except OSError:
        pass  # there is none
