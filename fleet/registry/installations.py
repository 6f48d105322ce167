"""Put a node at an asset, or in another node's place: one act, one transaction, once."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.registry import acts, guests, registers
from fleet.registry.acts import Act, Install, Swap
from fleet.registry.labels import LabelText
from fleet.registry.operations import RegistryError, check_text, now_us
from fleet.registry.sims import set_sim
from fleet.registry.tables import Area, Asset, FieldAct, Installation, Site, Terminal

AHEAD_US = 600 * 1_000_000  # a laptop's clock may be so far ahead of the fleet's
_PLACEABLE = ("pending", "active")  # states of a node that may be put anywhere


class Taken(NamedTuple):
    """What an act came to. `said`: one line for people; `repeated`: it was taken in before;
    `left`: (node, asset) of each installation that it ended.
    """

    id: str
    node_id: str
    asset_id: int
    said: str
    repeated: bool = False
    left: tuple[tuple[str, int], ...] = ()


def take_in(session: Session, act: Act) -> Taken:
    """Do what the act says, or find that it is done; RegistryError, and nothing is done."""
    known = session.get(FieldAct, act.id)
    if known is not None:
        if known.digest != acts.digest(act):
            raise RegistryError(f"the act {act.id} was taken in with another content: a copied id")
        return _done_before(session, act, known)
    if act.at_us > now_us() + AHEAD_US:
        raise RegistryError(f"the act {act.id} is of the future: set the laptop's clock")
    taken = _install(session, act) if isinstance(act, Install) else _swap(session, act)
    session.add(
        FieldAct(
            id=act.id, digest=acts.digest(act), kind=acts.kind_of(act), person=act.person,
            at_us=act.at_us, taken_us=now_us(), said=acts.encode(act),
        )
    )  # fmt: skip
    session.flush()
    return taken


def _done_before(session: Session, act: Act, known: FieldAct) -> Taken:
    node_id = (act.label if isinstance(act, Install) else act.new).node_id
    asset_id = session.scalar(
        select(Installation.asset_id)
        .where(Installation.terminal_id == node_id, Installation.from_us <= known.at_us)
        .order_by(Installation.from_us.desc(), Installation.id.desc())
    )
    return Taken(act.id, node_id, asset_id or 0, f"{known.kind} of {node_id}: done before", True)


def _install(session: Session, act: Install) -> Taken:
    node = _node(session, act.label)
    asset, is_new = _asset(session, act, node)
    former = _open(session, node.id)
    left: list[Installation] = []
    if former is not None and former.asset_id == asset.id:
        said = f"node {node.id} is at {asset.name} (id:{asset.id}) already: its place is noted"
    else:
        _vacant(session, asset, node)
        if former is not None:
            _leave(session, former, node, act.at_us, allowed=act.move)
            left.append(former)
        _enter(session, node, asset, act.at_us, 0)
        made = " (new)" if is_new else ""
        said = f"node {node.id} installed at {asset.name} (id:{asset.id}){made}"
    if act.latitude_e7 is not None:
        asset.latitude_e7, asset.longitude_e7 = act.latitude_e7, act.longitude_e7
    if act.photo:
        asset.photo, asset.photo_sha256 = act.photo, act.photo_sha256
    if act.address:
        asset.address = check_text(act.address, "the address")
    return Taken(act.id, node.id, asset.id, said, left=_places(left))


def _swap(session: Session, act: Swap) -> Taken:
    if act.old.node_id == act.new.node_id:
        raise RegistryError(f"both labels are of node {act.old.node_id}: scan old and new")
    old, new = _known(session, act.old.node_id), _node(session, act.new)
    if old.role != new.role:
        raise RegistryError(f"node {new.id} is a {new.role}, node {old.id} a {old.role}")
    place = _open(session, old.id)
    if place is None:
        raise RegistryError(f"node {old.id} is installed nowhere: kapok install --scan ...")
    offset = _offset(act, old.role, place.register_offset)
    if act.at_us < place.from_us:
        raise RegistryError(f"node {old.id} was installed after this swap: is the clock right?")
    former = _open(session, new.id)
    left = [place]
    if former is not None:
        _leave(session, former, new, act.at_us, allowed=False)
        left.append(former)
    asset = session.get_one(Asset, place.asset_id)
    _close(session, place, act.at_us)
    _enter(session, new, asset, act.at_us, offset)
    said = f"node {new.id} took the place of {old.id} at {asset.name} (id:{asset.id})"
    if old.role in registers.OF_ROLE:
        said += f"; register offset {offset}"
    return Taken(act.id, new.id, asset.id, said, left=_places(left))


def _places(ended: list[Installation]) -> tuple[tuple[str, int], ...]:
    return tuple((one.terminal_id, one.asset_id) for one in ended)


def _offset(act: Swap, role: str, offset_old: int) -> int:
    if role not in registers.OF_ROLE and not act.register_old and not act.register_new:
        return 0
    if not (act.register_old and act.register_new) and role in registers.OF_ROLE:
        raise RegistryError(f"a {role} has a register: --register-old N --register-new N")
    return registers.offset(
        registers.scaled(act.register_old, role), offset_old,
        registers.scaled(act.register_new, role),
    )  # fmt: skip


def _known(session: Session, node_id: str) -> Terminal:
    node = session.get(Terminal, node_id, with_for_update=True)
    if node is None:
        raise RegistryError(f"node {node_id} is not registered yet: provision it, then again")
    return node


def _node(session: Session, label: LabelText) -> Terminal:
    """The node that is put somewhere; its label must not be of another modem or SIM."""
    node = _known(session, label.node_id)
    if node.state not in _PLACEABLE:
        raise RegistryError(f"node {node.id} is {node.state}: it is not to be installed")
    for what, said, known in (
        ("IMEI", label.imei, node.imei), ("ICCID", label.iccid, node.iccid),
    ):  # fmt: skip
        if said and known and said != known:
            raise RegistryError(
                f"the label of {node.id} says {what} {said}, the fleet {known}: print it again, "
                f"or kapok node sim {node.id}"
            )
    set_sim(session, node.id, label.imei, label.iccid)
    return node


def _asset(session: Session, act: Install, node: Terminal) -> tuple[Asset, bool]:
    """The asset that the act names, a new one where there is none; and whether it is new."""
    area = act.area or node.area_code
    if session.get(Area, area) is None:
        raise RegistryError(f"area {area[:20]!r} is unknown: kapok area add {area[:20]} NAME")
    if act.asset.startswith("id:"):
        return _by_id(session, act.asset[3:], node)
    name = check_text(act.asset, "the asset's name")
    found = list(
        session.scalars(
            select(Asset).join(Site, Site.id == Asset.site_id)
            .where(Asset.name == name, Site.area_code == area).limit(3)
        )
    )  # fmt: skip
    if len(found) > 1:
        which = ", ".join(f"id:{asset.id}" for asset in found)
        raise RegistryError(f"several assets are named {name!r} in {area}: --asset {which}")
    if found:
        return _at(session, found[0], node)
    if name.isascii() and name.isdecimal() and session.get(Asset, _row_id(name)) is not None:
        raise RegistryError(
            f"no asset in {area} is named {name}, one has this id: --asset id:{name}"
        )
    site = Site(area_code=area, name=name)
    session.add(site)
    session.flush()
    asset = Asset(site_id=site.id, kind=node.role, name=name)
    session.add(asset)
    session.flush()
    return asset, True


def _by_id(session: Session, text: str, node: Terminal) -> tuple[Asset, bool]:
    is_number = text.isascii() and text.isdecimal()
    asset = session.get(Asset, _row_id(text)) if is_number else None
    if asset is None:
        raise RegistryError(f"there is no asset id:{text[:20]}: kapok node list shows them")
    return _at(session, asset, node)


def _row_id(digits: str) -> int:
    return int(digits[:18])  # over 64 bits there is no row; and SQLite would overflow


def _at(session: Session, asset: Asset, node: Terminal) -> tuple[Asset, bool]:
    if node.role == guests.ROLE:
        return guests.spot(session, asset)
    if asset.kind != node.role:
        raise RegistryError(f"{asset.name} (id:{asset.id}) is a {asset.kind}, not a {node.role}")
    return asset, False


def _open(session: Session, node_id: str) -> Installation | None:
    return session.scalar(select(Installation).where(Installation.open_for == node_id))


def _vacant(session: Session, asset: Asset, node: Terminal) -> None:
    """No other node serves the asset. A legacy terminal may: both run for a while."""
    other = session.scalar(
        select(Terminal.id)
        .join(Installation, Installation.open_for == Terminal.id)
        .where(Installation.asset_id == asset.id, Terminal.kind == "node", Terminal.id != node.id)
    )
    if other is not None:
        raise RegistryError(f"{asset.name} (id:{asset.id}) has node {other}: kapok swap --old ...")


def _leave(
    session: Session, former: Installation, node: Terminal, at_us: int, *, allowed: bool
) -> None:
    """End the node's former installation; that with its own asset, from before any, at will."""
    asset = session.get_one(Asset, former.asset_id)
    if asset.name == f"{node.role} {node.id}" and asset.latitude_e7 is None and not asset.photo:
        former.from_us = min(former.from_us, at_us)  # a node may be known after it was installed
    elif not allowed:
        raise RegistryError(
            f"node {node.id} is installed at {asset.name} (id:{asset.id}): --move takes it away"
        )
    elif at_us < former.from_us:
        raise RegistryError(f"node {node.id} came to {asset.name} (id:{asset.id}) after this act")
    _close(session, former, at_us)


def _close(session: Session, installation: Installation, at_us: int) -> None:
    installation.to_us, installation.open_for = at_us, None
    session.flush()  # before the next one opens: open_for is unique


def _enter(session: Session, node: Terminal, asset: Asset, at_us: int, offset: int) -> None:
    session.add(
        Installation(
            terminal_id=node.id, asset_id=asset.id, from_us=at_us, open_for=node.id,
            register_offset=offset,
        )
    )  # fmt: skip
    node.area_code = session.get_one(Site, asset.site_id).area_code
    session.flush()
