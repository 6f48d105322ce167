"""A job goes on, with the link shut: what came is verified, built, put in force and confirmed.
Between any two steps, and within each, the power may fail.
"""

import os
import time

from micropython import const

from node import clock
from node.update import job as jobs
from node.update import manifest, parts, slots
from node.update.ends import Later, Refused
from node.update.pieces import Taker
from node.wire import release
from node.wire.uplink import ReportError

_GRAIN = const(256)
_ROOM = const(32768)  # bytes of the file system that an update leaves to everything else
_BLOCK = const(4096)
_SOON_S = const(120)  # and up to 255 by chance: a street of nodes does not come as one
_LATER_S = const(900)
_WEAK_S = const(21600)
_E_BATTERY_LOW = const(9)  # wire/quantity.py
_SPARE_MS = const(3_000)
_FULL = const(9)  # of fetching.py: storage took no more
_DAMAGED = const(8)
_OF_KEYS = range(20, 27)  # schema/__init__.py: the detail is the CRC-32 of a key


def go_on(state, values: dict, results: list, left_ms: int) -> bool:
    """Take the job as far as it goes within `left_ms`; whether the node is to be restarted for it.

    `values` is the configuration. `results` gets (number, result, detail) of an end that the fleet
    is to be told, and again until `told`. RTC memory has the rest under "upd": see `note`. That
    what is on trial proves itself is the cycle's matter.
    """
    job = jobs.load()
    if job is None:
        jobs.clear()
        state.set("upd", 0)
        return False
    until = time.ticks_add(time.ticks_ms(), left_ms - _SPARE_MS)
    reboot = False
    word = _word(state)
    try:
        if word == release.GONE:
            raise Refused(release.WITHDRAWN)
        if word == _FULL:
            raise Refused(release.NO_SPACE)
        if word == _DAMAGED:
            raise job.lost()
        if job.stage < jobs.ENDED:
            reboot = _advance(
                job, state, values, lambda: time.ticks_diff(until, time.ticks_ms()) <= 0
            )
    except Refused as e:
        detail = e.detail
        if e.result != release.ROLLED_BACK and e.result not in _OF_KEYS:
            detail += 100 * job.stage
        _end(job, e.result, detail)
    except (Later, OSError):
        _pause(job)  # or what storage refused is tried again
    if job.stage == jobs.ENDED:
        results.append((job.number, job.place, job.detail))
    note(state, job, word)
    return reboot


def note(state, job, word: int = 0) -> None:
    """What RTC memory has of it, "upd": [stage, bytes that are there, time of the next contact for
    it, how the last fetch ended, number, bytes of envelope and stream, first and last of what goes
    elsewhere]; 0 where there is none.
    """
    if job.stage == jobs.ENDED:
        state.set("upd", [0, 0, 0, 0, job.number, 0, 0, 0, 0])
        return
    mark = job.assignment.size
    if job.stage <= release.DOWNLOADING:
        try:
            mark = _taker(job).mark
        except Later:
            mark = 0
    wait = _SOON_S + os.urandom(1)[0]
    if word in (release.LATER, release.UNKNOWN):
        wait = _LATER_S + 4 * (wait - _SOON_S)
    if _E_BATTERY_LOW in (state.get("events") or ()):
        wait = _WEAK_S
    first, end = job.direct
    state.set(
        "upd",
        [job.stage, mark, clock.now() + wait, 0, job.number, job.envelope, job.assignment.size,
         first, end],
    )  # fmt: skip


def told(number: int) -> None:
    """How the job of that number ended is in the journal: the fleet will hear of it."""
    job = jobs.load()
    if job is not None and job.number == number:
        slots.told()  # whatever went back
        jobs.clear()


def here(values: dict) -> manifest.Here:
    """What a release is held against."""
    from node.update import keys_part

    return manifest.Here(
        slots.floor(), slots.release()[0], values["role"], values.get("board", ""),
        manifest.abi(), manifest.runtime(), keys_part.sequence(),
    )  # fmt: skip


def _word(state) -> int:
    held = state.get("upd")
    return held[3] if held else 0


def _pause(job) -> None:
    try:
        job.pause()
    except Later:
        pass  # storage is full: it counts as a try


def _advance(job, state, values: dict, late) -> bool:
    if job.stage < release.INSTALLING:
        _fresh(job.assignment.expiry, state)
    if job.stage == release.ACCEPTED and not _there(job, job.envelope):
        _first(job, here(values))
        return False
    if job.stage == release.DOWNLOADING and not _there(job, job.assignment.size):
        return False
    if job.stage < release.INSTALLING:
        job.begin()
    m = _manifest(job, state, values)
    if job.stage == release.ACCEPTED:
        _room(job, m)
        for component in parts.ordered(m):
            parts.of(component.kind).check(job)
        job.move(release.DOWNLOADING)
    if job.stage == release.DOWNLOADING:
        if not _there(job, job.assignment.size):
            return False  # it was verified only now
        for component in parts.ordered(m):
            parts.of(component.kind).begin(job)
        job.move(release.DOWNLOADED)
    if job.stage == release.DOWNLOADED:
        for component in parts.ordered(m):
            parts.of(component.kind).prepare(job, component, late)
        job.move(release.VERIFIED)
    if job.stage == release.VERIFIED:
        job.move(release.INSTALLING)
    return _install(job, m)


def _first(job, here: manifest.Here) -> None:
    # What is known before anything came.
    manifest.newer(job.assignment.sequence, here)
    for kind in job.spans:
        parts.of(kind).check(job)


def _manifest(job, state, values: dict):
    if job.stage >= release.INSTALLING:
        # Other keys may count by now, and the release may run; this node has found it good.
        try:
            return parts.manifest_of(job)
        except ReportError:
            raise Refused(release.MALFORMED)
    from node.update import keys_part

    raw = job.bytes(0, job.envelope)
    m, rooted = manifest.verify(raw, job.assignment.digest, keys_part.trusted())
    manifest.judge(m, rooted, job.assignment, here(values))
    if m.expiry:
        _fresh(m.expiry, state)
    return m


def _fresh(expiry: int, state) -> None:
    if not state.get("clock_sure"):
        raise Later
    if clock.now() > expiry:
        raise Refused(release.STALE)


def _taker(job) -> Taker:
    try:
        return Taker(jobs.FOLDER + "/blocks", job.assignment.size, job.direct)
    except ValueError:
        raise job.lost()


def _there(job, end: int) -> bool:
    return not _taker(job).missing(_GRAIN, 0, end, 1)[1]


def _room(job, m) -> None:
    # The stream and the image beside what else the node keeps. What is there already counts.
    needed = _ROOM + job.assignment.size - (job.direct[1] - job.direct[0])
    for component in m.components:
        if component.kind == release.APPLICATION:
            needed += component.size
            try:
                needed -= os.stat(slots.other())[6]
            except OSError:
                pass  # the other slot is empty
    found = os.statvfs("/")
    if found[0] * found[3] < needed:
        raise Refused(release.NO_SPACE)


def _install(job, m) -> bool:
    # From `place` on. Whether the node is to be restarted.
    ordered = parts.ordered(m)
    while job.place < len(ordered):
        component = ordered[job.place]
        part = parts.of(component.kind)
        standing = part.standing(job, component)
        if standing == "back" or (not standing and job.stage == release.CONFIRMING):
            rolled = slots.rolled()
            raise Refused(release.ROLLED_BACK, rolled[1] if rolled else 0)
        if standing == "trial":
            if job.stage != release.CONFIRMING:
                job.move(release.CONFIRMING, job.place)
            return False
        if not standing:
            job.begin()
            acted = part.act(job, component)
            if acted == "restart":
                try:
                    job.move(release.CONFIRMING, job.place)
                except Later:
                    pass  # it is found on trial behind the restart, which must come
                return True
            if acted != "done":
                return False
        elif standing != "done":
            return False
        job.move(release.INSTALLING, job.place + 1)
    slots.raise_floor(job.assignment.sequence)
    _end(job, 0, 0)
    return False


def _end(job, result: int, detail: int) -> None:
    try:
        job.move(jobs.ENDED, result, detail)
    except Later:
        # Storage does not take even that. It is told, and ends again in the next contact.
        job.stage, job.place, job.detail = jobs.ENDED, result, detail
