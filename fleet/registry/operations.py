"""Operations of the registry, in the caller's transaction."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from fleet.errors import Refusal
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal
from fleet.wire import nodeid

ROLES = ("gas-meter", "drainage", "lamppost", "gateway", "survey")
STATES = ("pending", "active", "quarantined", "revoked", "retired")  # pending: not claimed yet
PAGE = 1000  # rows of any list at most
_AREA = re.compile(r"[0-9]{2,12}")


class RegistryError(Refusal, ValueError):
    """Refused; the text says what was wrong and what to do."""


class Node(NamedTuple):
    """A terminal as lists show it; times in us since 1970 UTC."""

    id: str
    role: str
    state: str
    area: str
    asset_id: int | None
    last_report_us: int | None
    status: Mapping[str, int]


class Placement(NamedTuple):
    """Where a terminal served: from, to (None: still) in us; what its register lacks there."""

    from_us: int
    to_us: int | None
    asset_id: int
    register_offset: int


class Standing(NamedTuple):
    """What the ingest needs to know of a terminal; its placements from the oldest on."""

    state: str
    placements: tuple[Placement, ...]

    def placed(self, time_us: int) -> Placement | None:
        """Where the terminal was then, which decides whose reading it is; None: nowhere.

        Records may come in long after a terminal has moved. A time before all placements is
        that of a clock that was wrong, or of a node that was installed before it was known.
        """
        last = next((p for p in reversed(self.placements) if p.from_us <= time_us), None)
        if last is None:
            return next((p for p in self.placements if p.to_us is None), None)
        return last if last.to_us is None or time_us < last.to_us else self._next(last)

    def _next(self, ended: Placement) -> Placement | None:
        """Between two placements a terminal is on its way to the next; after the last, nowhere."""
        behind = self.placements[self.placements.index(ended) + 1 :]
        return behind[0] if behind else None


def now_us() -> int:
    """The fleet's clock."""
    return time.time_ns() // 1000


def check_text(text: str, what: str) -> str:
    """`text` if it is a printable name of 1..100 characters."""
    if not 0 < len(text) <= 100 or not text.isprintable() or text != text.strip():
        raise RegistryError(f"{what} takes 1 to 100 printable characters, not {text[:40]!r}")
    return text


def check_node_id(text: str) -> str:
    """`text` if it is a node id."""
    try:
        nodeid.to_mac(text)
    except nodeid.NodeIdError as e:
        raise RegistryError(f"{text[:20]!r} is no node id: {e}") from None
    return text


def add_area(session: Session, code: str, name: str) -> Area:
    """Add an area, or rename it."""
    if not _AREA.fullmatch(code):
        raise RegistryError(f"area code {code[:20]!r}: 2 to 12 digits, such as 440106")
    area = session.get(Area, code)
    if area is None:
        area = Area(code=code, name=check_text(name, "the area's name"))
        session.add(area)
    area.name = check_text(name, "the area's name")
    session.flush()
    return area


def check_area(session: Session, code: str) -> str:
    """`code` if it is an area's."""
    if session.get(Area, code) is None:
        raise RegistryError(f"area {code[:20]!r} is unknown: kapok area add {code[:20]} NAME")
    return code


def check_role(role: str) -> str:
    """`role` if it is one."""
    if role not in ROLES:
        raise RegistryError(f"role {role[:20]!r}: one of {', '.join(ROLES)}")
    return role


def list_areas(session: Session, after: str = "", limit: int = PAGE) -> list[Area]:
    """Areas by code, those behind `after`."""
    query = select(Area).where(Area.code > after).order_by(Area.code).limit(min(limit, PAGE))
    return list(session.scalars(query))


def add_node(
    session: Session, node_id: str, role: str, area: str, asset: str = "", state: str = "active"
) -> Node:
    """Register a node with an asset of its own (named `asset`, or as the node) and install it."""
    check_node_id(node_id)
    check_role(role)
    check_area(session, area)
    if session.get(Terminal, node_id) is not None:
        raise RegistryError(f"node {node_id} is registered already: kapok node show {node_id}")
    name = check_text(asset or f"{role} {node_id}", "the asset's name")
    site = Site(area_code=area, name=name)
    session.add(site)
    session.flush()
    thing = Asset(site_id=site.id, kind=role, name=name)
    session.add(thing)
    session.add(
        Terminal(
            id=node_id, kind="node", role=role, state=state, area_code=area, added_us=now_us()
        )
    )
    session.flush()
    session.add(
        Installation(
            terminal_id=node_id, asset_id=thing.id, from_us=now_us(), open_for=node_id,
            register_offset=0,
        )
    )  # fmt: skip
    session.flush()
    return show_node(session, node_id)


def _nodes() -> Select[Terminal, int]:
    # Terminals of other makers are no nodes: fleet.migration lists them.
    return (
        select(Terminal, Installation.asset_id)
        .outerjoin(Installation, Installation.open_for == Terminal.id)
        .where(Terminal.kind == "node")
    )


def _node(row: Terminal, asset_id: int | None) -> Node:
    status = json.loads(row.status) if row.status else {}
    return Node(row.id, row.role, row.state, row.area_code, asset_id, row.last_report_us, status)


def show_node(session: Session, node_id: str) -> Node:
    """One node; RegistryError when it is not registered."""
    found = session.execute(_nodes().where(Terminal.id == check_node_id(node_id))).first()
    if found is None:
        raise RegistryError(f"node {node_id} is not registered: kapok node add {node_id} ...")
    return _node(found[0], found[1])


def list_nodes(
    session: Session, after: str = "", limit: int = PAGE, area: str = "", role: str = "",
    among: Select[str] | None = None,
) -> list[Node]:  # fmt: skip
    """Nodes by id, those behind `after`; `area` takes everything whose code begins so; `among`
    selects the ids that it is to be one of (fleet.query).
    """
    query = _nodes().where(Terminal.id > after)
    if area:
        query = query.where(Terminal.area_code.startswith(area, autoescape=True))
    if role:
        query = query.where(Terminal.role == role)
    if among is not None:
        query = query.where(Terminal.id.in_(among))
    rows = session.execute(query.order_by(Terminal.id).limit(min(limit, PAGE)))
    return [_node(terminal, asset_id) for terminal, asset_id in rows]


def set_state(session: Session, node_id: str, state: str) -> None:
    """From the next report on the ingest treats the node so; all but `active` are refused."""
    if state not in STATES:
        raise RegistryError(f"state {state[:20]!r}: one of {', '.join(STATES)}")
    show_node(session, node_id)
    session.execute(update(Terminal).where(Terminal.id == node_id).values(state=state))


def standings(session: Session, node_ids: Iterable[str]) -> dict[str, Standing]:
    """State and placements of those of `node_ids` that are registered."""
    rows = session.execute(
        select(
            Terminal.id, Terminal.state, Installation.from_us, Installation.to_us,
            Installation.asset_id, Installation.register_offset,
        )
        .outerjoin(Installation, Installation.terminal_id == Terminal.id)
        .where(Terminal.id.in_(list(node_ids)))
        .order_by(Installation.from_us, Installation.id)
    )  # fmt: skip
    found: dict[str, Standing] = {}
    for node_id, state, *where in rows:
        known = found.setdefault(node_id, Standing(state, ()))
        if where[0] is not None:  # the join's empty side: a node that was never installed
            found[node_id] = Standing(state, (*known.placements, Placement._make(where)))
    return found


def note_reports(session: Session, newest: Mapping[str, tuple[int, Mapping[int, int]]]) -> None:
    """Remember when each node reported last (us), and the status where it told one."""
    rows: list[dict[str, object]] = [
        {"id": node_id, "last_report_us": when} for node_id, (when, _) in newest.items()
    ]
    told: list[dict[str, object]] = [
        {"id": node_id, "status": json.dumps(status)}
        for node_id, (_, status) in newest.items()
        if status
    ]
    for changes in (rows, told):
        if changes:
            session.execute(update(Terminal), changes)  # one statement, by primary key
