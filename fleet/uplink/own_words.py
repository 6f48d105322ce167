"""What nodes say about themselves, quantities 900 to 999: no readings of an asset, but words for
the parts of the fleet that they concern, told in the transaction that stores the readings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from fleet.control import results
from fleet.registry import found_devices, health
from fleet.uplink.apart import apart
from fleet.wire import quantity
from fleet.wire.report import Record


class Words(NamedTuple):
    """Of one record: `values` by quantity, 900 to 999 only; `time_s` by the node's clock,
    `received_us` by the fleet's; `trust` as of a reading (fleet.telemetry.operations).
    """

    node_id: str
    epoch: int
    sequence: int
    time_s: int
    quality: int
    values: Mapping[int, int]
    trust: int
    received_us: int


Hearer = Callable[[Session, Sequence[Words]], None]

# Who hears which quantities. What nobody hears, as of a newer firmware, goes nowhere.
HEARERS: tuple[tuple[range, Hearer], ...] = (
    (results.QUANTITIES, results.told),
    (health.QUANTITIES, health.told),
    (found_devices.QUANTITIES, found_devices.told),
)


def is_own(code: int) -> bool:
    """Whether a quantity is a node's word about itself."""
    return code in quantity.ABOUT_ITSELF


def is_all_own(record: Record) -> bool:
    """Whether a record is of no asset at all, so that it needs no place to be stored at."""
    return all(is_own(code) for code, _value in record.values)


def tell(session: Session, words: Iterable[Words]) -> None:
    """Each hearer the words that hold one of its quantities, in the order in which they came; a
    hearer that fails costs neither the others theirs nor the nodes their receipts.
    """
    said = list(words)
    for codes, hear in HEARERS:
        its = [one for one in said if any(code in codes for code in one.values)]
        if its:
            apart(session, hear.__module__.rpartition(".")[2], its, hear)
