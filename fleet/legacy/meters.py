"""Which meters are on a box's line, by the registry as it is now."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.legacy import sources
from fleet.legacy.sources import Source
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.registry.operations import now_us
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset

PROTOCOLS = ("modbus", "dlt645", "cjt188")  # as profiles have them compiled


def of(session: Session, source: Source) -> list[tuple[str, str, str, str]]:
    """(kind of its asset, protocol or empty, address on the line, the same where it is behind)."""
    found = sources.find(session, [source]).get((source.kind, source.address))
    place = found.standing.placed(now_us()) if found is not None and found.is_active else None
    if found is None or place is None:
        return []
    rows = session.execute(
        select(Asset.kind, SubDevice.address)
        .join(SubDevice, SubDevice.asset_id == Asset.id)
        .where(
            SubDevice.gateway_id == place.asset_id, SubDevice.open_for.is_not(None),
            SubDevice.address != "",
        )
        .order_by(SubDevice.number)
    )  # fmt: skip
    told = [(kind, "", address, address) for kind, address in rows]
    own = session.get(LegacyTerminal, found.terminal_id)
    asset = session.get(Asset, place.asset_id)
    if own is not None and asset is not None and own.address:
        protocol = "".join(sign for sign in own.protocol if sign.isalnum())
        protocol = {"cjt188": "cjt188", "dlt645": "dlt645", "modbusrtu": "modbus"}.get(
            protocol.removesuffix("2004").removesuffix("2007").removesuffix("2018"), protocol
        )
        if protocol in PROTOCOLS:
            told.append((asset.kind, protocol, own.address, ""))
    return told
