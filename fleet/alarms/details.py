"""What the text of an alarm is filled from: names as they are, values and times as integers, so
that each language writes them its own way (`fleet.alarms.wording`).
"""

from fleet.alarms.heard import Heard
from fleet.registry.whereabouts import Whereabouts

Detail = dict[str, str | int]
VALUES = ("value", "limit", "change")  # by quantity, "quantity" in the same detail
MOST_MEASURED = 8
# How long an alarm waits for its street's before it is told: a cabinet's nodes call within it.
GRACE_US = 60 * 1_000_000


def of_asset(asset_id: int, where: Whereabouts, node_id: str) -> Detail:
    """Every alarm of an asset has these."""
    return {"asset": where.name, "asset_id": asset_id, "area": where.area, "node": node_id}


def subject(asset_id: int) -> str:
    """The subject of an asset's alarms."""
    return f"asset-{asset_id}"


def measured(record: Heard) -> str:
    """What an event's record measured, `quantity:value` with commas; empty for nothing."""
    values = [f"{code}:{value}" for code, value in record.values if code < 900 and code != 99]
    return ",".join(values[:MOST_MEASURED])
