"""Sub-devices of gateways, in the caller's transaction: each is an asset with its own series."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.registry.operations import PAGE, Placement, RegistryError, check_text, now_us, show_node
from fleet.registry.registers import offset, scaled_as
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset, Site
from fleet.wire import quantity as quantities

UNKNOWN = "sub-device"  # what an asset is whose gateway reported it before anybody named it
# Kind of an asset -> the register that counts for ever there, by its quantity.
REGISTER = {
    "electricity-meter": 22,
    "power-meter": 22,
    "water-meter": 34,
    "heat-meter": 35,
    "sub-gas-meter": quantities.GAS_VOLUME,
}
KINDS = (*REGISTER, "environment-station", UNKNOWN)
NUMBERS = range(1, 251)  # as in firmware/node/schema/gateway.py
_MOST = (1 << 63) - 1


class Sub(NamedTuple):
    """A sub-device as lists show it; times in us since 1970 UTC."""

    number: int
    asset_id: int
    kind: str
    name: str
    address: str
    from_us: int
    to_us: int | None
    register_offset: int


class SubPlacement(NamedTuple):
    """Whose reading a sub-device's is."""

    asset_id: int
    register: int | None  # the quantity that the offset is of
    register_offset: int

    def continued(self, quantity: int, value: int) -> int:
        """The asset's value for what the sub-device counted, kept to 64 bits."""
        if quantity != self.register:
            return value
        return min(max(value + self.register_offset, -_MOST), _MOST)


class SubPlaces:
    """Looks up where a batch's sub-devices served; rows of each gateway are read once.

    One that nobody has named gets an asset by itself: its readings must not wait for a clerk.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[int, dict[int, list[tuple[SubDevice, str]]]] = {}

    def placed(self, place: Placement, number: int, time_us: int) -> SubPlacement:
        """Where sub-device `number` behind the gateway that served at `place` was at a time."""
        known = self._known(place.asset_id)
        if number not in known:
            known[number] = [(_named_by_nobody(self._session, place.asset_id, number), UNKNOWN)]
        rows = known[number]
        last = next((one for one in reversed(rows) if one[0].from_us <= time_us), rows[0])
        row, kind = last
        return SubPlacement(row.asset_id, REGISTER.get(kind), row.register_offset)

    def _known(self, gateway_id: int) -> dict[int, list[tuple[SubDevice, str]]]:
        if gateway_id not in self._rows:
            found = self._session.execute(
                select(SubDevice, Asset.kind)
                .join(Asset, Asset.id == SubDevice.asset_id)
                .where(SubDevice.gateway_id == gateway_id)
                .order_by(SubDevice.from_us, SubDevice.id)
            )
            rows = self._rows[gateway_id] = {}
            for row, kind in found:
                rows.setdefault(row.number, []).append((row, kind))
        return self._rows[gateway_id]


def list_subs(session: Session, node_id: str, *, history: bool = False) -> list[Sub]:
    """The sub-devices behind a node's present asset, by number; former ones with `history`."""
    query = (
        select(SubDevice, Asset)
        .join(Asset, Asset.id == SubDevice.asset_id)
        .where(SubDevice.gateway_id == _gateway(session, node_id))
        .order_by(SubDevice.number, SubDevice.from_us, SubDevice.id)
        .limit(PAGE)
    )
    if not history:
        query = query.where(SubDevice.open_for.is_not(None))
    return [_sub(row, asset) for row, asset in session.execute(query)]


def name_sub(
    session: Session, node_id: str, number: int, name: str = "", kind: str = "", address: str = ""
) -> Sub:
    """Say what sub-device `number` is; what is empty stays. Made where there is none yet.

    RegistryError for an unknown kind or number, or a node that is no gateway.
    """
    gateway_id = _gateway(session, node_id)
    _check(number, kind, address)
    row = _open(session, gateway_id, number)
    if row is None:
        row = _named_by_nobody(session, gateway_id, number)
    asset = session.get_one(Asset, row.asset_id)
    if kind and kind != asset.kind and row.register_offset:
        raise RegistryError(f"sub-device {number} was swapped as a {asset.kind}: it stays one")
    asset.kind = kind or asset.kind
    asset.name = check_text(name, "the asset's name") if name else asset.name
    row.address = address or row.address
    session.flush()
    return _sub(row, asset)


def swap_sub(
    session: Session, node_id: str, number: int, register_old: str, register_new: str, address: str
) -> Sub:
    """Another meter takes the place of sub-device `number` now; its asset's series goes on.

    Registers as the dials show them, at the swap. RegistryError where its kind has none.
    """
    gateway_id = _gateway(session, node_id)
    _check(number, "", address)
    row = _open(session, gateway_id, number)
    if row is None:
        raise RegistryError(f"node {node_id} has no sub-device {number}: kapok node sub list")
    asset = session.get_one(Asset, row.asset_id)
    lacks = 0
    if asset.kind in REGISTER:
        if not (register_old and register_new):
            raise RegistryError(f"a {asset.kind} has a register: --register-old --register-new")
        quantity = REGISTER[asset.kind]
        old, new = scaled_as(register_old, quantity), scaled_as(register_new, quantity)
        lacks = offset(old, row.register_offset, new)
    elif register_old or register_new:
        raise RegistryError(f"a {asset.kind} has no register: leave --register-old and -new out")
    now = now_us()
    row.to_us, row.open_for = now, None
    session.flush()  # before the next one opens: open_for is unique
    fresh = _row(gateway_id, number, row.asset_id, now, lacks)
    fresh.address = address
    session.add(fresh)
    session.flush()
    return _sub(fresh, asset)


def _gateway(session: Session, node_id: str) -> int:
    node = show_node(session, node_id)
    if node.role not in ("gateway", "lamppost"):
        raise RegistryError(f"node {node_id} is a {node.role}: it has no sub-devices")
    if node.asset_id is None:
        raise RegistryError(f"node {node_id} is installed nowhere: kapok install --scan ...")
    return node.asset_id


def _check(number: int, kind: str, address: str) -> None:
    if number not in NUMBERS:
        raise RegistryError(f"sub-device {number}: 1 to 250, as in the node's `devices`")
    if kind and kind not in KINDS:
        raise RegistryError(f"kind {kind[:20]!r}: one of {', '.join(KINDS)}")
    if address and (len(address) > 14 or not address.isascii() or not address.isalnum()):
        raise RegistryError(f"address {address[:20]!r}: up to 14 digits, as on the meter's plate")


def _open(session: Session, gateway_id: int, number: int) -> SubDevice | None:
    return session.scalar(
        select(SubDevice).where(SubDevice.open_for == f"{gateway_id}/{number}").with_for_update()
    )


def _row(gateway_id: int, number: int, asset_id: int, from_us: int, lacks: int) -> SubDevice:
    return SubDevice(
        gateway_id=gateway_id, number=number, asset_id=asset_id, address="", from_us=from_us,
        open_for=f"{gateway_id}/{number}", register_offset=lacks,
    )  # fmt: skip


def _named_by_nobody(session: Session, gateway_id: int, number: int) -> SubDevice:
    gateway = session.get_one(Asset, gateway_id)
    area = session.get_one(Site, gateway.site_id)
    asset = Asset(site_id=area.id, kind=UNKNOWN, name=f"{gateway.name[:90]} / {number}")
    session.add(asset)
    session.flush()
    row = _row(gateway_id, number, asset.id, now_us(), 0)
    session.add(row)
    session.flush()
    return row


def _sub(row: SubDevice, asset: Asset) -> Sub:
    return Sub(
        row.number, asset.id, asset.kind, asset.name, row.address, row.from_us, row.to_us,
        row.register_offset,
    )  # fmt: skip
