"""Meters behind a terminal of another maker: sub-devices of its asset, numbered as they come."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.registry.operations import RegistryError, check_text, now_us
from fleet.registry.sub_devices import KINDS, NUMBERS
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset, Installation


class Meter(NamedTuple):
    """A meter on the line of a terminal, by its address there."""

    terminal_id: str
    asset: str
    kind: str
    address: str


def put(session: Session, meter: Meter) -> bool:
    """Name the meter at an address behind a terminal; whether anything is new. RegistryError."""
    if meter.kind not in KINDS:
        raise RegistryError(f"kind {meter.kind[:24]!r}: one of {', '.join(KINDS)}")
    if not meter.address or len(meter.address) > 14:
        raise RegistryError(f"address {meter.address[:24]!r}: 1 to 14 characters")
    check_text(meter.asset, "the asset's name")
    gateway = session.scalar(
        select(Asset)
        .join(Installation, Installation.asset_id == Asset.id)
        .where(Installation.open_for == meter.terminal_id)
    )
    if gateway is None:
        raise RegistryError(f"terminal {meter.terminal_id} serves no asset")
    mine = (SubDevice.gateway_id == gateway.id, SubDevice.open_for.is_not(None))
    found = session.execute(
        select(SubDevice, Asset)
        .join(Asset, Asset.id == SubDevice.asset_id)
        .where(*mine, SubDevice.address == meter.address)
    ).first()
    if found is not None:
        _, asset = found
        if asset.name != meter.asset:
            raise RegistryError(f"address {meter.address} is of {asset.name}, not {meter.asset}")
        is_new = asset.kind != meter.kind
        asset.kind = meter.kind
        return is_new
    if session.scalar(select(Asset.id).where(Asset.name == meter.asset).limit(1)) is not None:
        raise RegistryError(f"asset {meter.asset[:40]} is there already, and not behind it")
    most = session.scalar(select(func.max(SubDevice.number)).where(*mine)) or 0
    if most + 1 not in NUMBERS:
        raise RegistryError(f"terminal {meter.terminal_id} has {most} meters: no more fit")
    made = Asset(site_id=gateway.site_id, kind=meter.kind, name=meter.asset)
    session.add(made)
    session.flush()
    session.add(
        SubDevice(
            gateway_id=gateway.id, number=most + 1, asset_id=made.id, address=meter.address,
            from_us=now_us(), open_for=f"{gateway.id}/{most + 1}", register_offset=0,
        )
    )  # fmt: skip
    session.flush()
    return True
