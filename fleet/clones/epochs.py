"""Two journals that report in turns under one identity.

A wiped node draws a new epoch and never has the old one again. Records that are new to the fleet
and of an epoch that had ended come from a second journal, hence from a second device, whatever its
address, its door and its timing. One report may arrive late, from before the wipe: that makes an
old epoch come back once, and the present one after it.
"""

from typing import NamedTuple

KEPT = 8  # epochs that ended
RETURNS = 3  # a late report makes two
WITHIN_US = 30 * 86400 * 1_000_000  # a battery node reports once a day


class Epochs(NamedTuple):
    """The epoch of the newest records; those before it, newest last; when one came back, us."""

    epoch: int
    earlier: tuple[int, ...] = ()
    returns: tuple[int, ...] = ()

    def followed_by(self, epoch: int, now_us: int) -> "Epochs":
        """After new records of another epoch."""
        earlier = (*(each for each in self.earlier if each != epoch), self.epoch)[-KEPT:]
        returns = self.returns
        if epoch in self.earlier:
            returns = (*returns, now_us)[-RETURNS:]
        return Epochs(epoch, earlier, returns)

    def are_of_two(self, now_us: int) -> bool:
        """Whether the epochs came back as often as two journals alone explain."""
        recent = [each for each in self.returns if now_us - each <= WITHIN_US]
        return len(recent) >= RETURNS
