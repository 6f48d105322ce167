"""Meters that never were in a migration come into the ledger, so that they are read and billed."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.adopting import adopt
from fleet.migration.desk import Desk
from fleet.migration.ledger_tables import RegisterSegment
from fleet.migration.scaling import Meaning, quantities_of, register_of
from fleet.registry.operations import ROLES
from fleet.registry.sub_devices import REGISTER
from fleet.registry.tables import Asset, Installation, Site
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.tables import Reading


def candidates(session: Session, area: str) -> tuple[list[int], int]:
    """Assets of an area whose register was told and is not in the ledger yet; and how many have a
    terminal in place that has told nothing.
    """
    found: list[int] = []
    silent = 0
    known = select(RegisterSegment.id).where(RegisterSegment.asset_id == Asset.id)
    for kind in (*ROLES, *REGISTER):
        register = register_of(kind)
        if register is None:
            continue
        told = select(Reading.id).where(
            Reading.asset_id == Asset.id, Reading.quantity.in_(quantities_of(register))
        )
        query = (
            select(Asset.id, told.exists())
            .join(Site, Site.id == Asset.site_id)
            .join(Installation, Installation.asset_id == Asset.id)
            .where(Asset.kind == kind, Installation.to_us.is_(None), ~known.exists())
            .distinct()
        )
        if area:
            query = query.where(within(Site.area_code, area))
        for asset_id, has_told in session.execute(query):
            found += [asset_id] if has_told else []
            silent += not has_told
    return sorted(found), silent


def enrol(desk: Desk, asset_ids: Sequence[int], meaning: Meaning | None) -> list[int]:
    """Begin the ledger of these assets at what the terminal in place told first; `meaning`: how
    its register is read, None: as the quantity itself. MeteringError for an asset with two.
    """
    there: dict[int, str] = {}
    for asset_id, terminal_id in desk.session.execute(
        select(Installation.asset_id, Installation.terminal_id).where(
            Installation.asset_id.in_(asset_ids), Installation.to_us.is_(None)
        )
    ):
        if asset_id in there:
            raise MeteringError(
                f"two terminals are in place at asset id:{asset_id}: kapok migrate work ready"
            )
        there[asset_id] = terminal_id
    meanings = {} if meaning is None else dict.fromkeys(there, meaning)
    done = [one.asset_id for one in adopt(desk, there, meanings)]
    desk.done(done)
    return done
