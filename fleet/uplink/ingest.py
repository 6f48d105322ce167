"""From messages to committed readings: state, strict decode, deduplication, one commit."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.uplink import ranges
from fleet.uplink.tables import DeadLetter, StoredSequences
from fleet.wire import cbor, receipt, report

DEAD_LETTERS_PER_NODE = 20
KEPT_BYTES = 16384  # of an undecodable message


class Message(NamedTuple):
    """A report as it came in; `received_us` by the fleet's clock."""

    node_id: str
    payload: bytes
    received_us: int


class Outcome(NamedTuple):
    """`kind`: stored, repeated, undecodable, unknown or refused; two have a receipt."""

    kind: str
    receipt: bytes | None = None


class Parsed(NamedTuple):
    """A message whose report could be read."""

    message: Message
    report: report.Report


class Ingest:
    """The pipeline behind every door. `counts` tells outcomes and readings since the start."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.counts: Counter[str] = Counter()

    def process(self, messages: list[Message]) -> list[Outcome]:
        """One transaction for all; the outcomes, in order, once that is committed.

        Raises what the database raises when it is locked, full or gone: then nothing is stored
        and the same call may be made again. A message that alone cannot be stored spoils none
        of its neighbours.
        """
        try:
            outcomes, readings = self._commit(messages)
        except (IntegrityError, DataError):
            if len(messages) == 1:
                self.counts["refused"] += 1
                return [Outcome("refused")]
            return [outcome for message in messages for outcome in self.process([message])]
        self.counts.update(outcome.kind for outcome in outcomes)
        self.counts["readings"] += readings
        return outcomes

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
        self._stored: dict[tuple[str, int], StoredSequences] = {}
        self._readings: list[telemetry.New] = []
        self._newest: dict[str, tuple[int, dict[int, int]]] = {}

    def take(self, message: Message) -> Outcome:
        """What becomes of one message, if the commit succeeds."""
        standing = self._standings.get(message.node_id)
        if standing is None:
            return Outcome("unknown")
        if standing.state != "active" or standing.asset_id is None:
            return Outcome("refused")
        try:
            parsed = report.decode(message.payload)
        except report.ReportError as e:
            self._bury(message, str(e))
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
        fresh = [r for r in parsed.records if not ranges.contains(known, r.sequence)]
        for record in fresh:
            for quantity, value in record.values:
                self._readings.append(
                    telemetry.New(
                        asset_id, message.node_id, quantity, record.time * 1_000_000, value,
                        record.quality, telemetry.TLS, message.received_us,
                    )
                )  # fmt: skip
        sent = ranges.from_numbers(r.sequence for r in parsed.records)
        if fresh:
            row.ranges = cbor.encode(ranges.flatten(ranges.union(known, sent)))
        # What is over a receipt's limit is repeated by the node, and receipted then.
        answer = receipt.encode(parsed.epoch, sent[: receipt.MAX_RANGES])
        return Outcome("stored" if fresh else "repeated", answer)

    def _row(self, node_id: str, epoch: int) -> StoredSequences:
        """The row of (node, epoch), locked until the commit."""
        key = (node_id, epoch)
        if key not in self._stored:
            query = select(StoredSequences).where(
                StoredSequences.node_id == node_id, StoredSequences.epoch == epoch
            )
            row = self._session.scalar(query.with_for_update())
            if row is None:
                row = StoredSequences(node_id=node_id, epoch=epoch, ranges=cbor.encode([]))
                self._session.add(row)
                self._session.flush()
            self._stored[key] = row
        return self._stored[key]

    def _bury(self, message: Message, reason: str) -> None:
        self._session.add(
            DeadLetter(
                node_id=message.node_id,
                received_us=message.received_us,
                reason=reason[:200],
                payload=message.payload[:KEPT_BYTES],
            )
        )
        self._session.flush()
        of_node = DeadLetter.node_id == message.node_id
        count = self._session.scalar(select(func.count()).where(of_node)) or 0
        if count > DEAD_LETTERS_PER_NODE:
            oldest = select(DeadLetter.id).where(of_node).order_by(DeadLetter.id).limit(1)
            self._session.execute(delete(DeadLetter).where(DeadLetter.id.in_(oldest)))


def _numbers(raw: bytes) -> list[int]:
    value = cbor.decode(raw)
    return value if isinstance(value, list) else []
