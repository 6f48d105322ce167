"""What a node tells of itself, as the fleet has it: read by several modules of the suite."""

from hil.fleet import Fleet
from hil.node import Node

HOURLY = {"report_s": 3600, "report_records": 1}  # a report with each sample
CAUSE = "2"  # status key: machine.reset_cause() of the life that reports
POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = 1, 2, 3, 4, 5


def last_cause(node: Node, fleet: Fleet) -> int | None:
    """The reset cause in the newest report."""
    found: int | None = fleet.status(node)["status"].get(CAUSE)
    return found
