"""Pieces of streams for the doors: what a node may have now, counted and bounded. Any thread."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from fleet.coap.limits import Buckets, Rate
from fleet.updates.streams import WORDS, NotServedError, Streams
from fleet.wire import release

# In bytes. A node fetches an image of 1.5 MB in one go on Cat1, and then has had its share; one
# that asks for the same again and again gets what a slow bearer carries.
OF_NODE = Rate(8_192, 4 << 20)
OF_ALL = Rate(4 << 20, 64 << 20)  # what one process and its broker carry beside the reports
LEAST = 64  # what a request costs at least

log = structlog.get_logger("updates")


class Piece(NamedTuple):
    """Bytes of a stream, how long it is in all, and its tag."""

    data: bytes
    total: int
    etag: bytes


class Blocks:
    """One for all doors of a process. `counts` tells blocks, bytes and refusals by their words."""

    def __init__(self, streams: Streams, clock: Callable[[], float] = time.monotonic) -> None:
        self._streams = streams
        self._clock = clock
        self._lock = threading.Lock()
        self._of_nodes = Buckets(OF_NODE)
        self._of_all = Buckets(OF_ALL, 1)
        self.counts: Counter[str] = Counter()

    def read(self, node_id: str, number: int, start: int, length: int) -> Piece:
        """Up to `length` bytes of the stream of a node's item from `start` on; none behind its
        end. NotServedError. The database's trouble is LATER.
        """
        try:
            self._admit(node_id)
            stream = self._streams.find(node_id, number)
        except NotServedError as e:
            self._count(WORDS[e.code], 0)
            raise
        except (SQLAlchemyError, OSError) as e:
            log.error("a block cannot be read", node=node_id, number=number, reason=repr(e)[:300])
            self._count("later", 0)
            raise NotServedError(release.LATER) from None
        data = stream.data[start : start + length]
        self._spend(node_id, max(LEAST, len(data)))
        self._count("blocks", len(data))
        return Piece(data, len(stream.data), stream.etag)

    def _admit(self, node_id: str) -> None:
        now = self._clock()
        with self._lock:
            if self._of_nodes.level(node_id, now) < LEAST or self._of_all.level(None, now) < LEAST:
                raise NotServedError(release.LATER)
            self._of_nodes.put(node_id, -LEAST, now)

    def _spend(self, node_id: str, size: int) -> None:
        now = self._clock()
        with self._lock:
            self._of_nodes.put(node_id, LEAST - size, now)
            self._of_all.put(None, -size, now)

    def _count(self, word: str, size: int) -> None:
        with self._lock:
            self.counts[word] += 1
            self.counts["bytes"] += size
