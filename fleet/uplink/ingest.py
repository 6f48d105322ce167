"""From messages to committed readings: state, strict decode, deduplication, one commit."""

from collections import Counter

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from fleet.db.base import Database
from fleet.identity import oscore
from fleet.identity.claims import Claims
from fleet.identity.wrapping import Wrapper
from fleet.uplink.answers import Outcome
from fleet.uplink.batch import Batch
from fleet.uplink.deadletters import bury
from fleet.uplink.message import Message

__all__ = ["Ingest", "Outcome"]


class Ingest:
    """The pipeline behind every door. `counts` tells outcomes and readings since the start.

    Without a `wrapper` nodes are handed nothing that waits for them, without `claims` vouchers
    are told to come again later.
    """

    def __init__(
        self, database: Database, wrapper: Wrapper | None = None, claims: Claims | None = None
    ) -> None:
        self._database = database
        self._wrapper = wrapper
        self._claims = claims
        self.counts: Counter[str] = Counter()

    def process(self, messages: list[Message]) -> list[Outcome]:
        """One transaction for all; the outcomes, in order, once that is committed.

        Raises what the database raises when it is locked, full or gone: then the same call may
        be made again, as often as it takes. A message that alone cannot be stored is kept as a
        dead letter and spoils none of its neighbours.
        """
        try:
            outcomes, readings = self._commit(messages)
        except Exception as e:
            if _is_the_database(e):
                raise
            if len(messages) == 1:
                return [self._poison(messages[0], e)]
            return [outcome for message in messages for outcome in self.process([message])]
        self.counts.update(outcome.kind for outcome in outcomes)
        self.counts["readings"] += readings
        return outcomes

    def _poison(self, message: Message, error: Exception) -> Outcome:
        reason = (str(error).splitlines() or [""])[0]
        kind = "poison"
        with self._database.begin() as session:
            if message.claim is not None and not oscore.strike(session, [message.claim[:3]])[0]:
                kind = "replayed"
            else:
                bury(session, message, f"{type(error).__name__}: {reason}")
        self.counts[kind] += 1
        return Outcome(kind)

    def _commit(self, messages: list[Message]) -> tuple[list[Outcome], int]:
        batch = Batch(messages, self._wrapper, self._claims)
        with self._database.begin() as session:
            return batch.write(session)


def _is_the_database(error: Exception) -> bool:
    """Whether the database is at fault, and not one message."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return False  # a value that never reached the database
    if isinstance(error, SQLAlchemyError):
        return not isinstance(error, IntegrityError | DataError)
    return isinstance(error, OSError | MemoryError)
