"""The cellular network as one modem sees it: search, attach or refusal, and the time it tells."""

import random
from collections.abc import Callable
from enum import IntEnum

from hil.virtual.twin import Timer, UartPort

# EMM causes after which a terminal tries no more by itself (TS 24.301, 5.5.1.2.5).
FINAL = frozenset({3, 6, 7, 8, 11})
T3402_US = 12 * 60 * 1_000_000


class Stat(IntEnum):
    """<stat> of +CEREG, 3GPP TS 27.007 section 10.1.22."""

    IDLE = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    ROAMING = 5


class Network:
    """Attaches `attach_delay_s` (seeded, uniform) after `start`, in virtual time.

    `on_change` is called after each change of `stat`. `cause` is the EMM cause of a refusal.
    """

    def __init__(
        self,
        port: UartPort,
        rng: random.Random,
        attach_delay_s: tuple[float, float],
        on_change: Callable[[], None],
    ) -> None:
        self._port = port
        self._rng = rng
        self._delay_s = attach_delay_s
        self._on_change = on_change
        self._timer: Timer | None = None
        self._coverage = True
        self._refuse: int | None = None
        self.stat = Stat.IDLE
        self.cause = 0
        self.attaches = 0
        self.time_known = False

    @property
    def registered(self) -> bool:
        """Whether the modem may use the network."""
        return self.stat in (Stat.HOME, Stat.ROAMING)

    @property
    def settled(self) -> bool:
        """Whether the modem is not searching at the moment."""
        return self.stat is not Stat.SEARCHING or self._timer is None

    def start(self) -> None:
        """The radio goes on: search."""
        if self.stat is Stat.IDLE:
            self._search()

    def stop(self) -> None:
        """The radio goes off. `on_change` is not called: the modem knows."""
        self._cancel()
        self.stat = Stat.IDLE
        self.cause = 0

    def forget_time(self) -> None:
        """The modem's clock lost its power."""
        self.time_known = False

    def set_coverage(self, there: bool) -> None:
        """Whether there is a cell at all; without one a modem searches for ever."""
        self._coverage = there
        if self.stat is Stat.IDLE:
            return
        if not there:
            self._cancel()
            self._set(Stat.SEARCHING)
        elif not self.registered:
            self._search()

    def refuse(self, cause: int | None) -> None:
        """From the next attach on the network refuses with this EMM cause; None: it accepts."""
        self._refuse = cause

    def _search(self) -> None:
        self._cancel()
        self.cause = 0
        if self._coverage:
            delay_us = int(self._rng.uniform(*self._delay_s) * 1_000_000)
            self._timer = self._port.call_at(self._port.now() + delay_us, self._answer)
        self._set(Stat.SEARCHING)

    def _answer(self) -> None:
        self._timer = None
        if self._refuse is not None:
            self.cause = self._refuse
            if self.cause not in FINAL:
                self._timer = self._port.call_at(self._port.now() + T3402_US, self._search)
            self._set(Stat.DENIED)
        else:
            self.attaches += 1
            self.time_known = True
            self._set(Stat.HOME)

    def _set(self, stat: Stat) -> None:
        if stat is not self.stat:
            self.stat = stat
            self._on_change()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
