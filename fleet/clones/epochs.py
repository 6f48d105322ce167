"""Two journals that report in turns under one identity.

A wiped node draws a new epoch and never has the old one again. Records that are new to the fleet
and of an epoch that had ended come from a second journal, hence from a second device, whatever its
address, its door and its timing. One report may arrive late, from before the wipe: that makes the
old epoch come back once, and the new one after it. So one journal's epoch may come back twice: in
place of the one before, and by a late report of its own.
"""

from typing import NamedTuple

KEPT = 8  # epochs that ended
RETURNS = 3  # of one epoch; two have an innocent cause


class Epochs(NamedTuple):
    """The epoch of the newest records, and how often it came back; (epoch, how often it came back)
    of those before, newest last.
    """

    epoch: int
    returns: int = 0
    earlier: tuple[tuple[int, int], ...] = ()

    def followed_by(self, epoch: int) -> "Epochs":
        """After new records of another epoch."""
        known = dict(self.earlier)
        returns = known.pop(epoch) + 1 if epoch in known else 0
        earlier = (*known.items(), (self.epoch, self.returns))[-KEPT:]
        return Epochs(epoch, returns, earlier)

    @property
    def are_of_two(self) -> bool:
        """Whether the present epoch came back more often than one journal explains."""
        return self.returns >= RETURNS
