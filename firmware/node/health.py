"""What a node tells of itself: of what it died, how often its supply failed, how worn its flash
is, where its time went. Loaded at a reset, at a crash, and once a day.
"""

import binascii
import gc
import io
import os
import sys

import esp32
import machine
from micropython import const

from node import log
from node.config import NAMESPACE
from node.errors import JournalError
from node.events import Events
from node.store.rtcstate import WARM, RtcState
from node.wire import uplink

_Q_BOOT_TIME = const(110)  # wire/quantity.py: up to 119 in the order of power/energy.py
_Q_BROWN_OUTS = const(120)
_Q_FLASH_ERASES = const(121)
_Q_RESETS = const(122)
_Q_CRASH = const(910)  # up to 914
_E_CRASH = const(80)
_E_BROWN_OUT = const(81)
_E_CLOCK = const(84)
_L_BOOT = const(1)  # wire/logcode.py
_L_CRASH = const(4)
_L_BROWN_OUT = const(10)
_MOST = const(1000)
_WAITING = const(1000)  # bytes and records that are looked through
_STEP_S = const(3600)
_EVENT = const(1)  # priority of a record (store/journal.py)
_ROUND_MS = (100, 100, 100, 100, 100, 10_000, 10_000, 100)  # zeros cost nothing in a report
# Sectors erased for a record, its trimming and its hourly freeze: `make measure` counts 2.1.
_ERASES = const(3)


def booted(state, kept: int) -> None:
    """After any reset but the wake from deep sleep; `kept` is what RtcState.load() said.

    A power-on that left RTC memory whole was no power-on: the supply dipped, and the chip's
    brown-out detector reset it. MicroPython tells the two apart by nothing else.
    """
    cause = machine.reset_cause()
    state.set("resets", _count("rst"))
    log.note(state, log.INFO, _L_BOOT, cause << 8 | machine.wake_reason())
    if cause != machine.PWRON_RESET:
        # RTC memory may have lived through it, and with it what the fleet was told; and the life
        # that reports next may be one behind a deep sleep.
        state.set("why", cause)
        state.set("told", None)
    if cause == machine.PWRON_RESET and kept == WARM:
        log.note(state, log.WARNING, _L_BROWN_OUT, _count("bro"))
        happened(state, _E_BROWN_OUT)
    elif cause == machine.WDT_RESET:
        state.set("crn", min(state.get("crn", 0) + 1, _MOST))
        if state.get("crash") is None:
            # Nothing was caught: the wake's cap, or the name of a task that fell silent.
            state.set("crash", [0, binascii.crc32(state.get("mute", b"")), 0, 0, cause])
            happened(state, _E_CRASH)
        state.set("mute", b"")
    if state.get("fota") is None and not _has("fota"):
        state.set("fota", 0)  # link/writing.py need not look whether a modem writes its firmware


def _has(key: str) -> bool:
    try:
        esp32.NVS(NAMESPACE).get_blob(key, bytearray(64))
    except OSError:
        return False
    return True


def happened(state, code: int) -> None:
    """An event of the node itself, which its next contact reports."""
    new = state.get("new", [])
    if code not in new:
        state.set("new", new + [code])


def crashed(error: Exception) -> int:
    """Keep what `error` was in RTC memory, for the next contact; whatever goes wrong in here. How
    many lives in a row have ended so.

    The hash is over where it happened and how it came there, not over what its text says: the
    same fault has the same hash on every node.
    """
    gc.collect()
    heap = gc.mem_free()
    try:
        text = io.StringIO()
        sys.print_exception(error, text)  # pyright: ignore[reportArgumentType]
        told = text.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
        path = [each.strip() for each in told.split("\n") if each[:7] == "  File "]
        # File "node.cycle", line 123, in run
        parts = path[-1].split('"') if path else ("", "", ", line 0,")
        line = int(parts[2].split(",")[1].split()[-1])
        state = RtcState(machine.RTC().memory)
        state.load()
        fields = ["\n".join(path), parts[1]]
        found = [binascii.crc32(each.encode()) for each in fields]
        state.set("crash", found + [line, heap, machine.reset_cause()])
        happened(state, _E_CRASH)
        log.note(state, log.ERROR, _L_CRASH, line)
        count = state.get("crn", 0) + 1
        state.set("crn", min(count, _MOST))
        state.save()
    except (ValueError, IndexError, MemoryError):
        return 0  # the crash itself goes on to the supervisor
    return count


def tell(journal, state, now: int, daily: bool) -> None:
    """Append what the contact is to report: a crash, what has begun, and `daily` the ledger."""
    quality = uplink.GOOD if state.get("clock_sure") else uplink.ESTIMATED
    events = Events(state, lambda: journal)
    crash = state.get("crash")
    fresh = state.get("new", [])
    try:
        if crash is not None:
            values = [(_Q_CRASH + n, value) for n, value in enumerate(crash)]
            journal.append(uplink.encode_body(now, quality, values), _EVENT)
            state.set("crash", None)
        if daily:
            at = _next_step(journal, now)
            journal.append(uplink.encode_body(at, quality, _ledger(journal, state)))
            state.set("ph", None)
            state.set("day", now)
    except JournalError as e:
        state.set("error", e.code)
    for code in (_E_CRASH, _E_BROWN_OUT, _E_CLOCK):
        if code in fresh:
            events.begin(code, now, quality, (), False)
        elif daily:  # what was not seen for a day has ended
            events.end(code, now, quality)
    state.set("new", [])


def _next_step(journal, now: int) -> int:
    # When the record after the waiting ones would be due: a report in which all lie equally far
    # apart needs no column of their times, which is half of a day's report.
    times = [uplink.body_time(body) for _, body in journal.oldest(_WAITING, _WAITING)[-2:]]
    due = 2 * times[1] - times[0] if len(times) == 2 else now
    return due if abs(due - now) <= _STEP_S else now


def _ledger(journal, state) -> list:
    values = []
    for n, spent in enumerate(state.get("ph", ())):
        unit = _ROUND_MS[n] if n < len(_ROUND_MS) else 1
        values.append((_Q_BOOT_TIME + n, (spent + unit // 2) // unit * unit))
    blocks = os.statvfs("/")[2]
    values.append((_Q_BROWN_OUTS, _number("bro")))
    values.append((_Q_FLASH_ERASES, (journal.next_sequence - 1) * _ERASES // max(blocks, 1)))
    values.append((_Q_RESETS, _number("rst")))
    return values


def _number(name: str) -> int:
    try:
        return esp32.NVS(NAMESPACE).get_i32(name)
    except OSError:
        return 0


def _count(name: str) -> int:
    nvs = esp32.NVS(NAMESPACE)
    count = _number(name) + 1
    try:
        nvs.set_i32(name, count)
        nvs.commit()
    except OSError:
        pass  # NVS is full: a count is worth no failure
    return count
