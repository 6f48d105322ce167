"""From messages to committed readings: state, strict decode, deduplication, one commit."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.uplink import ranges
from fleet.uplink.deadletters import bury
from fleet.uplink.message import Message
from fleet.uplink.tables import StoredSequences
from fleet.wire import cbor, receipt, report

# Of one (node, epoch). A node leaves a gap where its full journal dropped something, tens of them
# in a life. It sends its oldest records first, so the oldest gap is the one that nothing fills any
# more: beyond this number it is closed, and the row stays bounded whatever a node does.
MAX_RANGES = 1_000


class Outcome(NamedTuple):
    """`kind`: stored, repeated, undecodable, poison, unknown or refused; two have a receipt."""

    kind: str
    receipt: bytes | None = None


class Ingest:
    """The pipeline behind every door. `counts` tells outcomes and readings since the start."""

    def __init__(self, database: Database) -> None:
        self._database = database
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
        with self._database.begin() as session:
            bury(session, message, f"{type(error).__name__}: {reason}")
        self.counts["poison"] += 1
        return Outcome("poison")

    def _commit(self, messages: list[Message]) -> tuple[list[Outcome], int]:
        with self._database.begin() as session:
            batch = _Batch(session, messages)
            outcomes = [batch.take(message) for message in messages]
            return outcomes, batch.finish()


class _Batch:
    """What one transaction gathers."""

    def __init__(self, session: Session, messages: Iterable[Message]) -> None:
        self._session = session
        self._standings = registry.standings(session, {m.node_id for m in messages})
        self._reports = {m: _decoded(m) for m in messages if self._is_active(m.node_id)}
        self._stored = self._rows()
        self._readings: list[telemetry.New] = []
        self._newest: dict[str, tuple[int, dict[int, int]]] = {}

    def take(self, message: Message) -> Outcome:
        """What becomes of one message, if the commit succeeds."""
        standing = self._standings.get(message.node_id)
        if standing is None:
            return Outcome("unknown")
        if standing.asset_id is None or not self._is_active(message.node_id):
            return Outcome("refused")
        parsed = self._reports[message]
        if isinstance(parsed, report.ReportError):
            bury(self._session, message, str(parsed))
            return Outcome("undecodable")
        self._newest[message.node_id] = (message.received_us, parsed.status)
        return self._keep(message, parsed, standing.asset_id)

    def finish(self) -> int:
        """Write what was gathered; the number of readings."""
        registry.note_reports(self._session, self._newest)
        return telemetry.store(self._session, self._readings)

    def _keep(self, message: Message, parsed: report.Report, asset_id: int) -> Outcome:
        if not parsed.records:
            return Outcome("repeated")
        row = self._row(message.node_id, parsed.epoch)
        known = ranges.pairs(_numbers(row.ranges))
        sent = ranges.from_numbers(r.sequence for r in parsed.records)
        fresh = [r for r in parsed.records if not ranges.contains(known, r.sequence)]
        if fresh:
            together = ranges.bounded(ranges.union(known, sent), MAX_RANGES)
            row.ranges = cbor.encode(ranges.flatten(together))
        for record in fresh:
            for quantity, value in record.values:
                self._readings.append(
                    telemetry.New(
                        asset_id, message.node_id, quantity, record.time * 1_000_000, value,
                        record.quality, telemetry.TLS, message.received_us,
                    )
                )  # fmt: skip
        # What is over a receipt's limit is repeated by the node, and receipted then.
        answer = receipt.encode(parsed.epoch, sent[: receipt.MAX_RANGES])
        return Outcome("stored" if fresh else "repeated", answer)

    def _is_active(self, node_id: str) -> bool:
        standing = self._standings.get(node_id)
        return standing is not None and standing.state == "active"

    def _rows(self) -> dict[tuple[str, int], StoredSequences]:
        """The rows of every (node, epoch) of the batch, locked until the commit."""
        keys = {
            (message.node_id, parsed.epoch)
            for message, parsed in self._reports.items()
            if isinstance(parsed, report.Report)
        }
        key = tuple_(StoredSequences.node_id, StoredSequences.epoch)
        query = select(StoredSequences).where(key.in_(sorted(keys))).with_for_update()
        return {(row.node_id, row.epoch): row for row in self._session.scalars(query)}

    def _row(self, node_id: str, epoch: int) -> StoredSequences:
        """The row of (node, epoch), a new one where there is none."""
        key = (node_id, epoch)
        if key not in self._stored:
            row = StoredSequences(node_id=node_id, epoch=epoch, ranges=cbor.encode([]))
            self._session.add(row)
            self._stored[key] = row
        return self._stored[key]


def _decoded(message: Message) -> report.Report | report.ReportError:
    try:
        return report.decode(message.payload)
    except report.ReportError as e:
        return e


def _is_the_database(error: Exception) -> bool:
    """Whether the database is at fault, and not one message."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return False  # a value that never reached the database
    if isinstance(error, SQLAlchemyError):
        return not isinstance(error, IntegrityError | DataError)
    return isinstance(error, OSError | MemoryError)


def _numbers(raw: bytes) -> list[int]:
    value = cbor.decode(raw)
    if not isinstance(value, list):
        raise ValueError("stored sequences are damaged")
    return value
