"""The cells around a modem: some of its tracking area, and one of the next."""

import random
from collections.abc import Iterator
from itertools import cycle

from hil.virtual.modem.radio import Cell

_NBIOT = (3738, 8)  # EARFCN and band, 900 MHz
_LTE = (3590, 8)
_SAME_AREA = 2  # cells, before the one of the next tracking area


def around(rng: random.Random, nbiot: bool) -> Iterator[Cell]:
    """The serving cell first, then what a change of cell leads to, round and round."""
    earfcn, band = _NBIOT if nbiot else _LTE
    tac = rng.randrange(1, 0xFFFE)
    station = rng.randrange(1, 1 << 20)
    pci = rng.randrange(504)
    cells = [
        Cell(
            tac=tac if at < _SAME_AREA else tac + 1,
            ci=station << 8 | at + 1,
            pci=(pci + 7 * at) % 504,
            earfcn=earfcn,
            band=band,
        )
        for at in range(_SAME_AREA + 1)
    ]
    return cycle(cells)
