"""Asks for the blocks of a job while the door is open. Beside the link the heap is short: what
this needs of the job is in RTC memory, see work.note.
"""

import asyncio
import time

from micropython import const

from node.errors import LinkError
from node.update.pieces import Taker

_PATH = "/update/blocks"
_ACCEPTED = const(1)  # wire/release.py
_DOWNLOADING = const(2)
_INSTALLING = const(5)
_LEAST_MS = const(5_000)  # with less than that nothing is asked for any more
_MOST_MS = const(60_000)  # so long the node does not look at its sensors
_FAILS = const(2)
_TRIES = const(3)  # without anything that came
_LATER = const(3)  # wire/release.py
_DAMAGED = const(8)  # as work.py
_FULL = const(9)
_BROKEN = const(10)  # storage did not take it: the next contact tries again
_NO_ROOM = const(28)  # ENOSPC


async def go_on(state, link, door, left_ms: int) -> None:
    """Fetch what is missing of the envelope, or, once that is verified, of all; or let a component
    that is put in force beside the link go on (parts.py). What has come stays.

    What fails here is not the contact, whose reports the fleet has acknowledged: where nothing
    came it is LATER.
    """
    held = state.get("upd")
    before = held[1]
    try:
        await asyncio.wait_for_ms(_fetch(state, held, link, door, left_ms), left_ms)
    except (LinkError, asyncio.TimeoutError):
        if held[1] == before:
            held[3] = held[3] or _LATER


async def _fetch(state, held: list, link, door, left_ms: int) -> None:
    stage, _, _, _, number, envelope, size, first, direct = held
    if stage == _INSTALLING:
        from node.update import parts

        await parts.converse(link, left_ms)
        return
    end = {_ACCEPTED: envelope, _DOWNLOADING: size}.get(stage, 0)
    if not end:
        return
    until = time.ticks_add(time.ticks_ms(), min(left_ms, _MOST_MS))
    fails = _FAILS
    if link.config.get("updates"):
        # Where that way is shut, six of eight contacts go by the door that is open.
        fails = state.get("htp", 0)
        state.set("htp", (fails + 1) % 8)
        if fails < _FAILS:
            from node.link import https

            door = await https.instead(link)
    put = None
    if direct:
        from node.update import runtime_part

        put = runtime_part.put(first, direct, size)
    try:
        taker = Taker(_PATH, size, (first, direct), put)
    except ValueError:
        held[3] = _DAMAGED
        return
    block = door.BLOCK

    def take(index: int, data) -> None:
        try:
            taker.take(block, index, data)
        except OSError as e:
            held[3] = _FULL if e.args[0] == _NO_ROOM else _BROKEN

    tries = 0
    try:
        while tries < _TRIES and not held[3]:
            at, bits = taker.missing(block, 0, end, door.WINDOW)
            left = time.ticks_diff(until, time.ticks_ms())
            if not bits or left < _LEAST_MS:
                break
            before = taker.mark
            word = await door.blocks(number, block, at, bits, take, left)
            held[3] = held[3] or word
            if fails < _FAILS:
                state.set("htp", 0)
            tries = tries + 1 if taker.mark == before else 0
    finally:
        held[1] = taker.mark
        try:
            taker.close()
        except OSError as e:
            held[3] = _FULL if e.args[0] == _NO_ROOM else _BROKEN
