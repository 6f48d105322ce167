"""What came in and concerns alarms: the new records of a batch, before they are stored."""

from collections.abc import Sequence
from typing import NamedTuple

from fleet.telemetry.operations import BEHIND_US, is_off


class Heard(NamedTuple):
    """A record of an asset that is stored in this transaction; times in us since 1970 UTC.

    `time_us` and `sent_us`, that of its report, are by the node's clock, `received_us` by ours.
    `by_file`: a technician brought it, and no key of the node's vouches for it. Such a record may
    raise an alarm; it ends none, and is no sign of life.
    """

    asset_id: int
    node_id: str
    sequence: int
    time_us: int
    sent_us: int
    received_us: int
    quality: int
    values: Sequence[tuple[int, int]]
    by_file: bool = False

    @property
    def at_us(self) -> int:
        """When it was measured, as far as it can be believed.

        Of a clock that is wrong only differences count: so long before its report. A reading
        of tomorrow would else make every one of today a late one, and the rules blind.
        """
        if is_off(self.time_us, self.received_us):
            age = self.sent_us - self.time_us
            return self.received_us - (age if 0 <= age <= BEHIND_US else 0)
        return min(self.time_us, self.received_us)

    @property
    def order(self) -> tuple[int, int]:
        """What is older comes first."""
        return self.at_us, self.sequence
