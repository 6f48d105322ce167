"""The topics of the uplink: `k1/<node id>/up/report` and `k1/<node id>/down/receipt`, and of a
voucher `k1/<claim id>/up/claim` and `k1/<claim id>/down/claim`.
"""

from fleet.wire import claim, nodeid

REPORTS = "k1/+/up/report"
BUS = "k1/+/up/bus"  # what devices on a gateway's line say to a master station
CLAIMS = "k1/+/up/claim"
BLOCKS = "k1/+/up/block"  # requests for pieces of updates


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


def sender_of(topic: str) -> str | None:
    """The node id that a report's topic names, or the claim id of a claim's, else None."""
    levels = topic.split("/")
    if len(levels) == 4 and levels[0] == "k1" and levels[2:] == ["up", "claim"]:
        return levels[1] if claim.is_id(levels[1]) else None
    return node_of_report(topic)


def answer_of(sender: str) -> str:
    """Where a node awaits its receipts, or a voucher its grant."""
    return f"k1/{sender}/down/claim" if claim.is_id(sender) else receipt_of(sender)


def node_of_bus(topic: str) -> str | None:
    """The node id that a topic of BUS names, None for any other topic."""
    return _node_of(topic, "bus")


def node_of_block(topic: str) -> str | None:
    """The node id that a topic of BLOCKS names, None for any other topic."""
    return _node_of(topic, "block")


def _node_of(topic: str, what: str) -> str | None:
    levels = topic.split("/")
    if len(levels) != 4 or levels[0] != "k1" or levels[2:] != ["up", what]:
        return None
    return node_of_report(f"k1/{levels[1]}/up/report")


def bus_of(node_id: str) -> str:
    """Where a gateway awaits frames for its line."""
    return f"k1/{node_id}/down/bus"


def blocks_of(node_id: str) -> str:
    """Where a node awaits pieces of updates."""
    return f"k1/{node_id}/down/block"


def receipt_of(node_id: str) -> str:
    """Where a node awaits its receipts."""
    return f"k1/{node_id}/down/receipt"
