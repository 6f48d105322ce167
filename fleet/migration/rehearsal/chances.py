"""What goes wrong in a rehearsal, and how often."""

from typing import Final, NamedTuple

from fleet.migration.rehearsal.flows import mix
from fleet.migration.states import CUT_OVER, INSTALLED, PARITY, SETTLED

STAGES: Final = (INSTALLED, PARITY, CUT_OVER, SETTLED)  # at which somebody goes back


class Chances(NamedTuple):
    """Permille of what may happen, but `rollbacks`: how many items are rolled back once.

    `lost`: a transmission does not arrive; `deaf`: it does, and its answer does not, so it comes
    again; `silent`: a terminal is out for some days; `shut`: nobody opens to a crew; `typo`: a
    dial is typed wrong at first, in its highest digits; `instead`: the old terminal goes at once,
    without a dual run.
    """

    seed: int = 1
    lost: int = 10
    deaf: int = 10
    silent: int = 15
    shut: int = 30
    typo: int = 10
    instead: int = 400
    rollbacks: int = 0

    def hits(self, permille: int, *what: int) -> bool:
        """Whether this happens to that: always the same."""
        return mix(self.seed, *what) % 1000 < permille


NOTHING: Final = Chances(lost=0, deaf=0, silent=0, shut=0, typo=0)
