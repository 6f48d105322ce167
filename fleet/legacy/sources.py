"""Whose values they are: a source as it names itself, found in the registry."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from fleet.migration.inventory_tables import LegacyTerminal
from fleet.registry import operations as registry
from fleet.registry.legacy import KIND
from fleet.registry.operations import Placement, Standing
from fleet.registry.registers import continued
from fleet.registry.sub_devices import REGISTER, SubPlacement
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset, Terminal
from fleet.telemetry.tables import Reading

TERMINAL, NUMBER = "terminal", "number"  # by the fleet's id, by the utility's own number
IMEI, PHONE, TEXT = "imei", "phone", "text"  # as a DTU says it (protocols/dtu.py)
HJ212, SL651 = "hj212", "sl651"  # by MN, by the station's address

UNKNOWN, RETIRED, NOWHERE, NO_METER = "unknown", "not active", "installed nowhere", "unknown meter"
# As people write it in inventories.
_SPELLED = {
    HJ212: ("hj212", "hj 212", "hj-212", "hj/t212", "hj/t 212", "hj212-2017", "hj212-2005"),
    SL651: ("sl651", "sl 651", "sl-651", "sl651-2014"),
}


class Source(NamedTuple):
    """A terminal as something outside names it: `kind` says what `address` is; `meter` is the
    address of a meter behind it, empty for the terminal's own values.
    """

    kind: str
    address: str
    meter: str = ""


class Place(NamedTuple):
    """Whose a value is: an asset, and how its register goes on there."""

    asset_id: int
    served: SubPlacement | Placement

    def continued(self, quantity: int, value: int) -> int:
        """The asset's value for what the terminal or the meter counted."""
        if isinstance(self.served, SubPlacement):
            return self.served.continued(quantity, value)
        return continued(quantity, value, self.served)


class Known(NamedTuple):
    """A terminal that was found: where it served, the newest time (us) of its readings and when
    it was noted to be heard, -1 for none, and the meters behind each of its assets by address.
    """

    terminal_id: str
    standing: Standing
    newest_us: int
    heard_us: int
    meters: dict[tuple[int, str], tuple[tuple[SubDevice, str], ...]]

    @property
    def is_active(self) -> bool:
        """Whether anything of it is taken in."""
        return self.standing.state == "active"

    def placed(self, meter: str, time_us: int) -> Place | str:
        """Whose a value of that time is, or why it is nobody's."""
        own = self.standing.placed(time_us)
        if own is None:
            return NOWHERE
        if not meter:
            return Place(own.asset_id, own)
        rows = self.meters.get((own.asset_id, meter), ())
        if not rows:
            return NO_METER
        row, kind = next((one for one in reversed(rows) if one[0].from_us <= time_us), rows[0])
        sub = SubPlacement(row.asset_id, REGISTER.get(kind), row.register_offset)
        return Place(row.asset_id, sub)


def find(session: Session, sources: Iterable[Source]) -> dict[tuple[str, str], Known]:
    """Those that are terminals of other makers, by (kind, address). Never a node of ours: what
    comes in here is not authenticated. Locks their rows where the database can.
    """
    wanted: dict[str, set[str]] = {}
    behind = set()
    for source in sources:
        wanted.setdefault(source.kind, set()).add(source.address)
        if source.meter:
            behind.add((source.kind, source.address))
    ids: dict[tuple[str, str], str] = {}
    for kind, addresses in wanted.items():
        for address, terminal_id in _ids(session, kind, addresses).items():
            ids[kind, address] = terminal_id
    if not ids:
        return {}
    mine = sorted(set(ids.values()))
    if session.get_bind().dialect.name != "sqlite":  # there a writer is alone anyway
        session.execute(
            select(Terminal.id).where(Terminal.id.in_(mine)).order_by(Terminal.id)
            .with_for_update(key_share=True)
        )  # fmt: skip
    standings = registry.standings(session, mine)
    newest = _newest(session, mine)
    with_meters = [ids[key] for key in behind if key in ids]
    meters = _meters(session, [standings[terminal_id] for terminal_id in with_meters])
    return {
        key: Known(terminal_id, standings[terminal_id], *newest[terminal_id], meters)
        for key, terminal_id in ids.items()
    }


def _ids(session: Session, kind: str, addresses: set[str]) -> dict[str, str]:
    """Terminal ids by address; an address of two terminals is nobody's."""
    rows = select(Terminal.id).where(Terminal.kind == KIND)
    listed = list(addresses)
    if kind == TERMINAL:
        found = session.execute(rows.add_columns(Terminal.id).where(Terminal.id.in_(listed)))
        return {address: terminal_id for terminal_id, address in found}
    rows = rows.join(LegacyTerminal, LegacyTerminal.terminal_id == Terminal.id)
    if kind == NUMBER:
        column = LegacyTerminal.number
        found = session.execute(rows.add_columns(column).where(column.in_(listed)))
        return {address: terminal_id for terminal_id, address in found}
    if kind in _SPELLED:
        return _by_address(session, rows, kind, listed)
    columns: tuple[ColumnElement[Any], ...] = (LegacyTerminal.address.expression,)
    if kind == IMEI:
        columns = (Terminal.imei.expression, *columns)
    elif kind == PHONE:
        columns = (LegacyTerminal.msisdn.expression, *columns)
    elif kind == TEXT:
        columns = (LegacyTerminal.number.expression, *columns)
    else:
        columns = (LegacyTerminal.address.expression,)
        rows = rows.where(LegacyTerminal.protocol == kind)
    found_ids: dict[str, set[str]] = {}
    asked = rows.add_columns(*columns).where(or_(*(column.in_(listed) for column in columns)))
    for terminal_id, *told in session.execute(asked):
        for address in told:
            if address in addresses:
                found_ids.setdefault(address, set()).add(terminal_id)
    return {address: ids.pop() for address, ids in found_ids.items() if len(ids) == 1}


def _by_address(
    session: Session, rows: Select[Any], kind: str, listed: list[str]
) -> dict[str, str]:
    """Numbers of stations are written with their leading zeros, or without."""
    spelled = {address: address for address in listed}
    if kind == SL651:
        spelled |= {address.lstrip("0"): address for address in listed}
    found = session.execute(
        rows.add_columns(LegacyTerminal.address).where(
            LegacyTerminal.protocol.in_(_SPELLED[kind]), LegacyTerminal.address.in_(list(spelled))
        )
    )
    return {spelled[address]: terminal_id for terminal_id, address in found}


def _newest(session: Session, terminal_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    last = (
        select(func.max(Reading.time_us))
        .where(Reading.terminal_id == Terminal.id)
        .correlate(Terminal)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Terminal.id, func.coalesce(last, -1), func.coalesce(Terminal.last_report_us, -1))
        .where(Terminal.id.in_(list(terminal_ids)))
    )  # fmt: skip
    return {terminal_id: (newest_us, heard_us) for terminal_id, newest_us, heard_us in rows}


def _meters(
    session: Session, standings: Sequence[Standing]
) -> dict[tuple[int, str], tuple[tuple[SubDevice, str], ...]]:
    gateways = {place.asset_id for standing in standings for place in standing.placements}
    found: dict[tuple[int, str], tuple[tuple[SubDevice, str], ...]] = {}
    if not gateways:
        return found
    rows = session.execute(
        select(SubDevice, Asset.kind)
        .join(Asset, Asset.id == SubDevice.asset_id)
        .where(SubDevice.gateway_id.in_(sorted(gateways)), SubDevice.address != "")
        .order_by(SubDevice.from_us, SubDevice.id)
    )
    for row, kind in rows:
        key = (row.gateway_id, row.address)
        found[key] = (*found.get(key, ()), (row, kind))
    return found
