"""The stream of an assignment: envelope and parts, built when first asked for and kept a while.

Any thread; nothing of it is in the database but the assignment, so that a restart of the fleet, or
another process of it, goes on where a node is.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.registry.tables import Terminal
from fleet.releases.errors import ReleaseError
from fleet.updates import parts, shelf
from fleet.updates.packing import packed
from fleet.updates.stamping import parts_of
from fleet.updates.tables import Assigned
from fleet.wire import release

KEPT_BYTES = 64 << 20  # of streams: 40 of a runtime, 1,000 of an application
KNOWN = 20_000  # assignments that are remembered: who asks for one block asks for the next
KNOWN_S = 10.0  # so late is a withdrawal, a revocation or a quarantine seen at most
ETAG = 8  # bytes of the manifest's digest
WORDS = {release.GONE: "gone", release.UNKNOWN: "unknown", release.LATER: "later"}

log = structlog.get_logger("updates")


class NotServedError(Refusal):
    """No block: `code` is GONE, UNKNOWN or LATER of wire/release.py."""

    def __init__(self, code: int) -> None:
        super().__init__(f"no block of the update: {WORDS[code]}")
        self.code = code


class Stream(NamedTuple):
    """All of it, and the tag by which a node sees that it is still the same."""

    data: bytes
    etag: bytes


_Recipe = tuple[int, bytes, int, bytes]  # sequence, digest, size, parts: what a stream is made of


class Streams:
    """Of one process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._building = threading.Lock()  # one at a time: they are large, and often the same
        self._known: OrderedDict[tuple[str, int], tuple[float, _Recipe]] = OrderedDict()
        self._streams: OrderedDict[_Recipe, Stream] = OrderedDict()
        self._bytes = 0

    def find(self, node_id: str, number: int) -> Stream:
        """The stream of a node's item; NotServedError, or what the database raises."""
        now = self._clock()
        with self._lock:
            at, recipe = self._known.get((node_id, number), (0.0, None))
            stream = self._streams.get(recipe) if recipe is not None else None
            if recipe is not None and stream is not None and now - at < KNOWN_S:
                self._streams.move_to_end(recipe)
                return stream
        with self._database.read() as session:
            recipe = _recipe(session, node_id, number)
            stream = self._made(session, recipe)
        with self._lock:
            self._known[node_id, number] = (now, recipe)
            self._known.move_to_end((node_id, number))
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return stream

    @property
    def kept_bytes(self) -> int:
        """Of the streams in memory."""
        return self._bytes

    def _made(self, session: Session, recipe: _Recipe) -> Stream:
        with self._building:
            with self._lock:
                stream = self._streams.get(recipe)
            if stream is None:
                stream = self._build(session, recipe)
                with self._lock:
                    self._keep(recipe, stream)
            return stream

    def _keep(self, recipe: _Recipe, stream: Stream) -> None:
        self._streams[recipe] = stream
        self._bytes += len(stream.data)
        while self._bytes > KEPT_BYTES and len(self._streams) > 1:
            _, dropped = self._streams.popitem(last=False)
            self._bytes -= len(dropped.data)

    def _build(self, session: Session, recipe: _Recipe) -> Stream:
        sequence, digest, size, raw = recipe
        try:
            held = shelf.held(session, sequence)
        except ReleaseError:
            raise NotServedError(release.GONE) from None
        body = parts.rebuilt(
            parts_of(raw),
            lambda kind: shelf.component(session, sequence, kind),
            lambda base: shelf.delta(session, base, sequence),
            lambda data: packed(session, data),
        )
        if body is None or held.digest[:16] != digest or len(held.envelope) + len(body) != size:
            log.error("a stream cannot be made the same again", sequence=sequence, size=size)
            raise NotServedError(release.GONE)
        return Stream(held.envelope + body, held.digest[:ETAG])


def _recipe(session: Session, node_id: str, number: int) -> _Recipe:
    row = session.execute(
        select(
            Assigned.sequence, Assigned.digest, Assigned.size, Assigned.parts,
            Assigned.withdrawn_us, Terminal.state,
        )
        .join(Terminal, Terminal.id == Assigned.node_id)
        .where(Assigned.node_id == node_id, Assigned.number == number)
    ).first()  # fmt: skip
    if row is None or not row.sequence:
        raise NotServedError(release.UNKNOWN)
    if row.state != "active":
        raise NotServedError(release.LATER)  # in quarantine: somebody will look at it
    if row.withdrawn_us is not None or not shelf.may_be_given(session, row.sequence):
        raise NotServedError(release.GONE)
    return row.sequence, row.digest, row.size, row.parts
