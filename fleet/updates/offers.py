"""Offers of releases to nodes, as items in their queues, and taking them back; in the caller's
transaction.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.operations import UPDATE, enqueue_many
from fleet.control.tables import Downlink
from fleet.identity import hmac_keys
from fleet.identity.wrapping import Wrapper
from fleet.registry.tables import Terminal
from fleet.releases import verify
from fleet.releases.errors import ReleaseError
from fleet.rollouts.tables import Update
from fleet.updates import deadlines, packing, parts, running, shelf
from fleet.updates.outcomes import OF_DELTA
from fleet.updates.tables import Assigned
from fleet.wire import cbor, release

log = structlog.get_logger("updates")


class _Offer(NamedTuple):
    """The same for all nodes that run the same."""

    digest: bytes
    size: int
    parts: list[parts.Part]

    @property
    def is_whole(self) -> bool:
        return all(form != release.DELTA for _kind, form, _size, _base in self.parts)


def offer(
    session: Session, _wrapper: Wrapper, updates: Iterable[Update], now_us: int
) -> dict[int, int]:
    """Queue an assignment for each node: a delta where one from what it runs was proved, else the
    whole image. The numbers of the items, by update.

    Sets `number`, and the clocks `absolute_us` and `step_s` where they are not set; the state is
    the caller's to move. Left out are nodes without a key, with a full queue or without a
    registration, and releases that may not be given. No key is opened before the hand-over.
    """
    several = list(updates)
    keyed = hmac_keys.holders(session, [each.node_id for each in several])
    return assign(session, [each for each in several if each.node_id in keyed], now_us)


def assign(session: Session, updates: Sequence[Update], now_us: int) -> dict[int, int]:
    """As `offer`, to nodes that have keys."""
    roles = _roles(session, [each.node_id for each in updates])
    known = running.of(session, roles)
    spoilt = _spoilt(session, updates)
    made: dict[tuple[int, int | None], _Offer | None] = {}
    chosen: dict[str, tuple[Update, _Offer]] = {}
    for each in updates:
        runs = known.get(each.node_id)
        base = None if runs is None or each.id in spoilt else runs.image
        key = (each.sequence, base)
        if key not in made:
            made[key] = _made(session, each.sequence, base, now_us)
        found = made[key]
        if found is not None and each.node_id in roles:
            chosen[each.node_id] = (each, found)
    for each, found in chosen.values():
        role = roles[each.node_id]
        each.step_s = each.step_s or deadlines.step_s(found.size, role)
        if each.absolute_us is None:
            each.absolute_us = now_us + deadlines.absolute_s(found.size, role) * 1_000_000
    payloads = {n: [cbor.encode([each.sequence])] for n, (each, _) in chosen.items()}
    numbers: dict[int, int] = {}
    rows = []
    for node_id, (number,) in enqueue_many(session, UPDATE, payloads).items():
        each, found = chosen[node_id]
        each.number = numbers[each.id] = number
        rows.append(_row(node_id, number, each, found, now_us))
    if rows:
        session.execute(insert(Assigned), rows)
    return numbers


def withdraw(session: Session, updates: Iterable[Update], now_us: int) -> None:
    """Take back what was offered: nothing more is handed over or served, and a node that has it
    is told to drop it. The state is the caller's to move.
    """
    keys = [(each.node_id, each.number) for each in updates if each.number is not None]
    if not keys:
        return
    mine = tuple_(Assigned.node_id, Assigned.number).in_(keys)
    session.execute(
        update(Assigned)
        .where(mine, Assigned.withdrawn_us.is_(None))
        .values(withdrawn_us=now_us)
        .execution_options(synchronize_session=False)
    )
    queued = tuple_(Downlink.node_id, Downlink.number).in_(keys)
    session.execute(
        update(Downlink)
        .where(queued, Downlink.settled_us.is_(None))
        .values(expires_us=now_us)
        .execution_options(synchronize_session=False)
    )
    # Who was given it may have it, whatever it says; but not who has told how it ended.
    given = session.scalars(
        select(Downlink.node_id)
        .join(
            Assigned,
            (Assigned.node_id == Downlink.node_id) & (Assigned.number == Downlink.number),
        )
        .where(queued, Downlink.handed_us.is_not(None), Assigned.result.is_(None))
    )
    back = {node_id: [cbor.encode([0])] for node_id in given}
    rows = [
        {
            "node_id": node_id, "number": number, "update_id": None, "sequence": 0, "digest": b"",
            "size": 0, "parts": cbor.encode([]), "made_us": now_us, "forged": 0, "whole": True,
        }
        for node_id, (number,) in enqueue_many(session, UPDATE, back).items()
    ]  # fmt: skip
    if rows:
        session.execute(insert(Assigned), rows)


def _made(session: Session, sequence: int, image: int | None, now_us: int) -> _Offer | None:
    try:
        held = shelf.held(session, sequence)
        verify.in_time(held.manifest, now_us)
    except ReleaseError as e:
        log.error("a release is not offered", sequence=sequence, reason=str(e))
        return None
    base = None if image is None else shelf.base_of(session, image)
    patch = None if base is None else shelf.delta(session, base, sequence)
    chosen = parts.choose(
        held.manifest,
        lambda kind: shelf.component(session, sequence, kind),
        (base, patch) if base is not None and patch is not None else None,
        lambda data: packing.pack(session, data),
    )
    size = len(held.envelope) + len(chosen.data)
    return _Offer(held.digest[:16], size, chosen.parts)


def _row(
    node_id: str, number: int, each: Update, found: _Offer, now_us: int
) -> dict[str, object]:  # fmt: skip
    return {
        "node_id": node_id, "number": number, "update_id": each.id, "sequence": each.sequence,
        "digest": found.digest, "size": found.size,
        "parts": cbor.encode([list(part) for part in found.parts]), "made_us": now_us,
        "forged": 0, "whole": found.is_whole,
    }  # fmt: skip


def _roles(session: Session, node_ids: Sequence[str]) -> dict[str, str]:
    rows = session.execute(
        select(Terminal.id, Terminal.role).where(
            Terminal.id.in_(node_ids), Terminal.state == "active"
        )
    )
    return {node_id: role for node_id, role in rows}  # noqa: C416  # rows are no pairs


def _spoilt(session: Session, updates: Sequence[Update]) -> set[int]:
    """Updates of which a delta did not fit: they get the whole image."""
    rows = session.scalars(
        select(Assigned.update_id).where(
            Assigned.update_id.in_([each.id for each in updates]), Assigned.result.in_(OF_DELTA)
        )
    )
    return {each for each in rows if each is not None}
