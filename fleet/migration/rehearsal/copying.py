"""What a rehearsal needs of a programme goes into a database of its own: no reading and no key.

The fleet's own database is read, and never written to.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session

from fleet.db.base import Base, Database
from fleet.migration import audit, served, states
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.rehearsal.facts import LINES, SPOKEN
from fleet.migration.scaling import register_of
from fleet.migration.survey_tables import Coverage
from fleet.migration.swap_tables import LedgerPolicy
from fleet.migration.tables import MigrationItem, MigrationProgramme
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal

_AT_ONCE = 500
_WORD = re.compile("[!-~]{4,32}")
_STATION = re.compile("[0-9]{10}")


def copy(source: Database, target: Database, name: str) -> None:
    """Bring programme `name` into `target`, an empty database; all its items are planned again.
    LedgerError where there is none.
    """
    from fleet.db import models  # every table's class

    models.Base.metadata.create_all(target.engine)
    with source.read() as session, target.begin() as fresh:
        programme = audit.find(session, name)
        items = session.execute(
            select(MigrationItem.asset_id, MigrationItem.old_terminal_id).where(
                MigrationItem.programme_id == programme.id
            )
        ).all()
        own = sorted({row.asset_id for row in items})
        assets = served.assets(session, own)
        terminals = [row.old_terminal_id for row in items]
        sites = _of(session, Asset.id, assets, Asset.site_id)
        areas = [*_of(session, Site.id, sites, Site.area_code)]
        areas += _of(session, Terminal.id, terminals, Terminal.area_code)
        here = _Copier(session, fresh)
        here.rows(Area, Area.code, areas)
        here.rows(Site, Site.id, sites)
        here.rows(Asset, Asset.id, assets)
        here.rows(Terminal, Terminal.id, terminals, _active)
        here.rows(Installation, Installation.id, _places(session, items), _in_place)
        here.rows(LegacyTerminal, LegacyTerminal.terminal_id, terminals)
        here.rows(SubDevice, SubDevice.gateway_id, own, _since_ever)
        here.rows(Coverage, Coverage.site_id, sites)
        here.rows(MigrationProgramme, MigrationProgramme.id, [programme.id])
        here.rows(LedgerPolicy, LedgerPolicy.programme_id, [programme.id])
        here.rows(MigrationItem, MigrationItem.programme_id, [programme.id], _planned)
        _mend(fresh)


class _Copier:
    def __init__(self, source: Session, target: Session) -> None:
        self._source = source
        self._target = target

    def rows(
        self, table: type[Base], column: Any, values: Iterable[Any],
        change: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> None:  # fmt: skip
        """Those whose `column` is one of `values`, each as `change` makes it."""
        wanted = list(dict.fromkeys(values))
        flat = table.__table__
        assert isinstance(flat, Table)  # noqa: S101
        for start in range(0, len(wanted), _AT_ONCE):
            found = self._source.execute(
                select(flat).where(column.in_(wanted[start : start + _AT_ONCE]))
            )
            rows = [change(dict(row._mapping)) for row in found]
            if rows:
                self._target.execute(insert(flat), rows)


def _of(session: Session, key: Any, values: Sequence[Any], column: Any) -> list[Any]:
    found: dict[Any, None] = {}
    for start in range(0, len(values), _AT_ONCE):
        rows = session.scalars(select(column).where(key.in_(values[start : start + _AT_ONCE])))
        found |= dict.fromkeys(rows)
    return list(found)


def _places(session: Session, items: Sequence[Any]) -> list[int]:
    """Each old terminal's last installation at its item's asset: it may have been taken away, or
    serve elsewhere by now.
    """
    wanted = {row.old_terminal_id: row.asset_id for row in items}
    terminals, found = [*wanted], dict[str, int]()
    for start in range(0, len(terminals), _AT_ONCE):
        for row in session.execute(
            select(Installation.id, Installation.terminal_id, Installation.asset_id)
            .where(Installation.terminal_id.in_(terminals[start : start + _AT_ONCE]))
            .order_by(Installation.id)
        ):
            if row.asset_id == wanted[row.terminal_id]:
                found[row.terminal_id] = row.id
    return list(found.values())


def _active(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"state": "active", "last_report_us": None, "status": None}


def _in_place(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"from_us": 0, "to_us": None, "open_for": row["terminal_id"]}


def _since_ever(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"from_us": 0}


def _planned(row: dict[str, Any]) -> dict[str, Any]:
    nothing = {"new_terminal_id": None, "deadline_us": None, "open_for": None}
    return row | nothing | {"state": states.PLANNED}


def _mend(session: Session) -> None:
    """A terminal whose inventory lacks a protocol or an address has some, for the rehearsal. So
    has one on a line that counts nothing: a lamp's controller must be heard all the same.
    """
    meters = (
        select(SubDevice.id)
        .join(Installation, Installation.asset_id == SubDevice.gateway_id)
        .where(Installation.terminal_id == Terminal.id, SubDevice.open_for.is_not(None))
        .exists()
    )
    rows = session.execute(
        select(LegacyTerminal, Terminal.imei, Terminal.role, meters)
        .join(Terminal, Terminal.id == LegacyTerminal.terminal_id)
        .order_by(Terminal.id)
    ).all()
    changes = []
    for number, (row, imei, role, has_meters) in enumerate(rows):
        protocol = row.protocol
        if protocol not in (*LINES, "hj212", "sl651"):
            protocol = SPOKEN.get(role, "sl651")
        if protocol in LINES and not has_meters and register_of(role) is None:
            protocol = "sl651"
        address = row.address
        if protocol in LINES:
            if imei is None and not _WORD.fullmatch(row.number):
                address = f"rehearsed-{number}"
        elif protocol == "sl651" and not _STATION.fullmatch(address or ""):
            address = f"99{number:08d}"
        elif protocol == "hj212" and not _WORD.fullmatch(address or ""):
            address = f"REHEARSED{number:015d}"
        changes.append({"terminal_id": row.terminal_id, "protocol": protocol, "address": address})
    if changes:
        session.execute(update(LegacyTerminal), changes)
