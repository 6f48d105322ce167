"""What a rehearsal knows of each old terminal of a programme before it begins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.scaling import register_of
from fleet.migration.survey_tables import Coverage
from fleet.migration.tables import MigrationItem
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset, Site, Terminal

# What a terminal speaks whose inventory does not say.
SPOKEN: Final[Mapping[str, str]] = {
    "gas-meter": "cjt188", "gateway": "dlt645", "environment": "hj212",
}  # fmt: skip
LINES: Final = ("cjt188", "dlt645", "modbus")  # behind a DTU, which says who it is
# The dial of a meter whose protocol has it so: places, and how many of them are decimals.
DIALS: Final[Mapping[str, tuple[int, int]]] = {
    "cjt188": (8, 2),
    "dlt645": (8, 2),
    "modbus": (9, 1),
}
_AT_ONCE: Final = 500
_WORD = re.compile("[!-~]{4,32}")  # as a box can say it


@dataclass(frozen=True, slots=True)
class Behind:
    """A meter on a terminal's line; `register` None: it counts nothing that is billed."""

    asset_id: int
    number: int
    address: str
    kind: str
    register: int | None


@dataclass(frozen=True, slots=True)
class Old:
    """An item and its terminal. `identity` is what it tells of itself: an IMEI, a station's
    address, an MN or a number. `digits` and `decimals` are of its dial.
    """

    item_id: int
    terminal_id: str
    asset_id: int
    number: str
    kind: str
    area: str
    bearer: str
    path: str
    state: str
    due_day: int | None
    protocol: str
    identity: str
    register: int | None
    digits: int
    decimals: int
    reports_day: int
    operator: str
    cell: str
    ecl: int
    is_dead: bool
    meters: tuple[Behind, ...] = field(default=())

    @property
    def number_14(self) -> str:
        """An address of CJ/T 188 for it."""
        return f"{self.item_id:014d}"


def load(session: Session, programme_id: int, identities: Mapping[str, str]) -> list[Old]:
    """All items of a programme, by id. `identities`: by number, what terminals tell of themselves
    that the inventory has wrong.
    """
    rows = session.execute(
        select(MigrationItem, LegacyTerminal, Terminal.imei, Asset.kind, Site)
        .join(LegacyTerminal, LegacyTerminal.terminal_id == MigrationItem.old_terminal_id)
        .join(Terminal, Terminal.id == MigrationItem.old_terminal_id)
        .join(Asset, Asset.id == MigrationItem.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(MigrationItem.programme_id == programme_id)
        .order_by(MigrationItem.id)
    ).all()
    behind = _behind(session, [row[0].asset_id for row in rows])
    covered = _covered(session, [row[4].id for row in rows])
    found = []
    for item, known, imei, kind, site in rows:
        protocol = known.protocol if known.protocol in _ALL else SPOKEN.get(kind, "sl651")
        digits, decimals = DIALS.get(protocol, (9, 3))
        coverage = covered.get(site.id)
        found.append(
            Old(
                item.id, item.old_terminal_id, item.asset_id, known.number, kind, site.area_code,
                item.bearer, item.path, item.state, item.due_day, protocol,
                identities.get(known.number) or identity(protocol, known, imei),
                register_of(kind),
                known.digits or digits, decimals if known.decimals is None else known.decimals,
                known.reports_day or 1,
                coverage.operator if coverage else known.operator,
                (coverage.cell if coverage else "") or f"area:{site.area_code}",
                (coverage.ecl if coverage else None) or 0, known.site_state == "dead",
                tuple(behind.get(item.asset_id, ())),
            )
        )  # fmt: skip
    return found


def identity(protocol: str, known: LegacyTerminal, imei: str | None) -> str:
    """By what a terminal is known to whoever hears it."""
    if protocol in LINES and imei is not None:
        return imei
    if protocol in LINES and _WORD.fullmatch(known.number):
        return known.number
    return known.address or known.number


_ALL: Final = (*LINES, "hj212", "sl651")


def _behind(session: Session, gateways: list[int]) -> dict[int, list[Behind]]:
    found: dict[int, list[Behind]] = {}
    for start in range(0, len(gateways), _AT_ONCE):
        for row, kind in session.execute(
            select(SubDevice, Asset.kind)
            .join(Asset, Asset.id == SubDevice.asset_id)
            .where(
                SubDevice.gateway_id.in_(gateways[start : start + _AT_ONCE]),
                SubDevice.open_for.is_not(None),
            )
            .order_by(SubDevice.gateway_id, SubDevice.number)
        ):
            one = Behind(row.asset_id, row.number, row.address, kind, register_of(kind))
            found.setdefault(row.gateway_id, []).append(one)
    return found


def _covered(session: Session, sites: list[int]) -> dict[int, Coverage]:
    found: dict[int, Coverage] = {}
    for start in range(0, len(sites), _AT_ONCE):
        for row in session.scalars(
            select(Coverage)
            .where(Coverage.site_id.in_(sites[start : start + _AT_ONCE]), Coverage.bearer == "nb")
            .order_by(Coverage.operator)
        ):
            found.setdefault(row.site_id, row)
    return found
