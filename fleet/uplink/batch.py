"""What one transaction gathers: claims struck first, then each message by what its node may."""

from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fleet.control import operations as control
from fleet.identity import oscore
from fleet.identity.wrapping import Wrapper
from fleet.registry import operations as registry
from fleet.registry.operations import Standing
from fleet.registry.registers import continued
from fleet.telemetry import operations as telemetry
from fleet.uplink import answers, ranges
from fleet.uplink.answers import Outcome
from fleet.uplink.deadletters import bury
from fleet.uplink.message import Message
from fleet.uplink.ranges import Ranges
from fleet.uplink.tables import StoredSequences
from fleet.wire import cbor, report

# Of one (node, epoch). A node leaves a gap where its full journal dropped something, tens of them
# in a life. It sends its oldest records first, so the oldest gap is the one that nothing fills any
# more: beyond this number it is closed, and the row stays bounded whatever a node does.
MAX_RANGES = 1_000

# Keys of a report's status: what a node did with the items that it was given.
APPLIED, HANDLED, REFUSED = 13, 14, 15


class _Taken(NamedTuple):
    """What becomes of a message, if the commit succeeds."""

    kind: str
    epoch: int = 0
    ranges: Ranges = []  # noqa: RUF012  # never changed

    @property
    def is_answered(self) -> bool:
        """Whether there is a receipt, with what waits for the node."""
        return self.kind in {"stored", "repeated", "polled"}


class Batch:
    """Some messages, decoded before any lock is held. Write it once, and commit."""

    def __init__(self, messages: list[Message], wrapper: Wrapper | None) -> None:
        self._wrapper = wrapper
        self._now_us = registry.now_us()
        self._messages = messages
        self._reports = [_decoded(message.payload or b"") for message in messages]
        self._readings: list[telemetry.New] = []
        self._newest: dict[str, tuple[int, dict[int, int]]] = {}

    def write(self, session: Session) -> tuple[list[Outcome], int]:
        """All of it; the outcomes in order once that is committed, and the number of readings."""
        self._session = session
        self._replayed = _replayed(session, self._messages)
        self._standings = registry.standings(session, {m.node_id for m in self._messages})
        self._stored = self._rows()
        taken = [self._take(place) for place in range(len(self._messages))]
        registry.note_reports(self._session, self._newest)
        readings = telemetry.store(self._session, self._readings)
        control.settle(self._session, _told(self._newest))
        return self._answered(taken), readings

    def _is_heard(self, message: Message) -> bool:
        standing = self._standings.get(message.node_id)
        return standing is not None and standing.state == "active"

    def _take(self, place: int) -> _Taken:
        message = self._messages[place]
        if place in self._replayed:
            return _Taken("replayed")
        standing = self._standings.get(message.node_id)
        if standing is None:
            return _Taken("unknown")
        if not standing.placements or not self._is_heard(message):
            return _Taken("refused")
        if message.payload is None:
            return _Taken("struck")
        if not message.payload and message.claim is not None:
            return _Taken("polled")
        parsed = self._reports[place]
        if isinstance(parsed, report.ReportError):
            bury(self._session, message, str(parsed))
            return _Taken("undecodable")
        self._newest[message.node_id] = (message.received_us, parsed.status)
        return self._keep(message, parsed, standing)

    def _keep(self, message: Message, parsed: report.Report, standing: Standing) -> _Taken:
        if not parsed.records:
            return _Taken("repeated")
        placed = [(r, standing.placed(r.time * 1_000_000)) for r in parsed.records]
        at = {r.sequence: place for r, place in placed if place is not None}
        if not at:  # taken from its asset since: what it measures is nobody's
            return _Taken("refused")
        row = self._row(message.node_id, parsed.epoch)
        known = ranges.pairs(_numbers(row.ranges))
        # Without a place there is no row, so there is no receipt either: the node keeps it.
        sent = ranges.from_numbers(at)
        fresh = [
            r
            for r in parsed.records
            if r.sequence in at and not ranges.contains(known, r.sequence)
        ]
        if fresh:
            together = ranges.bounded(ranges.union(known, sent), MAX_RANGES)
            row.ranges = cbor.encode(ranges.flatten(together))
        for record in fresh:
            place = at[record.sequence]
            for quantity, value in record.values:
                self._readings.append(
                    telemetry.New(
                        place.asset_id, message.node_id, quantity, record.time * 1_000_000,
                        continued(quantity, value, place), record.quality, telemetry.TLS,
                        message.received_us,
                    )
                )  # fmt: skip
        return _Taken("stored" if fresh else "repeated", parsed.epoch, sent)

    def _answered(self, taken: list[_Taken]) -> list[Outcome]:
        """The receipts, with what is queued for their nodes."""
        pending: dict[str, control.Pending] = {}
        if self._wrapper is not None:
            nodes = {m.node_id for m, t in self._with(taken) if t.is_answered}
            pending = control.pending(self._session, self._wrapper, nodes, self._now_us)
        handed: dict[str, list[int]] = {}
        outcomes = []
        for message, what in self._with(taken):
            if not what.is_answered:
                outcomes.append(Outcome(what.kind, item=self._item(message, what)))
                continue
            waits = pending.get(message.node_id, answers.NOTHING)
            make = answers.by_mqtt if message.claim is None else answers.by_coap
            answer = make(what.epoch, what.ranges, waits)
            handed[message.node_id] = answer.handed
            outcomes.append(Outcome(what.kind, answer.receipt))
        control.handed(self._session, handed, self._now_us)
        return outcomes

    def _with(self, taken: list[_Taken]) -> list[tuple[Message, _Taken]]:
        return list(zip(self._messages, taken, strict=True))

    def _item(self, message: Message, what: _Taken) -> bytes | None:
        if message.wanted is None or what.kind != "struck" or self._wrapper is None:
            return None
        found = control.item(
            self._session, self._wrapper, message.node_id, message.wanted, self._now_us
        )
        return None if found is None else found.payload

    def _rows(self) -> dict[tuple[str, int], StoredSequences]:
        """The rows of every (node, epoch) of the batch, locked until the commit."""
        keys = {
            (message.node_id, parsed.epoch)
            for message, parsed in zip(self._messages, self._reports, strict=True)
            if isinstance(parsed, report.Report) and self._is_heard(message)
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


def _replayed(session: Session, messages: list[Message]) -> set[int]:
    """The places of those whose claim fails; all others are struck, whatever becomes of them."""
    claimed = [(place, m.claim) for place, m in enumerate(messages) if m.claim is not None]
    if not claimed:
        return set()
    struck = oscore.strike(session, [claim for _, claim in claimed])
    return {place for (place, _), new in zip(claimed, struck, strict=True) if not new}


def _told(newest: dict[str, tuple[int, dict[int, int]]]) -> dict[str, tuple[int, int, int]]:
    """What nodes say of the items that they were given."""
    return {
        node_id: (status.get(HANDLED, 0), status.get(APPLIED, 0), status.get(REFUSED, 0))
        for node_id, (_, status) in newest.items()
    }


def _decoded(payload: bytes) -> report.Report | report.ReportError:
    try:
        return report.decode(payload)
    except report.ReportError as e:
        return e


def _numbers(raw: bytes) -> list[int]:
    value = cbor.decode(raw)
    if not isinstance(value, list):
        raise ValueError("stored sequences are damaged")
    return value
