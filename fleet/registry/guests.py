"""Where a survey node stands: a spot of its own at an asset's site, which it does not serve."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.registry.tables import Asset

ROLE = "survey"
_NAME = "survey at "
_LONGEST = 100


def spot(session: Session, asset: Asset) -> tuple[Asset, bool]:
    """The spot beside `asset`, which may be one itself; and whether it is new."""
    if asset.kind == ROLE:
        return asset, False
    name = (_NAME + asset.name)[:_LONGEST]
    query = select(Asset).where(
        Asset.site_id == asset.site_id, Asset.kind == ROLE, Asset.name == name
    )
    found = session.scalar(query.order_by(Asset.id).limit(1))
    if found is not None:
        return found, False
    made = Asset(
        site_id=asset.site_id, kind=ROLE, name=name, latitude_e7=asset.latitude_e7,
        longitude_e7=asset.longitude_e7,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made, True
