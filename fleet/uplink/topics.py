"""The topics of the uplink: `k1/<node id>/up/report` and `k1/<node id>/down/receipt`."""

from fleet.wire import nodeid

REPORTS = "k1/+/up/report"


def node_of_report(topic: str) -> str | None:
    """The node id that a report's topic names, None for any other topic."""
    levels = topic.split("/")
    if len(levels) != 4 or levels[0] != "k1" or levels[2:] != ["up", "report"]:
        return None
    try:
        nodeid.to_mac(levels[1])
    except nodeid.NodeIdError:
        return None
    return levels[1]


def receipt_of(node_id: str) -> str:
    """Where a node awaits its receipts."""
    return f"k1/{node_id}/down/receipt"
