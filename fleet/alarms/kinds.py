"""Every kind of alarm that the fleet knows by itself: how grave it is, and whom it is about.

A kind `<kind>` has a text `alarm.<kind>` in the catalogue. Kinds of rule packs, `<pack>.<rule>`,
stand in their packs.
"""

from typing import NamedTuple

from fleet.wire import quantity

CRITICAL, WARNING, NOTICE = "critical", "warning", "notice"
SEVERITIES = (NOTICE, WARNING, CRITICAL)  # from the least on


class Kind(NamedTuple):
    """`about`: what the alarm belongs to: the asset, the node that serves it, or the fleet."""

    severity: str
    about: str = "asset"


# What the fleet finds by itself. Subjects: a node id, crl.pem, broker, a channel's name, alarms,
# a step of the ingest.
OF_FLEET = {
    "clone": Kind(CRITICAL, "node"),
    "crl": Kind(CRITICAL, "fleet"),
    "broker-reload": Kind(CRITICAL, "fleet"),
    "rotation": Kind(WARNING, "node"),
    "channel": Kind(WARNING, "fleet"),
    "weighing": Kind(CRITICAL, "fleet"),
    "ingest": Kind(WARNING, "fleet"),
    "bridge": Kind(WARNING, "fleet"),
    "legacy-moved": Kind(WARNING, "node"),
    "legacy-clash": Kind(CRITICAL, "node"),
}

# By the event's name in firmware/node/wire/quantity.py. Critical is what may hurt somebody, or
# keeps a safety device from its work; a warning wants a visit, a notice only to be known.
OF_EVENTS = {
    "leak": Kind(CRITICAL),
    "over_flow": Kind(CRITICAL),
    "long_use": Kind(WARNING),
    "burst": Kind(CRITICAL),
    "no_use": Kind(NOTICE),
    "gas": Kind(CRITICAL),
    "tilt": Kind(WARNING),
    "earthquake": Kind(CRITICAL),
    "battery_low": Kind(WARNING, "node"),
    "cover": Kind(WARNING),
    "reverse_flow": Kind(WARNING),
    "magnet": Kind(WARNING),
    "valve_fault": Kind(CRITICAL),
    "register_gap": Kind(WARNING),
    "valve_closed": Kind(WARNING),
    "level_high": Kind(CRITICAL),
    "level_rise": Kind(CRITICAL),
    "sensor_stuck": Kind(WARNING),
    "sensor_fault": Kind(WARNING),
    "cover_moved": Kind(CRITICAL),
    "chamber_water": Kind(WARNING),
    "h2s": Kind(CRITICAL),
    "ch4": Kind(CRITICAL),
    "supply_lost": Kind(WARNING),
    "heavy_rain": Kind(WARNING),
    "lamp_failed": Kind(WARNING),
    "leakage": Kind(CRITICAL),
    "pole_tilt": Kind(CRITICAL),
    "door": Kind(WARNING),
    "water": Kind(WARNING),
    "power_lost": Kind(WARNING),
    "lamp_by_day": Kind(NOTICE),
    "device_silent": Kind(WARNING),
    "bus_fault": Kind(WARNING),
    "crash": Kind(WARNING, "node"),
    "brown_out": Kind(NOTICE, "node"),
    "config_reverted": Kind(WARNING, "node"),
    "storage": Kind(WARNING, "node"),
    "clock": Kind(NOTICE, "node"),
}

UNKNOWN_EVENT = "unknown-event"  # of a firmware that is newer than this fleet

BY_EVENT = {
    code: name.replace("_", "-") for code, name in quantity.EVENTS.items() if name in OF_EVENTS
}

KINDS: dict[str, Kind] = {
    **OF_FLEET,
    **{name.replace("_", "-"): kind for name, kind in OF_EVENTS.items()},
    UNKNOWN_EVENT: Kind(WARNING),
}


def at_least(severity: str) -> tuple[str, ...]:
    """This severity and all above it."""
    return SEVERITIES[SEVERITIES.index(severity) :]
