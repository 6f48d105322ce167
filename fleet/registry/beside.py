"""Terminals beside each other at one asset, for a dual run; in the caller's transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fleet.registry.operations import RegistryError
from fleet.registry.tables import Asset, Installation, Terminal

PLACEABLE = ("pending", "active")


class Place(NamedTuple):
    """A terminal at an asset, from or until a time in us."""

    terminal_id: str
    asset_id: int
    at_us: int


def enter(session: Session, places: Sequence[Place]) -> None:
    """Put terminals at assets, whoever serves them; one that is there stays. A terminal leaves
    the asset that it was born with by itself; RegistryError for one that serves another.
    """
    ids = [place.terminal_id for place in places]
    rows = session.execute(
        select(Terminal.id, Terminal.role, Terminal.state, Installation, Asset)
        .outerjoin(Installation, Installation.open_for == Terminal.id)
        .outerjoin(Asset, Asset.id == Installation.asset_id)
        .where(Terminal.id.in_(ids))
    )
    known = {row[0]: row for row in rows}
    ended: list[dict[str, object]] = []
    begun: list[dict[str, object]] = []
    for place in places:
        if place.terminal_id not in known:
            raise RegistryError(f"terminal {place.terminal_id} is not registered: provision it")
        _id, role, state, former, asset = known[place.terminal_id]
        if former is not None and former.asset_id == place.asset_id:
            continue
        if state not in PLACEABLE:
            raise RegistryError(f"terminal {place.terminal_id} is {state}: it is not installed")
        if former is not None:
            if asset.name != f"{role} {place.terminal_id}":
                raise RegistryError(
                    f"terminal {place.terminal_id} is installed at {asset.name} (id:{asset.id})"
                )
            from_us = min(former.from_us, place.at_us)
            ended.append(
                {"id": former.id, "from_us": from_us, "to_us": place.at_us, "open_for": None}
            )
        begun.append(
            {
                "terminal_id": place.terminal_id, "asset_id": place.asset_id,
                "from_us": place.at_us, "open_for": place.terminal_id, "register_offset": 0,
            }
        )  # fmt: skip
    if ended:
        session.execute(update(Installation), ended)
    if begun:
        session.execute(insert(Installation), begun)


def leave(session: Session, places: Sequence[Place]) -> None:
    """Terminals leave these assets; those that are not there stay as they are."""
    wanted = {place.terminal_id: place for place in places}
    rows = session.execute(
        select(
            Installation.id, Installation.terminal_id, Installation.asset_id, Installation.from_us
        ).where(Installation.open_for.in_(list(wanted)))
    )
    ended = [
        {"id": row.id, "to_us": max(wanted[row.terminal_id].at_us, row.from_us), "open_for": None}
        for row in rows
        if row.asset_id == wanted[row.terminal_id].asset_id
    ]
    if ended:
        session.execute(update(Installation), ended)


def retire(session: Session, terminal_ids: Sequence[str]) -> None:
    """From now on nothing of these terminals is taken in."""
    session.execute(
        update(Terminal).where(Terminal.id.in_(list(terminal_ids))).values(state="retired")
    )
