"""The cellular network as one modem sees it: search, attach or refusal, cells, and the time."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from hil.virtual.modem.radio import Cell
from hil.virtual.twin import Timer, UartPort

# EMM causes after which a terminal tries no more by itself (TS 24.301, 5.5.1.2.5).
FINAL = frozenset({3, 6, 7, 8, 11})
T3402_US = 12 * 60 * 1_000_000
RESELECTION_US = (300_000, 2_000_000)  # without a cell while changing it
SWITCHED_OFF_US = 1_000_000


class Stat(IntEnum):
    """<stat> of +CEREG, 3GPP TS 27.007 section 10.1.22."""

    IDLE = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    ROAMING = 5


@dataclass(frozen=True)
class NetworkHooks:
    """What the network asks of the modem.

    `attach` puts the attach's signalling on the air and returns when it ends, None without a
    usable cell; `attach_us` is about how long that takes. `refusal` is a cause that lies in the
    SIM. `changed` follows each change of `stat`, `moved` a change of the cell alone.
    """

    allowed: Callable[[], bool]  # the SIM is there and unlocked
    attach: Callable[[], int | None]
    attach_us: Callable[[], int]
    refusal: Callable[[], int | None]
    accepted: Callable[[], None]
    changed: Callable[[], None]
    moved: Callable[[], None]
    at: Callable[[int, Callable[[], None]], Timer]  # along which virtual time may jump


class Network:
    """Attaches `attach_delay_s` (seeded, uniform) after `start`, in virtual time; later where the
    signalling alone takes longer.

    `cause` is the EMM cause of a refusal.
    """

    def __init__(
        self,
        port: UartPort,
        rng: random.Random,
        attach_delay_s: tuple[float, float],
        cells: Iterator[Cell],
        hooks: NetworkHooks,
    ) -> None:
        self._port = port
        self._rng = rng
        self._delay_s = attach_delay_s
        self._cells = cells
        self._hooks = hooks
        self._timer: Timer | None = None
        self._coverage = True
        self._refuse: int | None = None
        self._refusals: deque[int] = deque()
        self._serving = next(cells)
        self._between_cells = False
        self.stat = Stat.IDLE
        self.cause = 0
        self.attaches = 0
        self.time_known = False
        self.tells_time = True  # with each attach, by EMM INFORMATION

    @property
    def registered(self) -> bool:
        """Whether the modem may use the network."""
        return self.stat in (Stat.HOME, Stat.ROAMING)

    @property
    def serving(self) -> Cell:
        """The cell that it camps on, or would."""
        return self._serving

    @property
    def settled(self) -> bool:
        """Whether the modem is not searching at the moment."""
        return self.stat is not Stat.SEARCHING or self._timer is None

    @property
    def cell(self) -> Cell | None:
        """The cell that the modem camps on; None without one."""
        camped = self.registered or self.stat is Stat.DENIED
        return self._serving if camped and self._coverage and not self._between_cells else None

    @property
    def covered(self) -> bool:
        """Whether there is a cell at all, and the modem is not between two."""
        return self._coverage and not self._between_cells

    def start(self) -> None:
        """The radio goes on: search, if there is a SIM to search with."""
        if self.stat is Stat.IDLE and self._hooks.allowed():
            self._search()

    def stop(self) -> None:
        """The radio goes off. `changed` is not called: the modem knows."""
        self._cancel()
        self._between_cells = False
        self.stat = Stat.IDLE
        self.cause = 0

    def forget_time(self) -> None:
        """The modem's clock lost its power."""
        self.time_known = False

    # -- what befalls the modem -----------------------------------------------------------------

    def tell_time(self, does: bool) -> None:
        """Whether the network tells the time, as not all do; what it told before is forgotten."""
        self.tells_time = does
        self.time_known = does and self.registered

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

    def camp(self, cells: Iterator[Cell] | None, refuse: int | None) -> None:
        """Other cells from now on, None: there are none; `refuse` is how theirs answer. A modem
        whose radio is on searches anew.
        """
        self._cancel()
        self._between_cells = False
        self._coverage = cells is not None
        self._refuse = refuse
        if cells is not None:
            self._cells = cells
            self._serving = next(cells)
        if self.stat is not Stat.IDLE:
            self._set(Stat.IDLE)
            self.start()

    def refuse(self, cause: int | None) -> None:
        """From the next attach on the network refuses with this EMM cause; None: it accepts."""
        self._refuse = cause
        self._refusals.clear()

    def refuse_first(self, causes: Iterable[int]) -> None:
        """The next attaches are refused with these causes, one each."""
        self._refusals.extend(causes)

    def detach(self, rest_us: int = SWITCHED_OFF_US) -> None:
        """The network detaches the modem (TS 24.301, 5.5.2.3), which searches anew after a rest.

        With `refuse` it stays out.
        """
        if self.registered:
            self._cancel()
            self._set(Stat.IDLE)
            self._timer = self._hooks.at(self._port.now() + rest_us, self._search)

    def change_cell(self) -> None:
        """Reselection: a moment without a cell, then the next one, perhaps of another area."""
        self._serving = next(self._cells)
        if not self.registered or self._between_cells:
            return
        self._between_cells = True
        due_us = self._port.now() + self._rng.randint(*RESELECTION_US)
        self._timer = self._hooks.at(due_us, self._reselected)

    def _reselected(self) -> None:
        self._timer = None
        self._between_cells = False
        self._hooks.moved()

    def _search(self) -> None:
        self._cancel()
        self.cause = 0
        if self._coverage:
            delay_us = int(self._rng.uniform(*self._delay_s) * 1_000_000)
            search_us = max(0, delay_us - self._hooks.attach_us())
            self._timer = self._port.call_at(self._port.now() + search_us, self._found)
        self._set(Stat.SEARCHING)

    def _found(self) -> None:
        end_us = self._hooks.attach()
        if end_us is None:
            self._timer = None  # no cell is good enough
        else:
            self._timer = self._hooks.at(end_us, self._answer)

    def _answer(self) -> None:
        self._timer = None
        cause = self._hooks.refusal() or self._refuse
        if cause is None and self._refusals:
            cause = self._refusals.popleft()
        if cause is not None:
            self.cause = cause
            if self.cause not in FINAL:
                self._timer = self._port.call_at(self._port.now() + T3402_US, self._search)
            self._set(Stat.DENIED)
        else:
            self.attaches += 1
            self.time_known = self.time_known or self.tells_time
            self.stat = Stat.HOME
            self._hooks.accepted()
            self._hooks.changed()

    def _set(self, stat: Stat) -> None:
        if stat is not self.stat:
            self.stat = stat
            self._hooks.changed()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
