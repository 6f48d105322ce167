"""What one transaction gathers: claims struck first, then each message by what its node may."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fleet.alarms import intake as alarms
from fleet.alarms.heard import Heard
from fleet.clones import operations as clones
from fleet.clones.window import Window, digest
from fleet.control import desired, results
from fleet.control import operations as control
from fleet.identity import claims, oscore, rotation
from fleet.identity.claims import Claims
from fleet.identity.wrapping import Wrapper
from fleet.registry import operations as registry
from fleet.registry import sub_devices
from fleet.registry.operations import Placement, Standing
from fleet.registry.registers import continued
from fleet.telemetry import operations as telemetry
from fleet.updates import intake as updates
from fleet.uplink import answers, own_words, ranges
from fleet.uplink.answers import Outcome
from fleet.uplink.apart import apart
from fleet.uplink.deadletters import bury
from fleet.uplink.message import Message
from fleet.uplink.ranges import Ranges
from fleet.uplink.tables import StoredSequences
from fleet.wire import cbor, report
from fleet.wire import claim as wire
from fleet.wire.quantity import SUB_DEVICE

# Of one (node, epoch). A node leaves a gap where its full journal dropped something, tens of them
# in a life. It sends its oldest records first, so the oldest gap is the one that nothing fills any
# more: beyond this number it is closed, and the row stays bounded whatever a node does.
MAX_RANGES = 1_000

# Records of one (node, epoch) of which it is known what they held: as many as a node's own report
# has, so that two devices with one journal are told apart by the first report of the second.
CONTENTS = 48

# Keys of a report's status: what a node did with the items that it was given.
APPLIED, HANDLED, REFUSED = 13, 14, 15
ASKS_TIME = 16

GRANT = 1  # the number under which a node that came by CoAP fetches its grant
SHORT = 64  # bytes of an answer to a claim that are not worth a fetch: a refusal
_NO_REPORT = report.ReportError("a voucher sends no reports")


class _Taken(NamedTuple):
    """What becomes of a message, if the commit succeeds."""

    kind: str
    epoch: int = 0
    ranges: Ranges = []  # noqa: RUF012  # never changed
    answer: bytes | None = None  # to a claim
    item: bytes | None = None  # its grant, fetched
    asks_time: bool = False  # its clock was never set by anybody

    @property
    def is_answered(self) -> bool:
        """Whether there is a receipt, with what waits for the node."""
        return self.kind in {"stored", "repeated", "polled"}


class Batch:
    """Some messages, decoded before any lock is held. Write it once, and commit."""

    def __init__(
        self, messages: list[Message], wrapper: Wrapper | None, claims: Claims | None = None
    ) -> None:
        self._wrapper = wrapper
        self._claims = claims
        self._now_us = registry.now_us()
        self._messages = messages
        self._reports = [
            _NO_REPORT if wire.is_id(message.node_id) else _decoded(message.payload or b"")
            for message in messages
        ]
        self._readings: list[telemetry.New] = []
        self._heard: list[Heard] = []  # the new records, as alarms take them
        self._words: list[own_words.Words] = []
        self._newest: dict[str, tuple[int, dict[int, int]]] = {}

    def write(self, session: Session) -> tuple[list[Outcome], int]:
        """All of it; the outcomes in order once that is committed, and the number of readings."""
        self._session = session
        self._subs = sub_devices.SubPlaces(session)
        self._replayed = _replayed(session, self._messages)
        self._standings = registry.standings(session, {m.node_id for m in self._messages})
        self._flag_reused_numbers()
        self._stored = self._rows()
        self._epochs = clones.EpochWatches(session, {node_id for node_id, _ in self._keys()})
        taken = [self._take(place) for place in range(len(self._messages))]
        registry.note_reports(self._session, self._newest)
        alarms.take(self._session, self._heard, self._reported())
        readings = telemetry.store(self._session, self._readings)
        told = _told(self._newest)
        rotation.told(self._session, told)
        own_words.tell(self._session, self._words)
        apart(self._session, "updates", self._concerned(), self._follow)
        apart(self._session, "settling", list(told.items()), self._settle)
        apart(self._session, "configuration", list(self._newest), self._look)
        claims.end_used(self._session, self._newest)
        return self._answered(taken), readings

    @staticmethod
    def _settle(session: Session, told: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
        desired.told(session, control.settle(session, dict(told)))

    def _look(self, session: Session, nodes: Sequence[str]) -> None:
        desired.look(session, {node_id: self._newest[node_id] for node_id in nodes})

    def _concerned(self) -> list[str]:
        """The nodes that said how they fare, or what became of an item."""
        told = {one.node_id for one in self._words if results.ITEM in one.values}
        return sorted({*self._newest, *told})

    def _follow(self, session: Session, nodes: Sequence[str]) -> None:
        mine = set(nodes)
        statuses = {node: self._newest[node][1] for node in nodes if node in self._newest}
        said = [
            updates.Told(
                one.node_id, one.values[results.ITEM], one.values[results.RESULT],
                one.values.get(results.DETAIL, 0),
            )
            for one in self._words
            if one.node_id in mine and {results.ITEM, results.RESULT} <= set(one.values)
        ]  # fmt: skip
        updates.heard(session, statuses, said, self._now_us)

    def _is_heard(self, message: Message) -> bool:
        standing = self._standings.get(message.node_id)
        return standing is not None and standing.state == "active"

    def _take(self, place: int) -> _Taken:
        message = self._messages[place]
        if place in self._replayed:
            return _Taken("replayed")
        if wire.is_id(message.node_id):
            return self._claim(message)
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
        taken = self._keep(message, parsed, standing)
        # A technician's file is no word of the node's now: neither a report nor a sign of life.
        if taken.kind != "refused" and message.trust != telemetry.LEGACY:
            self._newest[message.node_id] = (message.received_us, parsed.status)
        return taken._replace(asks_time=ASKS_TIME in parsed.status)

    def _claim(self, message: Message) -> _Taken:
        """What came under a voucher: a claim, or the fetching of its grant."""
        if message.payload is None:
            if message.wanted != GRANT or self._claims is None:
                return _Taken("struck")
            return _Taken("struck", item=self._claims.granted(self._session, message.node_id))
        if self._claims is None:
            return _Taken("claimed", answer=wire.encode_refusal(wire.LATER))
        answer = self._claims.answer(self._session, message.node_id, message.payload)
        if message.claim is not None and len(answer) > SHORT:
            answer = cbor.encode(len(answer))
        return _Taken("claimed", answer=answer)

    def _keep(self, message: Message, parsed: report.Report, standing: Standing) -> _Taken:
        if not parsed.records:
            return _Taken("repeated")
        placed = [(r, standing.placed(r.time * 1_000_000)) for r in parsed.records]
        at = {r.sequence: place for r, place in placed if place is not None}
        # What a node says about itself is its own wherever it was.
        kept = [r for r in parsed.records if r.sequence in at or own_words.is_all_own(r)]
        if not kept:  # taken from its asset since: what it measures is nobody's
            return _Taken("refused")
        row = self._row(message.node_id, parsed.epoch)
        known = ranges.pairs(_numbers(row.ranges))
        # Without a place there is no row, so there is no receipt either: the node keeps it.
        sent = ranges.from_numbers(r.sequence for r in kept)
        fresh = [r for r in kept if not ranges.contains(known, r.sequence)]
        if self._is_forked(message, parsed, row, fresh):
            return _Taken("refused")  # its records stay with it until somebody has looked
        if fresh:
            together = ranges.bounded(ranges.union(known, sent), MAX_RANGES)
            row.ranges = cbor.encode(ranges.flatten(together))
        for record in fresh:
            self._read(message, record, at.get(record.sequence), parsed.sent)
            self._hear(message, parsed.epoch, record)
        return _Taken("stored" if fresh else "repeated", parsed.epoch, sent)

    def _read(
        self, message: Message, record: report.Record, place: Placement | None, sent: int
    ) -> None:
        """What a record says of the asset that the node served then."""
        if place is None:
            return
        at_us = record.time * 1_000_000
        values, sub = record.values, None
        if values[0][0] == SUB_DEVICE and values[0][1] in sub_devices.NUMBERS:
            sub = self._subs.placed(place, values[0][1], at_us)
            values = values[1:]
        asset_id = sub.asset_id if sub else place.asset_id
        kept = [
            (q, sub.continued(q, value) if sub else continued(q, value, place))
            for q, value in values
            if not own_words.is_own(q)
        ]
        self._readings.extend(
            telemetry.New(
                asset_id, message.node_id, quantity, at_us, value, record.quality,
                message.trust, message.received_us,
            )
            for quantity, value in kept
        )  # fmt: skip
        self._heard.append(
            Heard(
                asset_id, message.node_id, record.sequence, at_us, sent * 1_000_000,
                message.received_us, record.quality, kept, message.trust == telemetry.LEGACY,
            )
        )  # fmt: skip

    def _hear(self, message: Message, epoch: int, record: report.Record) -> None:
        """What a record says of the node itself."""
        own = {code: value for code, value in record.values if own_words.is_own(code)}
        if own:
            self._words.append(
                own_words.Words(
                    message.node_id, epoch, record.sequence, record.time, record.quality, own,
                    message.trust, message.received_us,
                )
            )  # fmt: skip

    def _reported(self) -> list[tuple[str, int]]:
        """The nodes that reported, with or without records, and the assets that they serve."""
        placed = [(node, self._standings[node].placed(self._now_us)) for node in self._newest]
        return [(node, place.asset_id) for node, place in placed if place is not None]

    def _is_forked(
        self,
        message: Message,
        parsed: report.Report,
        row: StoredSequences,
        fresh: list[report.Record],
    ) -> bool:
        """Whether the report shows a second device under this identity; then the node is flagged.

        What the records hold is remembered, and to which epoch the new ones belong.
        """
        node_id = message.node_id
        contents = Window(CONTENTS, row.digests)
        for record in parsed.records[-CONTENTS:]:
            found = _digest(record)
            if contents.differs(record.sequence, found):
                self._flag(node_id, "record", epoch=parsed.epoch, sequence=record.sequence)
                return True
            contents.note(record.sequence, found)
        # A journal that comes by file is an old one by right: its epoch may have ended.
        by_node = message.trust != telemetry.LEGACY
        if fresh and by_node and self._epochs.note(node_id, parsed.epoch):
            other = self._epochs.before(node_id)
            self._flag(node_id, "epochs", one=parsed.epoch, other=other)
            return True
        if fresh:
            row.digests = contents.dump()
        return False

    def _flag_reused_numbers(self) -> None:
        for place in self._replayed:
            message = self._messages[place]
            claim = message.claim
            if claim is None or not claim.digest or not self._is_heard(message):
                continue
            if oscore.used_twice(self._session, claim.context_id, claim.piv, claim.digest):
                self._flag(message.node_id, "number", number=claim.piv)

    def _flag(self, node_id: str, evidence: str, **values: int) -> None:
        clones.flag(self._session, node_id, evidence, **values)
        standing = self._standings[node_id]
        self._standings[node_id] = standing._replace(state="quarantined")

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
                outcomes.append(Outcome(what.kind, what.answer, self._item(message, what)))
                continue
            waits = pending.get(message.node_id, answers.NOTHING)
            make = answers.by_mqtt if message.claim is None else answers.by_coap
            time = self._now_us // 1_000_000 if what.asks_time else 0
            answer = make(what.epoch, what.ranges, waits, time)
            handed[message.node_id] = answer.handed
            outcomes.append(Outcome(what.kind, answer.receipt))
        control.handed(self._session, handed, self._now_us)
        return outcomes

    def _with(self, taken: list[_Taken]) -> list[tuple[Message, _Taken]]:
        return list(zip(self._messages, taken, strict=True))

    def _item(self, message: Message, what: _Taken) -> bytes | None:
        if wire.is_id(message.node_id):
            return what.item
        if message.wanted is None or what.kind != "struck" or self._wrapper is None:
            return None
        found = control.item(
            self._session, self._wrapper, message.node_id, message.wanted, self._now_us
        )
        return None if found is None else found.payload

    def _keys(self) -> set[tuple[str, int]]:
        """Every (node, epoch) of the batch."""
        return {
            (message.node_id, parsed.epoch)
            for message, parsed in zip(self._messages, self._reports, strict=True)
            if isinstance(parsed, report.Report) and self._is_heard(message)
        }

    def _rows(self) -> dict[tuple[str, int], StoredSequences]:
        """The rows of every (node, epoch) of the batch, locked until the commit."""
        keys = self._keys()
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
    claims = [claim for _, claim in claimed]
    struck = oscore.strike(session, [c[:3] for c in claims], [c.digest for c in claims])
    return {place for (place, _), new in zip(claimed, struck, strict=True) if not new}


def _told(newest: dict[str, tuple[int, dict[int, int]]]) -> dict[str, tuple[int, int, int]]:
    """What nodes say of the items that they were given."""
    return {
        node_id: (status.get(HANDLED, 0), status.get(APPLIED, 0), status.get(REFUSED, 0))
        for node_id, (_, status) in newest.items()
    }


def _digest(record: report.Record) -> int:
    return digest(repr((record.time, record.quality, record.values)).encode())  # integers alone


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
