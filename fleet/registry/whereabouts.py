"""What and where assets and nodes are, for those who must say so to people."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal


class Whereabouts(NamedTuple):
    """An asset: its kind (the role that serves it), its name, the code of its area."""

    kind: str
    name: str
    area: str


def of_assets(session: Session, asset_ids: Iterable[int]) -> dict[int, Whereabouts]:
    """Those of `asset_ids` that there are."""
    rows = session.execute(
        select(Asset.id, Asset.kind, Asset.name, Site.area_code)
        .join(Site, Site.id == Asset.site_id)
        .where(Asset.id.in_(sorted(set(asset_ids))))
    )
    return {asset_id: Whereabouts(kind, name, area) for asset_id, kind, name, area in rows}


def area_of_node(session: Session, node_id: str) -> str | None:
    """The code of the area that a terminal was given to; None when it is not registered."""
    return session.scalar(select(Terminal.area_code).where(Terminal.id == node_id))


def area_name(session: Session, code: str) -> str:
    """An area's name; its code where it has none."""
    return session.scalar(select(Area.name).where(Area.code == code)) or code


def serving(session: Session, asset_id: int) -> Terminal | None:
    """The terminal that serves an asset now: its own, or the gateway of a sub-device."""
    query = select(Terminal).join(Installation, Installation.open_for == Terminal.id)
    own = session.scalar(query.where(Installation.asset_id == asset_id))
    if own is not None:
        return own
    behind = select(SubDevice.gateway_id).where(
        SubDevice.asset_id == asset_id, SubDevice.open_for.is_not(None)
    )
    return session.scalar(query.where(Installation.asset_id.in_(behind)).limit(1))


def count_assets(session: Session, area: str, kind: str) -> int:
    """How many assets of a kind an area has, and all areas whose code begins so."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Asset)
            .join(Site, Site.id == Asset.site_id)
            .where(Site.area_code >= area, Site.area_code < f"{area}:", Asset.kind == kind)
        )
        or 0
    )  # ':' stands behind '9', and codes are digits: a range that the index can follow
