"""What the database says, after a campaign, of what its nodes sensed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fleet_rig

from tests.bench.coap_nodes import Node

FAULTS = ("a request failed", "an outcome could not be told", "Traceback")


@dataclass
class Verdict:
    """Readings, and the fleet's own faults."""

    records: int  # stored
    lost: int
    duplicated: int
    strange: int  # stored, and sensed by nobody
    faults: int  # lines of the fleet's log


def verdict(database: Path, log: Path, nodes: Sequence[Node]) -> Verdict:
    """Each record, by node, value and time, must be there once. What a cut caught while it was
    written to flash may be there.
    """
    rows = fleet_rig.query(
        database,
        "SELECT terminal_id, value, time_us / 1000000, COUNT(*) FROM readings GROUP BY 1, 2, 3",
    )
    stored = {(node_id, value, time_s): count for node_id, value, time_s, count in rows}
    sure = {(node.node_id, *record) for node in nodes for record in node.sensed.sure.items()}
    unsure = {(node.node_id, *record) for node in nodes for record in node.sensed.unsure.items()}
    with log.open(errors="replace") as lines:
        faults = sum(any(fault in line for fault in FAULTS) for line in lines)
    return Verdict(
        records=sum(stored.values()),
        lost=len(sure - stored.keys()),
        duplicated=sum(count - 1 for count in stored.values()),
        strange=len(stored.keys() - sure - unsure),
        faults=faults,
    )
