"""Whose cells there are around a modem, on which bands and how far; which of them it may take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hil.virtual.modem.radio import Cell

HOME = "46011"  # where a scenario names no cell
NO_BAND = 0


@dataclass(frozen=True)
class Heard:
    """Cells of an operator on one band: `plmn` MCC and MNC; `refuse`: the EMM cause with which it
    turns this SIM away, None: it takes it.
    """

    plmn: str
    band: int
    coupling_loss_db: float
    name: str = ""
    refuse: int | None = None


class Surroundings:
    """`manual` is the operator that +COPS has bound the modem to, "" while it chooses by itself;
    `bands` those that it may use, empty for all. Both are in the module's flash.

    `changed` follows each change of either.
    """

    def __init__(self, heard: tuple[Heard, ...], cell: Cell, changed: Callable[[], None]) -> None:
        self._changed = changed
        # A scenario without cells has those of `cells.around`, whatever their coupling loss.
        self.given = bool(heard)
        self.heard = heard or (Heard(HOME, cell.band, 0.0, "CHN-CT"),)
        self.manual = ""
        self.bands: frozenset[int] = frozenset()

    def put(self, *heard: Heard) -> None:
        """Other cells from now on: the modem was carried elsewhere."""
        self.heard, self.given = heard, True
        self._changed()

    def choose(self, plmn: str) -> None:
        """Bind it to an operator, or let it choose."""
        self.manual = plmn
        self._changed()

    def restrict(self, bands: frozenset[int]) -> None:
        """Let it use these bands only."""
        self.bands = bands
        self._changed()

    def best(self) -> Heard | None:
        """What it camps on: of its operator, on its bands, the nearest."""
        there = [one for one in self.heard if not self.bands or one.band in self.bands]
        if self.manual:
            there = [one for one in there if one.plmn == self.manual]
        return min(
            there, key=lambda one: (one.refuse is not None, one.coupling_loss_db), default=None
        )

    def operators(self) -> dict[str, Heard]:
        """All that a search for networks finds, the nearest of each."""
        found: dict[str, Heard] = {}
        for one in sorted(self.heard, key=lambda one: one.coupling_loss_db):
            found.setdefault(one.plmn, one)
        return found


def cells_of(heard: Heard, nbiot: bool) -> Iterator[Cell]:
    """Its one cell, for ever: numbers follow from operator and band."""
    number = int(heard.plmn) * 100 + heard.band
    cell = Cell(
        tac=int(heard.plmn) % 0xFFFE,
        ci=number % (1 << 28),
        pci=number % 504,
        earfcn=3500 + heard.band + 100 * nbiot,
        band=heard.band,
    )
    while True:
        yield cell
