"""OSCORE contexts in service: what a request strikes, the fleet's own numbers, rotation, the end.

All work in the caller's transaction, which on SQLite is one of `Database.begin`: it holds the
write lock from its start. Elsewhere rows are locked in the order of their identifiers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.clones.window import Window
from fleet.control import operations as control
from fleet.identity import contexts, replay
from fleet.identity.contexts import (
    CURRENT,
    NEXT,
    RETIRED,
    Context,
    NewContext,
    find,
    new_context,
    retire,
)
from fleet.identity.errors import IdentityError
from fleet.identity.tables import OscoreContext
from fleet.identity.wrapping import Wrapper

__all__ = [
    "Claim", "Context", "NewContext", "distrust", "find", "forget_contents", "new_context",
    "provide", "revoke", "rotate", "settle_next", "strike", "take_numbers", "used_twice",
]  # fmt: skip

Claim = tuple[int, int, bool]  # context id, Partial IV as a number, proven fresh by an Echo

PRINTS = 32  # numbers of a context of which it is known what came: as many as the replay window

# How many of the fleet's own numbers may have been used since the backup that was restored.
_OWN_SKIP = 1 << 20


@dataclass
class _Row:
    """What a transaction knows of a live context, and writes back at its end."""

    id: int
    node_id: str
    state: str
    window: tuple[int, int] | None  # None: unknown
    prints: Window
    changed: bool = False


def rotate(session: Session, wrapper: Wrapper, node_id: str) -> bytes:
    """Make a context for a node to change to, and queue its hand-over; its kid.

    While the node has not used the context that the last call made, that one is handed over
    again: a node may hold it already, and would be lost with it.
    """
    waiting = contexts.next_contexts(session, wrapper, [node_id]).get(node_id)
    kid = contexts.make(session, wrapper, node_id, NEXT).kid if waiting is None else waiting.kid
    control.enqueue_key(session, node_id, kid)
    return kid


def provide(session: Session, wrapper: Wrapper, node_id: str) -> NewContext:
    """A new context for a node at the bench, in use from `settle_next` or its first use on.

    One that waited before is ended, not given again: a board may have sealed requests with it that
    were lost, and an image without its sender sequence would use those nonces once more.
    """
    retire(session, OscoreContext.next_for == node_id)
    return contexts.make(session, wrapper, node_id, NEXT)


def settle_next(session: Session, node_id: str, made_by_us: int) -> None:
    """The node surely has the context that waits for it, if any: the old one ends."""
    found = session.execute(
        select(OscoreContext.id)
        .where(OscoreContext.next_for == node_id, OscoreContext.created_us <= made_by_us)
        .with_for_update()
    ).first()
    if found is None:
        return
    retire(session, OscoreContext.current_for == node_id)
    session.execute(
        update(OscoreContext)
        .where(OscoreContext.id == found.id)
        .values(state=CURRENT, current_for=node_id, next_for=None)
    )


def revoke(session: Session, node_id: str) -> int:
    """End all contexts of a node; how many were live."""
    return retire(session, OscoreContext.node_id == node_id)


def distrust(session: Session, node_id: str | None) -> int:
    """Forget the replay windows of a node, or of all (None), as after restoring a backup.

    Each node's next request is then answered by a challenge. The fleet's own numbers skip what
    the lost database may have used. The number of contexts.
    """
    query = update(OscoreContext).where(OscoreContext.state != RETIRED)
    if node_id is not None:
        query = query.where(OscoreContext.node_id == node_id)
    changed = session.execute(
        query.values(
            highest=None, seen=0, digests=None, own_numbers=OscoreContext.own_numbers + _OWN_SKIP
        )
    )
    return contexts.rows_of(changed)


def strike(session: Session, claims: Sequence[Claim], prints: Sequence[int] = ()) -> list[bool]:
    """Use up Partial IVs, in order; False for one that was used before or cannot be told.

    Exactly one of two transactions that strike the same number gets True, once it commits. A
    `fresh` claim starts an unknown window; any other on an unknown window is False. The first
    strike of a "next" context makes it current and retires the node's old one. `prints`, digests
    of what came under each claim, are remembered for `used_twice`.
    """
    rows = _locked(session, {identifier for identifier, _, _ in claims})
    answers = []
    for place, claim in enumerate(claims):
        answers.append(_struck(session, rows, claim))
        if answers[-1] and prints:
            rows[claim[0]].prints.note(claim[1], prints[place])
    changed = [
        {
            "id": row.id,
            "highest": row.window[0],
            "seen": row.window[1],
            "digests": row.prints.dump(),
        }
        for row in rows.values()
        if row.changed and row.window is not None
    ]
    if changed:
        session.execute(update(OscoreContext), changed)  # one statement, by primary key
    return answers


def used_twice(session: Session, context_id: int, number: int, found: int) -> bool:
    """Whether the Partial IV `number` was struck with something else than what `found` digests.

    Its sender holds the key and uses one nonce for two messages: it is two devices.
    """
    raw = session.scalar(
        select(OscoreContext.digests).where(
            OscoreContext.id == context_id, OscoreContext.state != RETIRED
        )
    )
    return Window(PRINTS, raw).differs(number, found)


def forget_contents(session: Session, node_id: str) -> None:
    """What came under a node's numbers counts no more; the numbers stay struck."""
    session.execute(
        update(OscoreContext).where(OscoreContext.node_id == node_id).values(digests=None)
    )


def take_numbers(session: Session, context_id: int, count: int) -> int:
    """The first of `count` sender numbers of the fleet's own, once the transaction commits."""
    first: int | None = session.scalar(
        update(OscoreContext)
        .where(
            OscoreContext.id == context_id,
            OscoreContext.state != RETIRED,
            OscoreContext.own_numbers <= replay.LIMIT - count,
        )
        .values(own_numbers=OscoreContext.own_numbers + count)
        .returning(OscoreContext.own_numbers - count)
    )
    if first is None:
        raise IdentityError(f"OSCORE context {context_id} is retired, or its numbers are used up")
    return first


def _locked(session: Session, identifiers: Iterable[int]) -> dict[int, _Row]:
    """The live contexts of every node concerned: one may retire the other."""
    row = OscoreContext
    nodes = select(row.node_id).where(row.id.in_(list(identifiers)))
    found = session.execute(
        select(row.id, row.node_id, row.state, row.highest, row.seen, row.digests)
        .where(row.node_id.in_(nodes), row.state.in_((NEXT, CURRENT)))
        .order_by(row.id)
        .with_for_update()
    )
    return {
        identifier: _Row(
            identifier, node, state, None if top is None else (top, seen), Window(PRINTS, prints)
        )
        for identifier, node, state, top, seen, prints in found
    }


def _struck(session: Session, rows: dict[int, _Row], claim: Claim) -> bool:
    identifier, number, fresh = claim
    row = rows.get(identifier)
    if row is None:
        return False
    if row.window is not None:
        window = replay.strike(*row.window, number)
    else:
        window = replay.started(number) if fresh and 0 <= number < replay.LIMIT else None
    if window is None:
        return False
    row.window, row.changed = window, True
    if row.state == NEXT:
        _promote(session, rows, row)
    return True


def _promote(session: Session, rows: dict[int, _Row], row: _Row) -> None:
    retire(session, OscoreContext.current_for == row.node_id)
    for other in [r.id for r in rows.values() if r.node_id == row.node_id and r is not row]:
        del rows[other]
    session.execute(
        update(OscoreContext)
        .where(OscoreContext.id == row.id)
        .values(state=CURRENT, current_for=row.node_id, next_for=None)
    )
    row.state = CURRENT
