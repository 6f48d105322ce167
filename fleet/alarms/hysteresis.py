"""From beyond and back to raised and cleared: a state machine without a clock of its own.

Its time is the readings': what a node measured between two of them nobody knows, so a hold is
over when a reading shows that it is.
"""

from enum import IntEnum
from typing import NamedTuple


class Phase(IntEnum):
    """QUIET; beyond, but not for long enough; RAISED; back, but not for long enough."""

    QUIET = 0
    PENDING = 1
    RAISED = 2
    RETURNING = 3


class Watch(NamedTuple):
    """A phase and when it began, in us; of QUIET and RAISED that does not matter."""

    phase: Phase = Phase.QUIET
    since_us: int = 0

    @property
    def is_on(self) -> bool:
        """Whether there is an alarm."""
        return self.phase in (Phase.RAISED, Phase.RETURNING)


def step(
    watch: Watch, beyond: bool, back: bool, time_us: int, hold_us: int, back_hold_us: int
) -> Watch:
    """The next state after a reading, none older than the last.

    An alarm begins where `is_on` becomes true, and ends where it becomes false.
    """
    if not watch.is_on:
        if not beyond:
            return Watch(Phase.QUIET, time_us)
        since = watch.since_us if watch.phase == Phase.PENDING else time_us
        phase = Phase.RAISED if time_us - since >= hold_us else Phase.PENDING
        return Watch(phase, since)
    if not back:
        since = watch.since_us if watch.phase == Phase.RAISED else time_us
        return Watch(Phase.RAISED, since)
    since = watch.since_us if watch.phase == Phase.RETURNING else time_us
    if time_us - since >= back_hold_us:
        return Watch(Phase.QUIET, time_us)
    return Watch(Phase.RETURNING, since)
