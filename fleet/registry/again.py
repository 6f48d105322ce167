"""A board that is provisioned again: who it is stays, what it serves may change."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from fleet.registry.operations import ROLES, RegistryError, now_us, show_node
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal


def reactivate(session: Session, node_id: str) -> None:
    """Let a node report again: its credentials are new."""
    session.execute(update(Terminal).where(Terminal.id == node_id).values(state="active"))


def on_board(session: Session, node_id: str, board: str | None) -> None:
    """Remember which board of hw/boards a node is; None: nobody knows."""
    session.execute(update(Terminal).where(Terminal.id == node_id).values(board=board))


def serve_anew(session: Session, node_id: str, role: str, area: str) -> int:
    """Close the node's installation and give it an asset of its own, in `area`; the asset's id.

    The old asset and its series stay as they are.
    """
    if role not in ROLES or session.get(Area, area) is None:
        raise RegistryError(f"role {role[:20]!r} or area {area[:20]!r} is unknown")
    show_node(session, node_id)
    now = now_us()
    name = f"{role} {node_id}"
    site = Site(area_code=area, name=name)
    session.add(site)
    session.flush()
    thing = Asset(site_id=site.id, kind=role, name=name)
    session.add(thing)
    session.execute(
        update(Installation)
        .where(Installation.open_for == node_id)
        .values(to_us=now, open_for=None)
    )
    session.execute(
        update(Terminal)
        .where(Terminal.id == node_id)
        .values(role=role, area_code=area, state="active")
    )
    session.flush()
    session.add(
        Installation(
            terminal_id=node_id, asset_id=thing.id, from_us=now, open_for=node_id,
            register_offset=0,
        )
    )  # fmt: skip
    session.flush()
    return thing.id
