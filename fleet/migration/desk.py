"""Who does something to the ledger, when, in which transaction, and what he puts on record."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.migration import invariants
from fleet.migration.breaches import BrokenInvariant
from fleet.migration.evidence import Chain
from fleet.migration.states import Actor
from fleet.releases.signers import Signer

AT_ONCE = 500  # items in one transaction
T = TypeVar("T")


class Desk:
    """One actor's transaction. `done` ends each act: the evidence is stored, and what was done is
    held against the invariants, or all of it is undone by the exception.
    """

    def __init__(
        self, session: Session, signer: Signer, actor: Actor, person: str, now_us: int
    ) -> None:
        self.session = session
        self.actor = actor
        self.person = person
        self.now_us = now_us
        self._chain = Chain(session, signer)

    def note(
        self, kind: str, body: Mapping[str, Any], *, item_id: int | None = None,
        asset_id: int | None = None,
    ) -> int:  # fmt: skip
        """Put a fact on record; its id."""
        return self._chain.note(
            kind, self.now_us, self.actor, self.person, body, item_id=item_id, asset_id=asset_id
        )

    def store_evidence(self) -> None:
        """Before rows that refer to what was noted."""
        self._chain.write()

    def done(self, asset_ids: Sequence[int]) -> None:
        """Store what is noted; BrokenInvariant where one of these assets breaks one."""
        self._chain.write()
        self.session.flush()
        breach = invariants.first(self.session, asset_ids)
        if breach is not None:
            raise BrokenInvariant(breach)


class Office:
    """Makes desks on a database: each its own transaction, `AT_ONCE` items at most."""

    def __init__(
        self, database: Database, signer: Signer, clock: Callable[[], int] | None = None
    ) -> None:
        self.database = database
        self.signer = signer
        self._clock = clock or _now_us

    def desk(self, session: Session, actor: Actor, person: str = "") -> Desk:
        """In a transaction of the caller's."""
        return Desk(session, self.signer, actor, person, self._clock())

    def all_or_each(
        self, ids: Sequence[int], actor: Actor, person: str,
        act: Callable[[Desk, Sequence[int]], list[T]],
    ) -> tuple[list[T], list[tuple[int, str]]]:  # fmt: skip
        """As `each`; where a part is refused its items are done one by one. What was done, and of
        each refused one the reason.
        """
        done: list[T] = []
        refused: list[tuple[int, str]] = []
        for part in parts(ids):
            try:
                done += self.each(part, actor, person, act)
            except Refusal:
                for one in part:
                    try:
                        done += self.each([one], actor, person, act)
                    except Refusal as e:
                        refused.append((one, str(e)))
        return done, refused

    def each(
        self, ids: Sequence[int], actor: Actor, person: str,
        act: Callable[[Desk, Sequence[int]], list[T]],
    ) -> list[T]:  # fmt: skip
        """`act` on ids, some at a time: what was done before a failure stays done, and doing all
        of it again is harmless.
        """
        done: list[T] = []
        for part in parts(ids):
            with self.database.begin() as session:
                done += act(self.desk(session, actor, person), part)
        return done


def parts(ids: Sequence[int], size: int = AT_ONCE) -> Iterator[list[int]]:
    """In order, `size` at a time."""
    rest = iter(ids)
    while part := list(islice(rest, size)):
        yield part


def _now_us() -> int:
    return time.time_ns() // 1000
