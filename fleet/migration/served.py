"""Which registers move with an item: its asset's, and those of the meters behind its terminal."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import ledger
from fleet.migration.breaches import LedgerError
from fleet.migration.ledger import Key, Standing
from fleet.migration.scaling import register_of
from fleet.migration.tables import MigrationItem
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset


def keys(session: Session, items: Sequence[MigrationItem]) -> dict[int, list[Key]]:
    """By item: (asset, register) of its asset, where that has one, then of the meters that are
    read through its terminal. An item that moves no register has an empty list.
    """
    ids = [item.asset_id for item in items]
    found: dict[int, list[Key]] = defaultdict(list)
    for asset_id, kind in session.execute(
        select(Asset.id, Asset.kind).where(Asset.id.in_(ids)).order_by(Asset.id)
    ):
        register = register_of(kind)
        if register is not None:
            found[asset_id].append((asset_id, register))
    for gateway_id, asset_id, kind in session.execute(
        select(SubDevice.gateway_id, Asset.id, Asset.kind)
        .join(Asset, Asset.id == SubDevice.asset_id)
        .where(SubDevice.gateway_id.in_(ids), SubDevice.open_for.is_not(None))
        .order_by(SubDevice.gateway_id, SubDevice.number)
    ):
        register = register_of(kind)
        if register is not None:
            found[gateway_id].append((asset_id, register))
    return {item.id: found[item.asset_id] for item in items}


def standings(session: Session, items: Sequence[MigrationItem]) -> dict[int, list[Standing]]:
    """By item: those of its registers that the ledger has, held for who asks. A meter that was
    named behind a terminal since its item became ready is in no bill yet: it moves without one.
    """
    wanted = keys(session, items)
    assets = sorted({asset_id for several in wanted.values() for asset_id, _ in several})
    ledger.hold(session, assets)
    found = ledger.standings(session, assets)
    return {
        item_id: [found[key] for key in several if key in found]
        for item_id, several in wanted.items()
    }


def need_own(item: MigrationItem, wanted: Sequence[Key], found: Sequence[Standing]) -> None:
    """LedgerError where the asset's own register is not in the ledger."""
    known = {one.key for one in found}
    for key in wanted:
        if key[0] == item.asset_id and key not in known:
            ledger.need({}, key)


def only(item: MigrationItem, found: Sequence[Standing]) -> Standing | None:
    """The register of an item that moves one, None where it moves none; LedgerError for more:
    nobody types the dials of several meters at once.
    """
    if len(found) > 1:
        raise LedgerError(
            f"item {item.id} moves {len(found)} meters: their dials go on as they are, none is "
            "typed"
        )
    return found[0] if found else None


def assets(session: Session, asset_ids: Sequence[int]) -> list[int]:
    """These assets, and all that were ever read through a terminal of one of them, in order."""
    found = set(asset_ids)
    for start in range(0, len(asset_ids), 1000):
        part = asset_ids[start : start + 1000]
        found |= set(
            session.scalars(select(SubDevice.asset_id).where(SubDevice.gateway_id.in_(part)))
        )
    return sorted(found)


def touched(items: Sequence[MigrationItem], found: dict[int, list[Standing]]) -> list[int]:
    """The assets of which something changes when these items move."""
    behind = {one.key[0] for item in items for one in found.get(item.id, ())}
    return sorted({item.asset_id for item in items} | behind)
