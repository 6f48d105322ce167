"""Where a terminal speaks from: a move to another network, and two that claim to be one.

Nothing of a legacy terminal is authenticated: its address is all that tells an impostor.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.alarms.operations import About
from fleet.legacy.tables import LegacyLink, LegacyUnmapped
from fleet.registry.tables import Terminal

MOVED, CLASH = "legacy-moved", "legacy-clash"
MOST_KEYS = 100  # of one terminal that are remembered as unmapped
_PREFIXES = {4: 24, 6: 48}


class Spoke(NamedTuple):
    """A terminal was heard from an address, in a tolerated variant of its protocol or not."""

    terminal_id: str
    peer: str
    variant: str
    at_us: int


class Clash(NamedTuple):
    """Two peers speak as one terminal, by turns."""

    terminal_id: str
    said: str  # what they say that they are
    peers: tuple[str, str]


class Home(NamedTuple):
    """Networks within which an address may change and nothing has moved: an operator's APN."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def is_move(self, before: str, now: str) -> bool:
        """Whether a terminal that was at one address and is at another has moved: out of its
        neighbourhood (/24, /48), and not within one of the networks.
        """
        old, new = _address(before), _address(now)
        if old is None or new is None:
            return before != now
        if old.version == new.version:
            near = ipaddress.ip_network(f"{old}/{_PREFIXES[old.version]}", strict=False)
            if new in near:
                return False
        return not any(old in network and new in network for network in self.networks)


def note(session: Session, home: Home, spoke: Sequence[Spoke]) -> None:
    """Remember where these speak from; raise an alarm for each that has moved."""
    last = {each.terminal_id: each for each in spoke}
    rows = {
        row.terminal_id: row
        for row in session.scalars(
            select(LegacyLink).where(LegacyLink.terminal_id.in_(list(last)))
        )
    }
    for each in last.values():
        row = rows.get(each.terminal_id)
        if row is None:
            session.add(
                LegacyLink(
                    terminal_id=each.terminal_id, peer=each.peer[:64], since_us=each.at_us,
                    before="", moves=0, allowed="", used=each.variant,
                    used_us=each.at_us if each.variant else None,
                )
            )  # fmt: skip
            continue
        if each.variant:
            row.used, row.used_us = each.variant, each.at_us
        if row.peer == each.peer:
            continue
        if row.peer and home.is_move(row.peer, each.peer):
            row.moves += 1
            detail: dict[str, str | int] = {
                "node": each.terminal_id, "before": row.peer, "peer": each.peer,
                "since": row.since_us,
            }  # fmt: skip
            alarms.raise_alarm(
                session, MOVED, each.terminal_id, detail, About(node_id=each.terminal_id)
            )
        row.before, row.peer, row.since_us = row.peer, each.peer[:64], each.at_us
    session.flush()


def clashed(session: Session, clash: Clash) -> None:
    """Raise the alarm for it."""
    first, second = clash.peers
    detail: dict[str, str | int] = {
        "node": clash.terminal_id, "said": clash.said, "peer": second, "before": first,
    }  # fmt: skip
    about = About(node_id=clash.terminal_id)
    alarms.raise_alarm(session, CLASH, clash.terminal_id, detail, about)


def allowed_of(session: Session, terminal_id: str) -> str:
    """The variant that is tolerated of a terminal; empty: none."""
    row = session.get(LegacyLink, terminal_id)
    return "" if row is None else row.allowed


def used(session: Session, terminal_id: str, variant: str, at_us: int) -> None:
    """It did use the variant that is tolerated of it, at that time."""
    row = session.get(LegacyLink, terminal_id)
    if row is not None:
        row.used, row.used_us = variant, max(at_us, row.used_us or 0)
        session.flush()


def tolerate(session: Session, terminal_id: str, variant: str) -> None:
    """From now on the variant is taken of this terminal; empty: none is."""
    row = session.get(LegacyLink, terminal_id)
    if row is None:
        row = LegacyLink(terminal_id=terminal_id, peer="", since_us=0, before="", moves=0,
                         allowed="", used="", used_us=None)  # fmt: skip
        session.add(row)
    row.allowed = variant
    session.flush()


def unmapped(
    session: Session, told: Iterable[tuple[str, str, str, str, int]], noted: set[tuple[str, str]]
) -> None:
    """Remember values that are no quantity: (terminal, key, unit, value, us). `noted`: those that
    this process has told already.
    """
    fresh = {(each[0], each[1]): each for each in told if (each[0], each[1]) not in noted}
    for (terminal_id, key), (_, _, unit, value, time_us) in fresh.items():
        noted.add((terminal_id, key))
        mine = LegacyUnmapped.terminal_id == terminal_id
        changed = session.execute(
            update(LegacyUnmapped)
            .where(mine, LegacyUnmapped.key == key)
            .values(unit=unit, value=value, time_us=time_us)
        )
        if changed.rowcount:  # type: ignore[attr-defined]
            continue
        if len(session.scalars(select(LegacyUnmapped.key).where(mine)).all()) < MOST_KEYS:
            session.add(LegacyUnmapped(terminal_id=terminal_id, key=key, unit=unit, value=value,
                                       time_us=time_us))  # fmt: skip
            session.flush()


def allowed(session: Session, variant: str) -> set[str]:
    """The addresses of the terminals of which a variant is tolerated."""
    from fleet.migration.inventory_tables import LegacyTerminal

    rows = session.scalars(
        select(LegacyTerminal.address)
        .join(LegacyLink, LegacyLink.terminal_id == LegacyTerminal.terminal_id)
        .join(Terminal, Terminal.id == LegacyTerminal.terminal_id)
        .where(LegacyLink.allowed == variant)
    )
    return {address for address in rows if address}


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if found.version == 6 else None
    return mapped or found
