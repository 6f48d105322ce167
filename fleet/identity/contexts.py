"""OSCORE contexts of nodes: made with a short identifier of their own, found, unwrapped."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, Result, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.identity import replay
from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.identity.tables import OscoreContext
from fleet.identity.wrapping import Wrapper

NEXT, CURRENT, RETIRED = "next", "current", "retired"
KID_BYTES = 3
SECRET_BYTES = 16
# Of 16.7 million identifiers 3 million may be taken: 32 draws fail once in 10^24.
_DRAWS = 32


class NewContext(NamedTuple):
    """What a node needs to know: its Sender ID and the master secret of 16 bytes."""

    kid: bytes
    secret: SecretBytes


@dataclass(frozen=True)
class Context:
    """A live context as a server needs it. `trusted`: its replay window is known."""

    id: int
    node_id: str
    kid: bytes
    trusted: bool
    wrapped: bytes = field(repr=False)
    wrapper: Wrapper = field(repr=False)

    @cached_property
    def secret(self) -> SecretBytes:
        """The master secret, unwrapped when it is first asked for; WrappingError."""
        return self.wrapper.unwrap(self.wrapped, _binding(self.node_id, self.kid))


class Live(NamedTuple):
    """A live context as people see it."""

    kid: bytes
    state: str
    trusted: bool
    created_us: int


def new_context(session: Session, wrapper: Wrapper, node_id: str) -> NewContext:
    """The first context of a node, in use at once; IdentityError when it has one."""
    return make(session, wrapper, node_id, CURRENT)


def make(session: Session, wrapper: Wrapper, node_id: str, state: str) -> NewContext:
    """A context of `state` next or current, with a kid that no live context has.

    IdentityError when the node has one of that state.
    """
    secret = SecretBytes(secrets.token_bytes(SECRET_BYTES))
    held = OscoreContext.current_for if state == CURRENT else OscoreContext.next_for
    for _ in range(_DRAWS):
        kid = draw_kid()
        row = OscoreContext(
            node_id=node_id,
            kid=kid,
            secret=wrapper.wrap(secret, _binding(node_id, kid)),
            state=state,
            current_for=node_id if state == CURRENT else None,
            next_for=node_id if state == NEXT else None,
            created_us=time.time_ns() // 1000,
            highest=replay.EMPTY[0],
            seen=replay.EMPTY[1],
            own_numbers=0,
        )
        try:
            with session.begin_nested():  # the constraint decides, and costs this draw alone
                session.add(row)
            return NewContext(kid, secret)
        except IntegrityError:
            if session.scalar(select(OscoreContext.id).where(held == node_id)) is not None:
                raise IdentityError(
                    f"node {node_id} has an OSCORE key already: kapok node rotate {node_id}"
                ) from None
    raise IdentityError("no OSCORE identifier of 3 bytes is free: retire contexts of dead nodes")


def draw_kid() -> bytes:
    """A Sender ID for a node, at random: it tells nothing about the node."""
    return secrets.token_bytes(KID_BYTES)


def find(session: Session, wrapper: Wrapper, kids: Iterable[bytes]) -> dict[bytes, Context]:
    """The live contexts of those of `kids` that exist, by one query; nothing is unwrapped yet.

    Give a `wrapping.Cached` to unwrap the secret of a node that reports often only once.
    """
    row = OscoreContext
    rows = session.execute(
        select(row.id, row.node_id, row.kid, row.highest, row.secret).where(
            row.kid.in_(list(kids))
        )
    )
    return {
        kid: Context(identifier, node_id, kid, highest is not None, wrapped or b"", wrapper)
        for identifier, node_id, kid, highest, wrapped in rows
        if kid is not None
    }


def next_contexts(
    session: Session, wrapper: Wrapper, node_ids: Iterable[str]
) -> dict[str, Context]:
    """The contexts that nodes were given and have not used yet, by node id."""
    row = OscoreContext
    rows = session.execute(
        select(row.id, row.node_id, row.kid, row.highest, row.secret).where(
            row.next_for.in_(list(node_ids))
        )
    )
    return {
        node_id: Context(identifier, node_id, kid, highest is not None, wrapped or b"", wrapper)
        for identifier, node_id, kid, highest, wrapped in rows
        if kid is not None
    }


def current(session: Session, wrapper: Wrapper, node_id: str) -> Context | None:
    """The context that a node is to use now, None where it has none."""
    row = OscoreContext
    found = session.execute(
        select(row.id, row.kid, row.highest, row.secret).where(row.current_for == node_id)
    ).first()
    if found is None or found.kid is None:
        return None
    trusted = found.highest is not None
    return Context(found.id, node_id, found.kid, trusted, found.secret or b"", wrapper)


def live(session: Session, node_id: str) -> list[Live]:
    """A node's contexts that are not retired, oldest first."""
    rows = session.execute(
        select(
            OscoreContext.kid, OscoreContext.state, OscoreContext.highest, OscoreContext.created_us
        )
        .where(OscoreContext.node_id == node_id, OscoreContext.kid.is_not(None))
        .order_by(OscoreContext.id)
    )
    return [
        Live(kid, state, highest is not None, created_us)
        for kid, state, highest, created_us in rows
        if kid is not None
    ]


def held(session: Session) -> bool:
    """Whether any secret lies in the database, which only the wrapping key opens."""
    query = select(OscoreContext.id).where(OscoreContext.secret.is_not(None)).limit(1)
    return session.scalar(query) is not None


def retire(session: Session, which: ColumnElement[bool]) -> int:
    """End the live contexts that `which` selects: identifier and secret are forgotten."""
    changed = session.execute(
        update(OscoreContext)
        .where(which, OscoreContext.state != RETIRED)
        .values(state=RETIRED, kid=None, secret=None, current_for=None, next_for=None)
    )
    return rows_of(changed)


def rows_of(changed: Result[Any]) -> int:
    """How many rows an UPDATE changed; counted by the database, for it may be all of them."""
    return cast("CursorResult[Any]", changed).rowcount


def _binding(node_id: str, kid: bytes) -> bytes:
    return b"oscore\0" + node_id.encode() + b"\0" + kid
