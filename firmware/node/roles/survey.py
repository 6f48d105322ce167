"""A survey node: it stands at a site for a while, and tells what each operator's cells are worth
there. A walk takes operators and bands one after the other, over as many wakes as that needs.
"""

import time

import machine
from micropython import const

from node import clock
from node.errors import JournalError, LinkError
from node.modules import forget
from node.roles.grid import Grid
from node.wire import uplink

_BUTTON = machine.EXT1_WAKE
_READ_NOW = const(3)  # wire/command.py
_DONE, _NOT_MINE = const(0), const(7)
_PART = const(500)  # ms of each second of `awake_s`: cycle.py cuts a poll there
_AROUND_MS = const(60_000)  # of it for the radio off and on, and the modem as it was before
_AT_ONCE = const(2)  # of RTC `urgent`: somebody waits for it
_NONE = const(-1)  # of RTC `walk`, else the next step of one that is under way


class Survey:
    """Battery powered. RTC `walk` has the step, counted before it is taken: one that kills the
    node is not taken for ever.
    """

    mains = False

    def __init__(self, config: dict, state, journal, kept=None) -> None:
        self._config = config
        self._state = state
        self._journal = journal
        # Without walks by the clock there is no grid, but none that divides by zero either.
        self._grid = Grid(config["survey_s"] or 1, state, journal)

    def leave(self) -> None:
        """Nothing is known beside RTC memory."""

    async def poll(self, now: int) -> None:
        """Take steps of the walk, as many as half of the wake has room for."""
        if clock.is_set():
            self._begin(now)
        walking = self._state.get("walk", _NONE) >= 0 and clock.is_set()
        from node.link import bands

        owed = bands.held() is not None
        forget("node.link")
        if walking or owed:
            await self._go(walking)

    def sense(self, now: int, reason: int, quality: int) -> None:
        """The button begins a walk, in the next wake: this one tells that it was pushed."""
        if reason == _BUTTON:
            self._state.set("walk", 0)
        else:
            self._begin(now)

    def due(self, now: int) -> "int | None":
        """Now, while a walk is under way; else the next one."""
        if self._state.get("walk", _NONE) >= 0:
            return now
        return self._grid.next(now) if self._config["survey_s"] else None

    def called(self) -> bool:
        """Never: it has no sensor but its modem."""
        return False

    def arm(self) -> None:
        """The button is armed by the application."""

    def command(self, code: int, arguments: list, now: int) -> "tuple[int, int]":
        """READ_NOW begins a walk."""
        if code != _READ_NOW:
            return _NOT_MINE, 0
        self._state.set("walk", 0)
        return _DONE, 0

    def _begin(self, now: int) -> None:
        if self._config["survey_s"] and self._grid.open(now):
            self._grid.taken(now)
            self._state.set("walk", 0)

    async def _go(self, walking: bool) -> None:
        from node.link import bands
        from node.link.session import Session

        until = time.ticks_add(time.ticks_ms(), self._config["awake_s"] * _PART)
        found: list = []
        at = self._state.get("walk", _NONE)
        link = Session(self._config, self._state)
        try:
            await link.wake()
            if link.modem.busy:
                return  # it writes firmware of its own
            try:
                await bands.give_back(link.modem)
                if walking:
                    await self._steps(link.modem, until, found)
            finally:
                await bands.give_back(link.modem)
        except LinkError as e:
            self._state.set("error", e.code)
            self._state.set("cause", e.cause)
            if self._state.get("walk") == at:
                self._state.set("walk", _NONE)  # no step was taken: with the next slot perhaps
        except OSError:
            self._state.set("walk", _NONE)  # NVS is full: nothing would give the bands back
        finally:
            await link.close()
            link = None
            forget("node.link")
            self._keep(found)

    async def _steps(self, modem, until, found: list) -> None:
        from node.link import walk

        operators, bands = self._config["operators"], self._config["bands"] or [0]
        need = self._config["search_s"] * 1000 + _AROUND_MS
        first = True
        while True:
            at = self._state.get("walk")
            if at >= len(operators) * len(bands):
                self._state.set("walk", _NONE)
                self._state.set("urgent", _AT_ONCE)
                return
            if not first and time.ticks_diff(until, time.ticks_ms()) < need:
                return
            first = False
            self._state.set("walk", at + 1)
            self._state.save()
            operator, band = operators[at // len(bands)], bands[at % len(bands)]
            search_ms, looks = self._config["search_s"] * 1000, self._config["looks"]
            for values in await walk.step(modem, operator, band, search_ms, looks):
                found.append((clock.now(), values))

    def _keep(self, found: list) -> None:
        # Each with a time of its own: that is what holds the values of one look together.
        quality = uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED
        last = self._state.get("looked", 0)
        for at, values in found:
            last = at if at > last or at < last - 3600 else last + 1
            try:
                self._journal().append(uplink.encode_body(last, quality, values))
            except JournalError as e:
                self._state.set("error", e.code)
        self._state.set("looked", last)
