"""What the supervisor does for an application or a runtime on trial. Loaded when one is, or when a
slot does not start; it counts by what NVS `trial` holds, and goes back by the pointer `/slot`.

`trial` is a text of words: slot, sequence, lives in a row that ended badly, whether the last one
did, contacts tried, seconds, when they were counted last, seconds at the last contact, why the
application wants to go back (0: it does not), and boots since its last contact that no deep sleep
came before. Of a runtime: its partition, sequence, the partition before, how far it is (1: it is
to boot, 2: it has its life, 100: confirmed), and why.
node/update/slots.py writes it first.
"""

import os
import sys
import time

import esp32
import machine
from micropython import const

_NUMBERS = const(9)
_LIVES = const(3)
_BOOTS = const(10)  # without a contact that ended, well or not: power may fail as well
_CONTACTS = const(3)
_TRIAL_S = const(172_800)  # 48 h, if it made its contacts
_TRIAL_MOST_S = const(345_600)  # 96 h, whatever it did
_STEP_MOST_S = const(90_000)  # 25 h: a clock that jumps ends no trial
_LIFE_HOURS = const(24)  # of a runtime that never resets, sleeps or makes a contact
_LIVED = const(2)  # of a runtime: as in node/update/slots.py
_CONFIRMED = const(100)
_CRASHED = const(1)  # reasons: node/wire/release.py
_NOT_IMPORTED = const(2)
_NOT_CONFIRMED = const(3)
_SLEPT = const(4)
_BOOTLOADER = const(5)
_SELFTEST = const(6)


def point(words: "list[str]") -> None:
    """Let the pointer be these: by a rename, so that it is the one before or this."""
    with open("/slot.new", "w") as file:
        file.write(" ".join(words))
    os.rename("/slot.new", "/slot")


def start(words: "list[str]") -> "list[str]":
    """The pointer with which this boot goes on, at each boot where it does not say good."""
    kind = words[2]
    if kind == "runtime":
        return _runtime(words)
    if kind != "trial":
        raise OSError("the slot was given up")
    note = _load(words[0], _NUMBERS)
    cause = machine.reset_cause()
    if cause != machine.DEEPSLEEP_RESET:
        note[8] += 1  # the power failed, or it was its own doing: from here the same
    if note[5]:
        if cause in (machine.HARD_RESET, machine.WDT_RESET):
            note[1] += 1
        elif cause == machine.DEEPSLEEP_RESET and not note[2]:
            note[1] = 0
    _pass(note)
    note[2] = 0
    why = note[7]
    if note[1] >= _LIVES or note[8] >= _BOOTS:
        why = _CRASHED
    elif _over(words, note):
        why = _NOT_CONFIRMED
    if not why and not _save(words[0], note):
        why = _SELFTEST  # what cannot be counted would never end
    if why:
        words = _back(words, note[0], why)
        if words[2] == "bad":
            raise OSError("no slot starts")
    return words


def tick(words: "list[str]", hours: int) -> bool:
    """A life goes on for so many hours: whether a reset is to end the trial, since no boot comes
    that could. `words` become what the pointer is by now.
    """
    with open("/slot") as file:
        words[:] = file.read().split()
    if words[2] == "runtime" and hours >= _LIFE_HOURS:
        _undo(_load("", 4), _NOT_CONFIRMED)
    if words[2] != "trial":
        return False
    note = _load(words[0], _NUMBERS)
    _pass(note)
    # What cannot be counted, or is over, the next boot takes back.
    return not _save(words[0], note) or _over(words, note)


def failed(words: "list[str]") -> "list[str]":
    """The slot cannot be installed or imported: the pointer to go on with, or OSError."""
    if words[2] == "runtime":
        _undo(_load("", 4), _NOT_IMPORTED)
    elif words[2] == "trial":
        words = _back(words, _load(words[0], _NUMBERS)[0], _NOT_IMPORTED)
        if words[2] == "good":
            return words
    raise OSError("no slot starts")


def crashed(words: "list[str]") -> None:
    """This life, which began on trial, has ended in an exception. Of what was confirmed since
    there is no note, or it says so.
    """
    if words[2] == "runtime":
        _undo(_load("", 4), _CRASHED)
    elif words[2] == "trial":
        name, note = _note(_NUMBERS)
        if name == words[0]:
            note[1] += 1
            note[2] = 1
            _save(name, note)


def _pass(note: "list[int]") -> None:
    # Time since it was counted last, by the RTC: it begins anew where the power fails.
    now = max(1, time.time())
    if note[5]:
        note[4] += min(max(0, now - note[5]), _STEP_MOST_S)
    note[5] = now


def _over(words: "list[str]", note: "list[int]") -> bool:
    # Without a slot before, the network would not come back either.
    return words[1] != "-" and note[4] >= (_TRIAL_S if note[3] >= _CONTACTS else _TRIAL_MOST_S)


def _back(words: "list[str]", sequence: int, why: int) -> "list[str]":
    # To the slot before, or to none. Why is noted first: the pointer is what ends the trial.
    sys.stdout.write("kapok: slot %s has failed: %d\n" % (words[0], why))
    _put("rolled", "%d %d" % (sequence, why))
    new = [words[1], "-", "good"] if words[1] != "-" else [words[0], "-", "bad"]
    try:
        point(new)
        _drop()
    except OSError:
        pass  # the next boot comes to the same
    return new


def _runtime(words: "list[str]") -> "list[str]":
    # The first life of a new runtime is the only one that it has without being confirmed.
    label, note = _note(4)
    running = esp32.Partition(esp32.Partition.RUNNING).info()[4]  # type: ignore[arg-type]
    if running != label:
        if note[2] < _LIVED and machine.reset_cause() in (
            machine.DEEPSLEEP_RESET,
            machine.SOFT_RESET,
        ):
            machine.reset()  # no bootloader has tried it yet: such a boot has what ran before
        if note[2]:  # else power failed before it was to boot
            sys.stdout.write("kapok: the runtime before is back\n")
            _put("rolled", "%d %d" % (note[0], note[3] or _BOOTLOADER))
    elif note[2] < _LIVED:
        note[2] = _LIVED
        if _save(label, note):
            return words
        _undo(note, _SELFTEST)
    elif note[2] < _CONFIRMED:
        why = _SLEPT if machine.reset_cause() == machine.DEEPSLEEP_RESET else _CRASHED
        _undo(note, note[3] or why)
    words[2] = "good"
    try:
        # The mark is for what otadata names: that must be what runs, and no other.
        if running != label:
            esp32.Partition(running).set_boot()
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError:
        pass  # a bootloader that never goes back
    try:
        point(words)
        _drop()
    except OSError:
        pass  # the file system is full: the application makes room, and a later boot comes here
    return words


def _undo(note: "list[int]", why: int) -> None:
    # The runtime before, by a reset; where that does not boot any more, this one stays. So does
    # one that was confirmed since this life began.
    label, held = _note(4)
    if not label or held[2] >= _CONFIRMED:
        return
    note[3] = why
    _save(label, note)
    try:
        esp32.Partition("ota_%d" % note[1]).set_boot()
    except OSError as e:
        sys.print_exception(e)
        return
    machine.reset()


def _note(numbers: int) -> "tuple[str, list[int]]":
    buffer = bytearray(96)
    try:
        size = esp32.NVS("kapok").get_blob("trial", buffer)
        words = bytes(buffer[:size]).decode().split()
        if len(words) == 1 + numbers:
            return words[0], [int(word) for word in words[1:]]
    except (OSError, ValueError):
        pass  # none was written, or it is damaged
    return "", [0] * numbers


def _load(name: str, numbers: int) -> "list[int]":
    found, note = _note(numbers)
    return note if found == name or not name else [0] * numbers


def _save(name: str, note: "list[int]") -> bool:
    return _put("trial", " ".join([name] + [str(n) for n in note]))


def _put(key: str, text: str) -> bool:
    nvs = esp32.NVS("kapok")
    try:
        nvs.set_blob(key, text.encode())
        nvs.commit()
    except OSError:
        return False  # NVS is full
    return True


def _drop() -> None:
    nvs = esp32.NVS("kapok")
    try:
        nvs.erase_key("trial")
        nvs.commit()
    except OSError:
        pass  # it is of a trial that is over, whatever it holds
